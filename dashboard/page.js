'use strict';
// Draws what the server tells. The server sends moments on the queue's clock
// when something changes; in between, this page counts down by itself.

const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';
const still = matchMedia('(prefers-reduced-motion: reduce)');
const SMALL = 48; // more buckets than this get small cells
const ROWS = 96;  // more than this do not fit a timeline

let state = null;      // the last one
let offset = 0;        // the queue's clock less this machine's, ms
let grants = new Map(); // by number
let link = 'connecting';
let said = 0;

const now = () => Date.now() + offset;

function put(el, text) { if (el.textContent !== text) el.textContent = text; }
function attr(el, name, value) { value = String(value); if (el.getAttribute(name) !== value) el.setAttribute(name, value); }
function make(tag, className, parent) {
  const el = document.createElement(tag);
  if (className) el.className = className;
  if (parent) parent.append(el);
  return el;
}

// 3.2 s, 4 min 10 s, 13 h 59 min
function span(ms) {
  if (ms < 0) ms = 0;
  if (ms < 60e3) return (ms / 1e3).toFixed(1) + ' s';
  if (ms < 3600e3) return Math.floor(ms / 60e3) + ' min ' + Math.floor(ms % 60e3 / 1e3) + ' s';
  return Math.floor(ms / 3600e3) + ' h ' + Math.floor(ms % 3600e3 / 60e3) + ' min';
}
const whole = ms => ms < 60e3 ? Math.ceil(ms / 1e3) + ' s' : span(ms);
const clock = ms => new Date(ms - offset).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const many = (n, one, more) => n + ' ' + (n === 1 ? one : more || one + 's');
const place = p => p.text || 'shard ' + p.shard + (p.pod ? ' of ' + p.pod : '');

// --- the stream ---------------------------------------------------------------

function listen() {
  const stream = new EventSource(location.pathname.replace(/\/?$/, '/events'));
  stream.onopen = () => setLink('live');
  stream.onmessage = event => {
    const m = JSON.parse(event.data);
    if (m.now) offset = m.now + m.age - Date.now();
    if (m.state) state = m.state;
    for (const g of m.grants || []) grants.set(g.id, g);
    $('trouble').hidden = !m.trouble;
    put($('trouble'), m.trouble ? 'The queue cannot be read, so this is how it was' + (m.now ? ' at ' + clock(m.now) : '') + ': ' + m.trouble : '');
    setLink(m.trouble ? 'stale' : 'live');
    draw();
  };
  stream.onerror = () => {
    setLink('away');
    if (stream.readyState === EventSource.CLOSED) { // refused: the browser does not try again
      stream.close();
      setTimeout(listen, 5000);
    } else {
      grants = new Map(); // another server may number them anew
    }
  };
}

function setLink(to) {
  link = to;
  $('link').className = to === 'live' ? 'live' : to === 'connecting' ? '' : 'away';
  put($('link-text'), { live: 'live', stale: 'the queue does not answer', away: 'no connection to the server, trying again', connecting: 'connecting' }[to]);
}

// --- drawing ------------------------------------------------------------------

function draw() {
  if (!state) return;
  put($('app'), state.app || '');
  drawProgress();
  drawBudget();
  put($('waiting'), String(state.waiting));
  put($('pods'), state.pods.length ? many(state.pods.length, 'pod') + ': ' + some(state.pods, 3) : state.waiting ? 'in one process' : 'nobody');
  drawBuckets();
  drawSpent();
  drawLatest();
  tick();
  say();
  document.title = (state.waiting ? state.waiting + ' waiting · ' : '') + 'gatewayqueue' + (state.app ? ' ' + state.app : '');
}

const some = (names, n) => names.slice(0, n).join(', ') + (names.length > n ? ' and ' + (names.length - n) + ' more' : '');

function drawProgress() {
  const p = state.progress, percent = p.of ? Math.floor(100 * p.up / p.of) : 100;
  put($('progress-text'), p.of ? p.up + ' of ' + p.of + ' granted' : 'nothing to do');
  attr($('progress'), 'aria-valuenow', percent);
  attr($('progress'), 'aria-valuetext', p.of ? p.up + ' of ' + p.of : 'nothing to do');
  $('progress').firstElementChild.style.width = percent + '%';
}

function drawBudget() {
  const b = state.budget, percent = b.total ? Math.round(100 * b.remaining / b.total) : 0;
  put($('budget-text'), b.unknown ? 'unknown' : b.remaining + ' of ' + b.total + ' left');
  $('budget').className = 'bar' + (percent < 20 ? ' low' : '');
  attr($('budget'), 'aria-valuenow', b.unknown ? 0 : percent);
  attr($('budget'), 'aria-valuetext', b.unknown ? 'unknown' : percent + ' percent');
  $('budget').firstElementChild.style.width = (b.unknown ? 0 : percent) + '%';
}

