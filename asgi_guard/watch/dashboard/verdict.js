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
    ...open.map(({name}) => `the breaker ${name} is open`),
    ...pending.map(({name}) => `${name} may be about to fire`),
    ...trying.map(({name}) => `the breaker ${name} tries again`),
  ];
  if (firing.some(isGrave) || open.length) return {mood: "poor", title: "Something is wrong", reasons};
  if (reasons.length) return {mood: "fair", title: "Worth a look", reasons};
  return {mood: "good", ...calm(summary, alerts)};
}

function calm(summary, alerts) {
  const said = alerts.length ? `None of ${plural(alerts.length, "alert")} is firing` : "No alerts are set";
  const requests = figuresOf(summary, "5m").requests;
  if (requests === 0) return {title: "All is quiet", reasons: ["No requests in the last 5 minutes", said.toLowerCase()]};
  return {title: "All is well", reasons: [said]};
}

/* As many reasons as can be read at a look. */
function sentence(reasons) {
  const rest = reasons.length - 3;
  const words = reasons.slice(0, 3).join("; ") + (rest > 0 ? `; and ${showCount(rest)} more` : "");
  return words && words[0].toUpperCase() + words.slice(1) + ".";
}

function fillVerdict(summary) {
  const {mood, title, reasons} = judge(summary);
  document.querySelector(".verdict").dataset.mood = mood;
  setIcon(byId("verdict-icon"), mood);
  put(byId("verdict"), title);
  put(byId("reason"), sentence(reasons));
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
  put(message, alert.state === "ok" ? quietly(alert) : alert.message || alert.name);
  put(note, alert.state === "ok" ? "" : [alert.severity, isNumber(alert.since) && `since ${showTime(alert.since)}`].filter(Boolean).join(", "));
}

function quietly({name, value, threshold, unit}) {
  const limit = `limit ${showIn(unit, threshold)}`;
  return isNumber(value) ? `${name}: ${showIn(unit, value)}, ${limit}` : `${name}: nothing to judge yet, ${limit}`;
}

function announce(alerts) {
  const now = new Map(alerts.filter(({state}) => state === "firing").map((alert) => [alert.name, alert]));
  if (alertsBefore) {
    const begun = [...now.values()].filter(({name}) => !alertsBefore.has(name)).map(({name, message}) => `Alert: ${message || name}.`);
    const over = [...alertsBefore.keys()].filter((name) => !now.has(name)).map((name) => `${name} is over.`);
    if (begun.length || over.length) put(byId("announced"), [...begun, ...over].join(" "));
  } else if (now.size) {
    put(byId("announced"), `${plural(now.size, "alert")} firing.`);
  }
  alertsBefore = now;
}
