/* Asking for the summary: one request at a time, none while nobody looks, fewer and fewer while nobody answers. */
"use strict";

const PERIOD_SECONDS = 5;
const MOST_SECONDS = 60;
const PATIENCE_SECONDS = 10;
const VERSION = 1;

class Poll {
  /* `windows` says which are wanted; `onSummary` and `onTrouble` are told what came of it. */
  constructor({url, windows, onSummary, onTrouble}) {
    Object.assign(this, {url, windows, onSummary, onTrouble});
    Object.assign(this, {failures: 0, timer: 0, asked: "", isAsking: false, isPaused: false});
    document.addEventListener("visibilitychange", () => this.goOn());
  }

  get isResting() {
    return this.isPaused || document.hidden;
  }

  setPaused(isPaused) {
    this.isPaused = isPaused;
    this.goOn();
  }

  goOn() {
    clearTimeout(this.timer);
    if (!this.isResting) this.askNow();
  }

  /* Ask, also while it is paused: somebody wants to know. */
  askNow() {
    clearTimeout(this.timer);
    if (!this.isAsking) this.ask();
  }

  async ask() {
    this.isAsking = true;
    this.asked = this.windows();
    try {
      this.onSummary(await this.fetch(this.asked));
      this.failures = 0;
      this.onTrouble("");
    } catch (error) {
      this.failures += 1;
      this.onTrouble(`${inWords(error)} Trying again in ${showAge(this.waitSeconds)}.`);
    } finally {
      this.isAsking = false;
      if (this.windows() !== this.asked) this.askNow(); // another was chosen meanwhile
      else if (!this.isResting) this.timer = setTimeout(() => this.goOn(), this.waitSeconds * 1000);
    }
  }

  get waitSeconds() {
    return Math.min(MOST_SECONDS, PERIOD_SECONDS * 2 ** Math.max(0, this.failures - 1));
  }

  async fetch(windows) {
    const url = new URL(this.url, location.href);
    url.searchParams.set("windows", windows);
    const response = await fetch(String(url).replaceAll("%2C", ","), {
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error", // a login page is no summary
      headers: {accept: "application/json"},
      signal: AbortSignal.timeout(PATIENCE_SECONDS * 1000),
    });
    if (!response.ok) throw new Refusal(`The server answered ${response.status}.`);
    const summary = await response.json();
    if (summary?.version !== VERSION) throw new Refusal("The server has another version than this page: reload it.");
    return summary;
  }
}

class Refusal extends Error {}

function inWords(error) {
  if (error instanceof Refusal) return error.message;
  if (error.name === "TimeoutError") return `No answer within ${PATIENCE_SECONDS} seconds.`;
  if (error instanceof SyntaxError) return "The answer could not be read.";
  if (error instanceof TypeError && /fetch|network|load/i.test(error.message)) return "The server cannot be reached.";
  console.error(error); // a fault of this page, and not of the server
  return "The answer could not be shown.";
}
