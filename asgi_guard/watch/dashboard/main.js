/* The page: made once, filled again with each summary. */
"use strict";

const tables = Object.fromEntries(Object.entries(TABLES).map(([name, columns]) => [name, new Table(name, columns)]));
const charts = CHARTS.map((chart) => new Chart(chart));
let summaryShown = null;

const chosenWindow = () => document.querySelector('input[name="window"]:checked').value;

/* Two windows always; the hour costs the server more, and is asked for where somebody wants to see it. */
const windowsWanted = () => ["1m", "5m", ...(chosenWindow() === "60m" ? ["60m"] : [])].join(",");

function show(summary) {
  summaryShown = summary;
  fillFacts(summary);
  fillVerdict(summary);
  fillWindow();
  fillAlerts(list(summary.alerts));
  for (const chart of charts) chart.fill(summary.timeline);
  tables.refusals.fill(withShares(list(summary.refusals), "count"));
  tables.validation.fill(withShares(list(summary.validation), "count"));
  tables.policies.fill(list(summary.limiter?.policies));
  tables.keys.fill(withShares(list(summary.limiter?.keys), "refused"));
  tables.breakers.fill(list(summary.breakers));
  tables.workers.fill(list(summary.workers));
  fillSystem(summary.system ?? {});
  fillCustom(tables, summary.custom);
}

function fillWindow() {
  if (!summaryShown || !poll.asked.includes(chosenWindow())) return; // nothing is said of what was not asked for
  fillTerms(byId("figures"), figures(summaryShown, chosenWindow()));
  fillRoutes(tables.routes, summaryShown, chosenWindow());
}

/* What is shown while nobody answers is old, and looks it. */
function showTrouble(words) {
  byId("trouble").hidden = !words;
  document.body.classList.toggle("stale", Boolean(words));
  if (!words) return;
  put(byId("trouble-text"), summaryShown ? `${words} What is shown is of ${showTime(summaryShown.time)}.` : words);
}

function showTheme() {
  put(byId("theme"), theme.isDark ? "Light" : "Dark");
  byId("theme").setAttribute("aria-label", `${theme.isDark ? "Light" : "Dark"} theme`);
  recolourCharts();
}

const poll = new Poll({
  url: document.body.dataset.summary,
  windows: windowsWanted,
  onSummary: show,
  onTrouble: showTrouble,
});

function choose() {
  fillWindow();
  if (poll.asked !== windowsWanted()) poll.askNow();
}

function pause() {
  poll.setPaused(!poll.isPaused);
  put(byId("pause"), poll.isPaused ? "Go on" : "Pause");
}

for (const radio of document.querySelectorAll('input[name="window"]')) radio.addEventListener("change", choose);
byId("pause").addEventListener("click", pause);
byId("retry").addEventListener("click", () => poll.askNow());
byId("theme").addEventListener("click", () => {
  theme.toggle();
  showTheme();
});
theme.dark.addEventListener("change", showTheme);

showTheme();
poll.goOn();
