/* Numbers as a person reads them. What was not measured is a dash, never a zero. */
"use strict";

const NOT_MEASURED = "–";
const HARD_SPACE = "\u00a0"; // a number and its unit stay on one line

const formats = new Map();

function fixed(value, digits) {
  let format = formats.get(digits);
  if (!format) {
    format = new Intl.NumberFormat("en", {minimumFractionDigits: digits, maximumFractionDigits: digits});
    formats.set(digits, format); // to make one costs more than to use it a thousand times
  }
  return format.format(value);
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const orDash = (show) => (value) => (isNumber(value) ? show(value) : NOT_MEASURED);
const withUnit = (number, unit) => number + HARD_SPACE + unit;

/* Three figures are as many as anybody compares. */
function threeFigures(value) {
  const size = Math.abs(value);
  return fixed(value, size === 0 || size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

/* Where nothing stands below it, a number needs no zeros at its end: "7.50 %" is "7.5 %". */
const trimmed = (text) => text.replace(/(\.\d*?)0+(?!\d)/, "$1").replace(/\.(?!\d)/, "");

const showCount = orDash((value) => fixed(value, 0));
const showRate = orDash((value) => (value > 0 && value < 0.005 ? "<" + HARD_SPACE + "0.01" : threeFigures(value)));
const showPercent = (value) => (isNumber(value) ? withUnit(showRate(value), "%") : NOT_MEASURED);
const showPlain = orDash((value) => (Number.isInteger(value) ? fixed(value, 0) : String(Number(value.toPrecision(6)))));

const showDuration = orDash((seconds) => {
  if (seconds >= 120) return showAge(seconds);
  if (seconds >= 0.9995) return withUnit(threeFigures(seconds), "s");
  if (seconds >= 0.0009995) return withUnit(threeFigures(seconds * 1e3), "ms");
  return seconds === 0 ? withUnit("0", "s") : withUnit(threeFigures(seconds * 1e6), "µs");
});

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

const showBytes = orDash((bytes) => {
  let power = 0;
  while (bytes >= 1023.5 && power < BYTES.length - 1) {
    bytes /= 1024;
    power += 1;
  }
  return withUnit(power ? threeFigures(bytes) : fixed(bytes, 0), BYTES[power]);
});

const AGES = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/* The two largest units: "2 d 3 h". */
const showAge = orDash((seconds) => {
  let rest = Math.max(0, Math.round(seconds));
  const first = Math.max(0, AGES.findIndex(([size]) => rest >= size));
  if (rest === 0) return withUnit("0", "s");
  const words = [];
  for (const [size, unit] of AGES.slice(first, first + 2)) {
    const number = Math.floor(rest / size);
    rest -= number * size;
    if (number) words.push(withUnit(fixed(number, 0), unit));
  }
  return words.join(" ");
});

const clock = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit", second: "2-digit"});
const minutes = new Intl.DateTimeFormat("en-GB", {hour: "2-digit", minute: "2-digit"});
const showMinute = (time) => minutes.format(time * 1000);
const showTime = orDash((time) => clock.format(time * 1000));

const plural = (number, one, many = one + "s") => `${showCount(number)} ${number === 1 ? one : many}`;

const UNITS = {"%": showPercent, "s": showDuration};
const showWithUnit = (unit, value) => UNITS[unit]?.(value) ?? [showPlain(value), unit].filter(Boolean).join(HARD_SPACE);
