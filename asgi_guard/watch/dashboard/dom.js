/* The only file that writes into the page. Routes, keys and names may be what a client has sent: they go in as text,
   never as markup, and the page's policy (`trusted-types 'none'`) forbids the browser to do otherwise. */
"use strict";

const byId = (id) => document.getElementById(id);
const list = (value) => (Array.isArray(value) ? value : []);

function put(node, text) {
  if (node.textContent !== text) node.textContent = text; // what stays the same is not painted again, nor read out
}

function make(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

function makeSvg(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/* Have as many children as there are things, keep those that are there, and fill each. */
function fillChildren(parent, things, makeOne, fillOne) {
  while (parent.children.length > things.length) parent.lastElementChild.remove();
  while (parent.children.length < things.length) parent.append(makeOne());
  things.forEach((thing, index) => fillOne(parent.children[index], thing));
}

/* Shapes tell the states apart for whoever sees no colours. */
const ICONS = {
  good: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm-1.4 14.6L6 12l1.6-1.6 3 3 6-6L18.2 9z",
  fair: "M12 2 1 21h22zm-1.2 7h2.400v6h-2.400zm0 7.600h2.400V19h-2.400z",
  poor: "M8 2h8l6 6v8l-6 6H8l-6-6V8z" +
    "m1.2 5.600L7.6 9.200l2.8 2.8-2.8 2.8 1.6 1.6 2.8-2.8 2.8 2.8 1.6-1.6-2.8-2.8 2.8-2.8-1.6-1.6-2.8 2.800z",
  none: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zM7 10.800h10v2.400H7z",
};

function makeIcon() {
  const icon = makeSvg("svg", {viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true"});
  icon.append(makeSvg("path", {d: ""}));
  return icon;
}

function setIcon(icon, mood) {
  icon.firstElementChild.setAttribute("d", ICONS[mood]);
}

/* A state: a shape, a colour and a word. */
function makeBadge() {
  const badge = make("span", "badge");
  badge.append(makeIcon(), make("span"));
  return badge;
}

function fillBadge(badge, mood, word) {
  badge.dataset.mood = mood;
  setIcon(badge.firstElementChild, mood);
  put(badge.lastElementChild, word);
}

/* A list of terms: what it is, what it says, and a word on it. A share, 0 to 100, is drawn as a bar. */
function fillTerms(terms, facts) {
  fillChildren(terms, facts, makeTerm, fillTerm);
}

function makeTerm() {
  const term = make("div", "term");
  const bar = make("dd", "bar");
  bar.setAttribute("aria-hidden", "true"); // it draws what the number says
  bar.append(make("i"));
  term.append(make("dt"), make("dd", "value"), bar, make("dd", "note quiet"));
  return term;
}

function fillTerm(term, {name, value, raw, note = "", share = null}) {
  const [label, number, bar, remark] = term.children;
  put(label, name);
  put(number, value);
  put(remark, note);
  remark.hidden = !note;
  if (isNumber(raw)) number.dataset.value = raw;
  else delete number.dataset.value;
  bar.hidden = !isNumber(share);
  if (!bar.hidden) bar.firstElementChild.style.width = `${Math.min(100, Math.max(0, share))}%`;
}
