/* Charts of the last minutes. Their lines differ in dash and in words as well as in colour; all of them follow one
   cursor; each says in a sentence what it shows, and has its numbers in a table for whoever wants them. */
"use strict";

const CHART_HEIGHT = 168;
const MOST_STEPS = 59; // the axis is as long at the start as it is when all steps are there
const DASHES = [[], [7, 4], [2, 3]];

const shownCharts = [];

class Chart {
  constructor({title, series, show, top = null}) {
    Object.assign(this, {title, series, show, top, plot: null, times: []});
    this.figure = make("figure", "chart");
    this.canvas = make("div", "canvas");
    this.canvas.setAttribute("role", "img");
    this.legend = make("ul", "legend");
    this.empty = make("p", "empty", "Nothing was measured in these minutes.");
    const caption = make("figcaption");
    caption.append(make("h3", "", title), this.legend);
    this.numbers = this.makeNumbers();
    this.figure.append(caption, this.canvas, this.empty, this.numbers.details);
    this.values = series.map((one, index) => this.addToLegend(one, index));
    byId("charts").append(this.figure);
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    shownCharts.push(this);
  }

  addToLegend({label}, index) {
    const item = make("li", `series-${index}`);
    const line = makeSvg("svg", {viewBox: "0 0 22 8", class: "line", "aria-hidden": "true"});
    line.append(makeSvg("path", {d: "M1 4h20", "stroke-dasharray": DASHES[index].join(" ")}));
    const value = make("b");
    item.append(line, label + " ", value);
    this.legend.append(item);
    return value;
  }

  /* The table of a chart is filled when it is open, and costs nothing while it is not. */
  makeNumbers() {
    const details = make("details", "numbers");
    const table = make("table");
    const head = make("tr");
    for (const name of ["Time", ...this.series.map(({label}) => label)]) {
      const cell = make("th", "number", name);
      cell.scope = "col";
      head.append(cell);
    }
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    table.append(make("caption", "unseen", `${this.title}, the newest first`), top, body);
    details.append(make("summary", "quiet", "As a table"), table);
    details.querySelector("summary").append(make("span", "unseen", `: ${this.title}`));
    details.addEventListener("toggle", () => this.fillNumbers());
    return {details, body};
  }

  fillNumbers() {
    if (!this.numbers.details.open) return;
    const rows = this.times.map((_, index) => index).reverse();
    const makeRow = () => {
      const row = make("tr");
      row.append(...[this.times, ...this.columns].map(() => make("td", "number")));
      return row;
    };
    fillChildren(this.numbers.body, rows, makeRow, (row, index) => {
      put(row.children[0], showTime(this.times[index]));
      this.columns.forEach((column, at) => put(row.children[at + 1], this.show(column[index])));
    });
  }

  fill(timeline) {
    this.times = list(timeline?.times);
    this.seconds = MOST_STEPS * (timeline?.step_seconds ?? 0);
    this.columns = this.series.map(({key}) => this.times.map((_, index) => list(timeline?.[key])[index] ?? null));
    const isEmpty = !this.columns.some((column) => column.some(isNumber));
    this.canvas.hidden = isEmpty;
    this.empty.hidden = !isEmpty;
    this.numbers.details.hidden = isEmpty;
    if (!isEmpty) this.draw();
    this.fillLegend(this.plot?.cursor.idx);
    this.fillNumbers();
  }

  draw() {
    const data = [this.times, ...this.columns];
    this.canvas.setAttribute("aria-label", this.sentence());
    if (this.plot) {
      this.plot.setData(data);
      return;
    }
    this.readColours();
    this.plot = new uPlot(this.options(), data, this.canvas);
  }

  sentence() {
    const stretch = `${this.title} from ${showTime(this.times[0])} to ${showTime(this.times.at(-1))}.`;
    const each = this.columns.map((column, index) => {
      const numbers = column.filter(isNumber);
      if (!numbers.length) return `${this.series[index].label}: not measured.`;
      const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
      return `${this.series[index].label}: last ${this.show(numbers.at(-1))}, ` +
        `between ${this.show(low)} and ${this.show(high)}.`;
    });
    return [stretch, ...each].join(" ");
  }

  /* At the cursor, where there is one; otherwise the newest step, also where nothing was measured in it. */
  fillLegend(index) {
    this.columns.forEach((column, at) => put(this.values[at], this.show(column.at(index ?? -1))));
    this.legend.dataset.at = index == null ? "" : showTime(this.times[index]);
  }

  /* The canvas cannot read the style sheet: the legend's lines tell what colours it has, in this theme. */
  readColours() {
    this.colours = [...this.legend.children].map((item) => getComputedStyle(item.firstElementChild).color);
    this.ink = getComputedStyle(this.figure).getPropertyValue("color");
    this.axis = getComputedStyle(this.numbers.details.firstElementChild).color;
    this.grid = getComputedStyle(this.figure).borderTopColor;
  }

  recolour() {
    if (!this.plot) return;
    this.readColours();
    this.plot.redraw();
  }

  resize() {
    if (this.plot && this.canvas.clientWidth) this.plot.setSize({width: this.canvas.clientWidth, height: CHART_HEIGHT});
  }

  options() {
    const font = `11px ${getComputedStyle(this.figure).fontFamily}`;
    const mark = (value) => trimmed(this.show(value));
    const axis = {stroke: () => this.axis, font, ticks: {show: false}, gap: 6};
    return {
      width: this.canvas.clientWidth || 320,
      height: CHART_HEIGHT,
      padding: [8, 18, 0, 0],
      legend: {show: false},
      cursor: {y: false, drag: {x: false, y: false}, sync: {key: "time"}, points: {size: 7}},
      scales: {
        x: {range: (_, first, last) => [Math.min(first, last - this.seconds), last]},
        y: {range: (_, low, high) => [0, this.top ?? niceTop(high)]},
      },
      axes: [
        {
          ...axis, size: 26, space: 70, incrs: [60, 120, 300], grid: {show: false},
          values: (_, times) => times.map(showMinute),
        },
        {
          ...axis, size: 58, space: 36, grid: {stroke: () => this.grid, width: 1},
          values: (_, marks) => marks.map(mark),
        },
      ],
      series: [{}, ...this.series.map((one, index) => this.line(index))],
      hooks: {setCursor: [(plot) => this.fillLegend(plot.cursor.idx)]},
    };
  }

  line(index) {
    const colour = () => this.colours[index];
    return {
      stroke: colour,
      fill: index === 0 ? () => this.colours[0].replace(/^rgb\((.*)\)$/, "rgba($1, 0.1)") : undefined,
      width: 1.75,
      dash: DASHES[index],
      points: {show: true, filter: (plot, at) => lonely(plot.data[at]), size: 5, stroke: colour, fill: colour},
      spanGaps: false, // a gap in the measuring is shown as one
    };
  }
}

/* What was measured between two gaps is no line, and would not be seen. */
function lonely(column) {
  const isGap = (index) => column[index] == null;
  return [...column.keys()].filter((index) => !isGap(index) && isGap(index - 1) && isGap(index + 1));
}

/* An axis that ends a little above the highest point, and is never empty. */
function niceTop(high) {
  return high > 0 ? high * 1.15 : 1;
}

function recolourCharts() {
  for (const chart of shownCharts) chart.recolour();
}