const cells = [];

function drawBuckets() {
  const list = $('buckets');
  list.className = 'grid' + (state.buckets.length > SMALL ? ' small' : '');
  while (cells.length > state.buckets.length) cells.pop().el.remove();
  while (cells.length < state.buckets.length) cells.push(newCell(list));
  state.buckets.forEach((b, i) => {
    const c = cells[i];
    put(c.number, String(b.id));
    put(c.who, b.holder ? place(b.holder) : '');
    c.who.title = c.who.textContent;
    const line = (b.line || []).map(p => p.shard >= 0 ? p.shard : p.text);
    put(c.count, b.waiting ? b.waiting + ' waiting' : '');
    put(c.next, b.waiting ? ': ' + line.join(' ') + (b.waiting > line.length ? ' …' : '') : 'no line');
    c.queue.title = (b.line || []).map(place).join('\n');
  });
}

function newCell(list) {
  const el = make('li', 'bucket', list), top = make('header', '', el);
  const h = make('h3', '', top), word = make('span', 'word', h);
  word.textContent = 'Bucket ';
  const cell = { el, number: make('span', '', h), slot: make('span', 'slot', top), shut: make('div', 'bar', el) };
  attr(cell.shut, 'aria-hidden', 'true'); // the words say it
  make('span', '', cell.shut);
  cell.who = make('div', 'who', el);
  cell.queue = make('div', 'queue', el);
  cell.count = make('b', '', cell.queue);
  cell.next = make('span', '', cell.queue);
  return cell;
}

function drawSpent() {
  const rows = state.spent || [], body = $('spent'), most = Math.max(10, ...rows.map(s => s.count)); // one or two are no cause for a long bar
  put($('spent-sum'), state.shards ? many(state.identifies, 'identify', 'identifies') + ' by ' + many(state.shards, 'shard') +
    (state.shards > rows.length ? ', the first ' + rows.length + ' shown' : '') + (state.resting ? '; ' + many(state.resting, 'shard') + ' at rest: identified too often' : '') : 'nobody yet in this period');
  while (body.rows.length > rows.length) body.deleteRow(-1);
  while (body.rows.length < rows.length) {
    const row = body.insertRow();
    const th = make('th', '', row);
    th.scope = 'row';
    const cell = make('td', '', row), bar = make('div', 'bar', cell);
    attr(bar, 'aria-hidden', 'true');
    make('span', '', bar);
    make('span', 'n', cell);
  }
  rows.forEach((s, i) => {
    const [name, cell] = body.rows[i].cells;
    put(name, String(s.shard));
    cell.firstElementChild.firstElementChild.style.width = 100 * s.count / most + '%';
    put(cell.lastElementChild, String(s.count));
  });
}

const sorted = () => [...grants.values()].sort((a, b) => b.at - a.at || b.id - a.id);

function drawLatest() {
  const list = $('latest'), latest = sorted().slice(0, 15);
  while (list.children.length > latest.length) list.lastChild.remove();
  while (list.children.length < latest.length) make('li', '', list);
  latest.forEach((g, i) => put(list.children[i], clock(g.at) + ' – bucket ' + g.bucket + ': ' + place(g) +
    (g.permit ? ', which still dials' : g.not_sent ? ', which did not identify' : '')));
}

// For those who listen: seldom, and in one sentence.
function say() {
  if (Date.now() - said < 10e3) return;
  said = Date.now();
  const p = state.progress;
  put($('say'), link !== 'live' ? '' : state.waiting ? p.up + ' of ' + p.of + ' granted, ' + state.waiting + ' waiting' +
    (p.eta && !p.starved ? ', about ' + whole(p.eta - now()) + ' left' : '') : 'Nobody waits.');
}

// --- what moves between two events ---------------------------------------------

function tick() {
  if (!state) return;
  const t = now(), p = state.progress, b = state.budget;
  put($('eta'), p.starved ? (b.unknown ? 'nothing is granted until the budget is known' : 'the budget does not last: the rest waits for the reset')
    : state.waiting && p.eta ? 'the last in line gets its turn in about ' + whole(p.eta - t)
      : p.ended ? 'done in ' + span(p.ended - p.began) + ', at ' + clock(p.ended) : '');
  put($('reset'), b.unknown ? 'nothing is granted until a pod has seeded it' : b.reset ? 'full again in ' + whole(b.reset - t) + ', at ' + clock(b.reset)
    : 'no period has begun');
  const notes = [], source = state.source;
  if (b.never) notes.push(b.never.replace(/^\w+: /, '') + '.');
  if (source) notes.push('The source of the limits fails: ' + source.error + (source.ask_after > t ? '; it is asked again in ' + whole(source.ask_after - t) : '') + '.');
  if (state.hold > t) notes.push('Every bucket is held closed for ' + span(state.hold - t) + ', after a change of limits or a loss of state.');
  $('hold').hidden = !notes.length;
  if (notes.length) put($('hold'), notes.join(' '));
  let open = 0;
  state.buckets.forEach((bucket, i) => {
    const left = (bucket.opens || 0) - t, c = cells[i];
    const kind = left <= 0 ? 'open' : bucket.permit ? 'permit' : bucket.holder ? 'closed' : 'held';
    if (kind === 'open') open++;
    if (c.kind !== kind) c.el.className = 'bucket ' + (c.kind = kind);
    put(c.slot, kind === 'open' ? 'open' : kind + (kind === 'permit' ? ' ≤ ' : ' ') + span(left)); // a permit may be reported sooner
    c.shut.firstElementChild.style.width = Math.max(0, Math.min(100, 100 * left / state.step)) + '%';
    if (kind === 'open') put(c.who, '');
  });
  put($('buckets-sum'), many(state.buckets.length, 'bucket') + ', ' + open + ' open');
  drawTimeline(t);
}

