/* What stands in which section, and under which name: everything here is a table, a list of terms or a chart. */
"use strict";

const NO_FIGURES = {};
const WINDOW_WORDS = {"1m": "in the last minute", "5m": "in the last 5 minutes", "60m": "in the last hour"};
const SOURCE_WORDS = {cgroup2: "cgroup v2", cgroup1: "cgroup v1", psutil: "psutil", proc: "/proc"};

const figuresOf = (summary, name) => summary.windows?.[name]?.all ?? NO_FIGURES;
const of = (field) => (row) => row[field] ?? null;
const count = (name, field) => ({name, of: of(field), show: showCount, number: true});
const rate = (name, field) => ({name, of: of(field), show: showRate, number: true});
const percent = (name, field) => ({name, of: of(field), show: showPercent, number: true});
const duration = (name, field) => ({name, of: of(field), show: showDuration, number: true});
const bytes = (name, field) => ({name, of: of(field), show: showBytes, number: true});
const words = (name, field) => ({name, of: of(field)});

/* A bar below a number: its part of the largest, where that is more than a speck. */
const shareOf = (largest, value) => (isNumber(value) && value >= largest / 50 ? (100 * value) / largest : 0);
const withShares = (rows, field) => {
  const largest = Math.max(0, ...rows.map((row) => row[field] ?? 0));
  return rows.map((row) => ({...row, share: shareOf(largest, row[field])}));
};
const counted = (name, field) => ({...count(name, field), share: (row) => row.share});

const inPairs = (pairs, say) => Object.entries(pairs ?? {}).map(([name, value]) => say(name, value)).join(", ");
const attributes = {name: "Attributes", of: (row) => inPairs(row.attributes, (name, value) => `${name}=${value}`)};

const CHARTS = [
  {title: "Requests per second", show: showRate, series: [
    {key: "requests_per_second", label: "Requests"}, {key: "refusals_per_second", label: "Refused"}]},
  {title: "Latency", show: showDuration, series: [
    {key: "p50_seconds", label: "p50"}, {key: "p95_seconds", label: "p95"}, {key: "p99_seconds", label: "p99"}]},
  {title: "Errors", show: showPercent, series: [
    {key: "error_rate", label: "Server (5xx)"}, {key: "client_error_rate", label: "Client (4xx)"}]},
  {title: "CPU and memory", show: showPercent, top: 100, series: [
    {key: "cpu_percent", label: "CPU"}, {key: "memory_percent", label: "Memory"}]},
];

const TABLES = {
  routes: {
    caption: "Routes", empty: "No requests.", sortable: true, most: 10,
    columns: [
      {name: "Route", of: ({method, route}) => `${method ?? ""} ${route || "(no route)"}`.trim()},
      counted("Requests", "requests"), rate("Per second", "requests_per_second"), percent("Errors", "error_rate"),
      percent("4xx", "client_error_rate"), duration("p50", "p50_seconds"), duration("p95", "p95_seconds"),
      duration("p99", "p99_seconds")],
  },
  refusals: {
    caption: "Refusals in the last 5 minutes, by layer and reason",
    empty: "No refusals in the last 5 minutes.", most: 10,
    columns: [words("Layer", "layer"), words("Reason", "reason"), counted("Count", "count"),
      rate("Per second", "per_second")],
  },
  validation: {
    caption: "Findings of the validation in the last 5 minutes",
    empty: "The validation has found nothing in the last 5 minutes.", most: 10,
    columns: [words("Rule", "rule"), words("Found in", "location"), words("Action", "action"),
      counted("Count", "count")],
  },
  policies: {
    caption: "Decisions of the rate limit in the last 5 minutes, by policy",
    empty: "The rate limit has decided nothing in the last 5 minutes.", most: 10,
    columns: [words("Policy", "policy"), count("Admitted", "admitted"), count("Refused", "refused"),
      count("Would refuse", "would_refuse")],
  },
  keys: {
    caption: "The keys that were refused most often in the last 5 minutes, as hashes",
    empty: "No key was refused in the last 5 minutes.", most: 10,
    columns: [words("Key (hash)", "key"), words("Policy", "policy"), counted("Refused", "refused")],
  },
  breakers: {
    caption: "Circuit breakers", empty: "No circuit breaker is in use.", most: 10,
    columns: [
      words("Breaker", "name"),
      {
        name: "State", of: of("state"),
        show: (state) => breakerState(state)[1], mood: ({state}) => breakerState(state)[0],
      },
      {name: "Calls", of: ({calls}) => inPairs(calls, (result, number) => `${showCount(number)} ${result}`)},
      count("Changes", "transitions")],
  },
  workers: {
    caption: "Workers", empty: "No worker has said anything yet.", sortable: true, most: 10,
    columns: [
      {name: "Process", of: of("pid"), show: String, short: true}, count("Requests", "requests"),
      percent("CPU", "cpu_percent"), bytes("Memory", "memory_bytes"), count("Open files", "open_files"),
      duration("Loop lag", "event_loop_lag_seconds"), duration("GC pause", "gc_pause_seconds")],
  },
  timings: {
    caption: "Timings of the application", empty: "No timings.", most: 10,
    columns: [words("Timing", "name"), attributes, count("Count", "count"), duration("Mean", "mean_seconds"),
      duration("p50", "p50_seconds"), duration("p95", "p95_seconds"), duration("p99", "p99_seconds")],
  },
  counters: {
    caption: "Counters of the application", empty: "No counters.", most: 10,
    columns: [words("Counter", "name"), attributes, {...count("Total", "total"), show: showPlain},
      rate("Per second", "per_second")],
  },
  gauges: {
    caption: "Gauges of the application", empty: "No gauges.", most: 10,
    columns: [words("Gauge", "name"), attributes, {...count("Value", "value"), show: showPlain}],
  },
};

