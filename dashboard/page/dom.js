// The document: short ways to change it, and only where something changed.

const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';

function put(el, text) { if (el.textContent !== text) el.textContent = text; }
function attr(el, name, value) { value = String(value); if (el.getAttribute(name) !== value) el.setAttribute(name, value); }
function make(tag, className, parent) {
  const el = document.createElement(tag);
  if (className) el.className = className;
  if (parent) parent.append(el);
  return el;
}
function svg(tag, attributes, parent) {
  const el = document.createElementNS(SVG, tag);
  for (const name in attributes) el.setAttribute(name, attributes[name]);
  if (parent) parent.append(el);
  return el;
}

// fill makes a parent have as many children as there are rows, by add, and draws each.
function fill(parent, rows, add, draw) {
  while (parent.children.length > rows.length) parent.lastElementChild.remove();
  while (parent.children.length < rows.length) add(parent);
  rows.forEach((row, i) => draw(parent.children[i], row));
}

// level draws a bar of the progress or the budget.
function level(bar, percent, words) {
  attr(bar, 'aria-valuenow', percent);
  attr(bar, 'aria-valuetext', words);
  bar.firstElementChild.style.width = percent + '%';
}
