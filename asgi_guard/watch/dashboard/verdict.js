/* Is it well? One answer out of the alerts and the breakers, since the thresholds in them are those that somebody chose
   for this application; the page has no opinion of its own. */
"use strict";

const BREAKER_STATES = {
  closed: ["good", "Closed"],
  half_open: ["fair", "Trying again"],
  open: ["poor", "Open"],
  forced_open: ["poor", "Held open"],
  disabled: ["none", "Disabled"],
  metrics_only: ["none", "Only counting"],
};

const breakerState = (state) => BREAKER_STATES[state] ?? ["none", String(state)];
const isGrave = (alert) => alert.severity === "high" || alert.severity === "critical";

function judge(summary) {
  const alerts = list(summary.alerts);
  const firing = alerts.filter((alert) => alert.state === "firing");
  const pending = alerts.filter((alert) => alert.state === "pending");
  const open = list(summary.breakers).filter(({state}) => breakerState(state)[0] === "poor");
  const trying = list(summary.breakers).filter(({state}) => breakerState(state)[0] === "fair");
  const reasons = [
    ...firing.map((alert) => alert.message || alert.name),
    ...open.map(({name}) => `The breaker ${name} is open`),
    ...pending.map(({name}) => `${name} may be about to fire`),
    ...trying.map(({name}) => `The breaker ${name} tries again`),
  ];
  if (firing.some(isGrave) || open.length) return {mood: "poor", title: "Something is wrong", reasons};
  if (reasons.length) return {mood: "fair", title: "Worth a look", reasons};
  return calm(summary, alerts);
}

function calm(summary, alerts) {
  const said = alerts.length ? `None of ${plural(alerts.length, "alert")} is firing` : "No alerts are set";
  const {requests} = figuresOf(summary, "5m");
  if (!isNumber(requests)) return {mood: "none", title: "Nothing is known yet", reasons: [said]};
  const title = requests === 0 ? "All is quiet" : "All is well";
  return {mood: "good", title, reasons: requests === 0 ? ["No requests in the last 5 minutes", said] : [said]};
}

/* As many reasons as can be read at a look. */
function inSentences(reasons) {
  const rest = reasons.length - 3;
  const said = [...reasons.slice(0, 3), ...(rest > 0 ? [`There are ${showCount(rest)} more reasons`] : [])];
  return said.map((reason) => `${reason}.`).join(" ");
}

function fillVerdict(summary) {
  const {mood, title, reasons} = judge(summary);
  document.querySelector(".verdict").dataset.mood = mood;
  setIcon(byId("verdict-icon"), mood);
  put(byId("verdict"), title);
  put(byId("reason"), inSentences(reasons));
  const firing = list(summary.alerts).filter((alert) => alert.state === "firing").length;
  const name = document.body.dataset.title;
  const called = firing ? `(${firing}) ${name}` : name; // seen from another tab
  if (document.title !== called) document.title = called;
}

/* Alerts: those that fire come first. What changes is read out once, and only that. */

const ALERT_STATES = {firing: ["poor", "Firing"], pending: ["fair", "Pending"], ok: ["good", "OK"]};
const ALERT_ORDER = ["firing", "pending", "ok"];
const SEVERITIES = ["critical", "high", "medium", "low"];
const place = (order, one) => (order.indexOf(one) + order.length + 1) % (order.length + 1); // the unknown come last

let alertsBefore = null;

function fillAlerts(alerts) {
  const sorted = [...alerts].sort((one, other) =>
    place(ALERT_ORDER, one.state) - place(ALERT_ORDER, other.state) ||
    place(SEVERITIES, one.severity) - place(SEVERITIES, other.severity));
  byId("alert-list").hidden = sorted.length === 0;
  byId("no-alerts").hidden = sorted.length > 0;
  put(byId("no-alerts"), "No alerts are set.");
  fillChildren(byId("alert-list"), sorted, makeAlert, fillAlert);
  announce(alerts);
}

function makeAlert() {
  const item = make("li", "alert");
  item.append(makeBadge(), make("span", "message"), make("span", "quiet"));
  return item;
}

function fillAlert(item, alert) {
  const [badge, message, note] = item.children;
  const [mood, word] = ALERT_STATES[alert.state] ?? ["none", String(alert.state)];
  item.dataset.mood = mood;
  fillBadge(badge, mood, word);
  const since = isNumber(alert.since) && `since ${showTime(alert.since)}`;
  put(message, alert.state === "ok" ? quietly(alert) : alert.message || alert.name);
  put(note, alert.state === "ok" ? "" : [alert.severity, since].filter(Boolean).join(", "));
}

function quietly({name, value, threshold, unit}) {
  const limit = `limit ${trimmed(showWithUnit(unit, threshold))}`;
  const now = isNumber(value) ? showWithUnit(unit, value) : "nothing to judge yet";
  return `${name}: ${now}, ${limit}`;
}

function announce(alerts) {
  const now = new Map(alerts.filter(({state}) => state === "firing").map((alert) => [alert.name, alert]));
  if (alertsBefore) {
    const begun = [...now.values()].filter(({name}) => !alertsBefore.has(name));
    const over = [...alertsBefore.values()].filter(({name}) => !now.has(name));
    const words = begun.map(({name, message}) => `Alert: ${message || name}.`);
    words.push(...over.map(({name}) => `${name} is over.`));
    if (words.length) put(byId("announced"), words.join(" "));
  } else if (now.size) {
    put(byId("announced"), `${plural(now.size, "alert")} firing.`);
  }
  alertsBefore = now;
}
