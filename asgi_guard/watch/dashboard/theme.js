/* The theme: the system's, or the one that was chosen here. It runs before anything is painted, and nothing flashes. */
"use strict";

const theme = {
  KEY: "asgi_guard.theme",
  dark: matchMedia("(prefers-color-scheme: dark)"),

  get isDark() {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : this.dark.matches;
  },

  /* A browser that forbids storage throws at the first touch of it; the choice then lasts as long as the page. */
  recall() {
    try {
      const chosen = localStorage.getItem(this.KEY);
      if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
    } catch { /* the system's theme */ }
  },

  toggle() {
    const chosen = this.isDark ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem(this.KEY, chosen);
    } catch { /* for now, then */ }
  },
};

theme.recall();
