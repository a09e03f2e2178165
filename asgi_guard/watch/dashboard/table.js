/* Tables: a caption, columns, rows that are kept from one summary to the next, and words where there are no rows. */
"use strict";

/* Whatever is wider than its place can be scrolled by keyboard, and what fits is no stop on the way. */
const scrollers = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const scroller = entry.target.closest(".scroll");
    if (scroller.scrollWidth > scroller.clientWidth) scroller.tabIndex = 0;
    else scroller.removeAttribute("tabindex");
  }
});

/* Columns: {name, of: row -> raw, show: (raw, row) -> text, number: whether it stands to the right, short: whether it
   needs little room, share: row -> 0..100 for a bar below, mood: row -> the mood of a badge}. */
class Table {
  constructor(name, {caption, empty, columns, sortable = false, most = Infinity}) {
    Object.assign(this, {columns, most, rows: [], sorted: null, isWhole: false});
    this.caption = make("caption", "unseen", caption);
    this.caption.id = `${name}-caption`;
    this.body = make("tbody");
    this.empty = make("p", "empty", empty);
    this.more = this.makeMore();
    this.scroller = this.makeScroller(sortable);
    document.querySelector(`[data-table="${name}"]`).append(this.scroller, this.more, this.empty);
    this.fill([]);
  }

  makeScroller(sortable) {
    const table = make("table");
    const head = make("tr");
    this.heads = this.columns.map((column) => this.makeHead(column, sortable));
    head.append(...this.heads);
    const top = make("thead");
    top.append(head);
    table.append(this.caption, top, this.body);
    const scroller = make("div", "scroll");
    scroller.setAttribute("role", "region");
    scroller.setAttribute("aria-labelledby", this.caption.id);
    scroller.append(table);
    scrollers.observe(scroller);
    scrollers.observe(table);
    return scroller;
  }

  makeHead(column, sortable) {
    const head = make("th", classOf(column));
    head.scope = "col";
    if (!sortable) {
      head.textContent = column.name;
      return head;
    }
    const button = make("button", "sort", column.name);
    button.type = "button";
    button.addEventListener("click", () => this.sortBy(column));
    head.append(button);
    return head;
  }

  makeMore() {
    const more = make("button", "button more");
    more.type = "button";
    more.addEventListener("click", () => {
      this.isWhole = !this.isWhole;
      this.show();
    });
    return more;
  }

  /* Numbers begin with the largest, words with A; the next press turns it round, the third gives the server's order. */
  sortBy(column) {
    const first = column.number ? -1 : 1;
    if (this.sorted?.column !== column) this.sorted = {column, direction: first};
    else if (this.sorted.direction === first) this.sorted.direction = -first;
    else this.sorted = null;
    this.heads.forEach((head, index) => {
      const is = this.sorted?.column === this.columns[index];
      if (is) head.setAttribute("aria-sort", this.sorted.direction > 0 ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    this.show();
  }

  fill(rows, caption = "") {
    this.rows = rows;
    if (caption) put(this.caption, caption);
    this.show();
  }

  show() {
    const rows = this.inOrder();
    this.scroller.hidden = rows.length === 0;
    this.empty.hidden = rows.length > 0;
    this.more.hidden = rows.length <= this.most;
    put(this.more, this.isWhole ? "Show fewer" : `Show all ${rows.length}`);
    this.more.setAttribute("aria-expanded", String(this.isWhole));
    const shown = this.isWhole ? rows : rows.slice(0, this.most);
    fillChildren(this.body, shown, () => this.makeRow(), (row, data) => this.fillRow(row, data));
  }

  inOrder() {
    if (!this.sorted) return this.rows;
    const {column, direction} = this.sorted;
    return [...this.rows].sort((one, other) => compare(column.of(one), column.of(other), direction));
  }

  makeRow() {
    const row = make("tr");
    for (const [index, column] of this.columns.entries()) {
      const cell = make(index === 0 ? "th" : "td", classOf(column));
      if (index === 0) cell.scope = "row";
      if (column.mood) cell.append(makeBadge());
      row.append(cell);
    }
    return row;
  }

  fillRow(row, data) {
    this.columns.forEach((column, index) => {
      const cell = row.children[index];
      const raw = column.of(data);
      const text = column.show ? column.show(raw, data) : String(raw ?? "");
      if (column.mood) fillBadge(cell.firstElementChild, column.mood(data), text);
      else put(cell, text);
      if (isNumber(raw)) cell.dataset.value = raw;
      else delete cell.dataset.value;
      if (column.share) cell.style.setProperty("--share", `${column.share(data)}%`);
    });
  }
}

const classOf = ({number, short}) => (number ? "number" : short ? "short" : "");

/* What was not measured comes last, whichever way the rest is sorted. */
function compare(one, other, direction) {
  if (one == null || other == null) return (one == null) - (other == null);
  return direction * (isNumber(one) ? one - other : String(one).localeCompare(String(other), "en"));
}