const pluralOrNothing = (number, one) => (isNumber(number) ? plural(number, one) : "");

function figures(summary, name) {
  const all = figuresOf(summary, name);
  const {cpu_percent: cpu, memory_percent: memory} = summary.system ?? {};
  const refusals = list(summary.refusals).reduce((sum, {count: number}) => sum + number, 0);
  const term = (label, show, raw, note) => ({name: label, value: show(raw), raw, note});
  return [
    term("Requests per second", showRate, all.requests_per_second, pluralOrNothing(all.requests, "request")),
    term("Errors", showPercent, all.error_rate, pluralOrNothing(all.errors, "error")),
    term("p95", showDuration, all.p95_seconds, `p50 ${showDuration(all.p50_seconds)}`),
    term("p99", showDuration, all.p99_seconds, `p99.9 ${showDuration(all.p999_seconds)}`),
    term("Refused", showCount, refusals, "in 5 minutes"),
    {...term("CPU", showPercent, cpu), share: cpu},
    {...term("Memory", showPercent, memory), share: memory},
  ];
}

function systemTerms(system) {
  const {cpu_cores: number} = system;
  const cores = isNumber(number) ? `of ${showPlain(number)} ${number === 1 ? "core" : "cores"}` : "";
  const limit = isNumber(system.memory_limit_bytes) ? ` of ${showBytes(system.memory_limit_bytes)}` : "";
  const used = isNumber(system.memory_bytes) ? showBytes(system.memory_bytes) + limit : "";
  const free = isNumber(system.disk_free_bytes) ? `${showBytes(system.disk_free_bytes)} free` : "";
  const term = (name, field, note) => {
    const percentage = system[field];
    return {name, value: showPercent(percentage), raw: percentage, note, share: percentage};
  };
  return [
    term("CPU", "cpu_percent", cores),
    term("Memory", "memory_percent", used),
    term("Disk", "disk_percent", free),
    term("Throttled", "throttled_percent", "of CPU periods"),
  ];
}

function fillSystem(system) {
  const source = SOURCE_WORDS[system.source];
  byId("system").hidden = !source;
  put(byId("source"), source ? `Measured by ${source}.` : "The system is not measured here.");
  if (source) fillTerms(byId("system"), systemTerms(system));
}

function fillCustom(tables, custom) {
  const kinds = ["timings", "counters", "gauges"];
  for (const kind of kinds) {
    document.querySelector(`[data-table="${kind}"]`).hidden = list(custom?.[kind]).length === 0;
    tables[kind].fill(list(custom?.[kind]));
  }
  byId("custom").hidden = kinds.every((kind) => list(custom?.[kind]).length === 0);
}

function fillRoutes(table, summary, name) {
  const routes = list(summary.windows?.[name]?.routes);
  put(table.empty, `No requests ${WINDOW_WORDS[name]}.`);
  table.fill(withShares(routes, "requests"), `Routes, by what was asked ${WINDOW_WORDS[name]}`);
}

function fillFacts(summary) {
  const workers = list(summary.workers).length;
  put(byId("facts"), [
    isNumber(summary.uptime_seconds) && `up ${showAge(summary.uptime_seconds)}`,
    summary.alone ? "one worker of several, each counts alone" : workers > 0 && plural(workers, "worker"),
    `as of ${showTime(summary.time)}`,
  ].filter(Boolean).join(" · "));
}