const bars = new Map();
let laid = '', moving = null;

function svg(tag, attributes, parent) {
  const el = document.createElementNS(SVG, tag);
  for (const name in attributes) el.setAttribute(name, attributes[name]);
  if (parent) parent.append(el);
  return el;
}

function drawTimeline(t) {
  const root = $('timeline'), width = root.clientWidth, rows = Math.min(ROWS, state.buckets.length);
  if (!width) return;
  const seconds = width < 560 ? 30 : 60, label = 30, scale = (width - label) / (seconds * 1e3);
  const row = rows > 32 ? 6 : rows > 12 ? 16 : 24, height = rows * row + 24;
  const layout = [width, rows, row].join();
  if (layout !== laid) {
    laid = layout;
    root.replaceChildren();
    bars.clear();
    attr(root, 'height', height);
    attr(root, 'viewBox', '0 0 ' + width + ' ' + height);
    put($('span'), String(seconds));
    const clip = svg('clipPath', { id: 'clip' }, root);
    svg('rect', { x: label, y: 0, width: width - label, height }, clip);
    for (let s = 0; s <= seconds; s += 10) {
      const x = width - s * 1e3 * scale;
      svg('line', { class: 'grid-line', x1: x, x2: x, y1: 0, y2: rows * row + 4 }, root);
      if (x > label + 20) svg('text', { x: x - 4, y: height - 6, 'text-anchor': 'end' }, root).textContent = s ? '-' + s + ' s' : 'now';
    }
    for (let i = 0; i < rows; i += row < 10 ? 8 : 1) {
      svg('text', { x: label - 6, y: i * row + row / 2 + 6, 'text-anchor': 'end' }, root).textContent = state.buckets[i].id;
    }
    moving = svg('g', {}, svg('g', { 'clip-path': 'url(#clip)' }, root));
  }
  const first = t - seconds * 1e3 - 2 * state.step;
  for (const [id, g] of grants) if (g.until < first && g.at < first) grants.delete(id);
  for (const [id, el] of bars) if (!grants.has(id)) { el.remove(); bars.delete(id); }
  for (const g of grants.values()) {
    const i = state.buckets.findIndex(b => b.id === g.bucket);
    if (i < 0 || i >= rows) continue;
    const version = [g.until, g.permit, g.not_sent].join();
    let el = bars.get(g.id);
    if (el && el.version === version) continue;
    if (el) el.remove();
    el = svg('g', {}, moving);
    el.version = version;
    bars.set(g.id, el);
    const x = (g.at - base()) * scale, w = Math.max(3, (g.until - g.at) * scale - 1), y = i * row + 4, h = row - (row < 10 ? 1 : 4);
    svg('rect', { class: 'g' + (g.permit ? ' permit' : g.not_sent ? ' unsent' : ''), x, y, width: w, height: h, rx: Math.min(4, h / 3) }, el);
    svg('rect', { class: g.permit || g.not_sent ? 'permit-mark' : 'mark', x, y, width: 3, height: h }, el);
    if (g.not_sent) svg('path', { class: 'cross', d: `M${x + 6} ${y + 2}l${h - 4} ${h - 4}m0 ${4 - h}l${4 - h} ${h - 4}` }, el);
    else if (h >= 10 && w > 22) svg('text', { class: 'in-bar', x: x + 8, y: y + h / 2 + 4 }, el).textContent = g.shard;
    svg('title', {}, el).textContent = clock(g.at) + ', bucket ' + g.bucket + ': ' + place(g);
  }
  moving.setAttribute('transform', `translate(${width - (t - base()) * scale} 0)`);
}

// Bars are placed relative to a moment that stays, so that only the group moves.
let origin = 0;
function base() { return origin || (origin = now()); }

addEventListener('resize', () => tick());
setInterval(() => { if (!still.matches || Date.now() % 1000 < 100) tick(); }, 100);
listen();
