// The last 24 hours: grants and what was left of the budget above, waits below, on one axis of time.

const DAY = 24 * 3600e3, SPAN = 10 * 60e3; // the server's historySpan
const hourly = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const wait = ms => ms < 1e3 ? Math.round(ms) + ' ms' : span(ms);

// historyView is what the history means at a moment: texts, and points from 0 to 1, the left and the lower end being 0.
function historyView(history, left, t, offset) {
  const from = t - DAY, day = history.day, at = s => (s.at - from) / DAY;
  const spans = history.spans.filter(s => s.at + SPAN > from && s.at < t);
  const most = Math.max(1, ...spans.map(s => s.granted)), total = Math.max(1, ...spans.map(s => s.total || 0), left || 0);
  const x = s => Math.max(0, at(s)), w = s => Math.min(1, at(s) + SPAN / DAY) - x(s);
  return {
    sum: !spans.length ? 'nothing was granted in a minute that is over' :
      day.granted + ' granted' + (day.returned ? ', ' + day.returned + ' given back' : '') + '; half waited up to ' + wait(day.p50) + ', 99 of 100 up to ' + wait(day.p99),
    empty: !spans.length, most, total,
    bars: spans.filter(s => s.granted).map(s => ({ x: x(s), w: w(s), h: s.granted / most })),
    left: steps(spans.filter(s => s.left !== undefined).map(s => ({ x: at(s) + SPAN / DAY, y: s.left / total })), left === undefined ? undefined : left / total),
    p50: runs(spans, s => ({ x: at(s) + SPAN / DAY / 2, y: decade(s.p50) })),
    p99: runs(spans, s => ({ x: at(s) + SPAN / DAY / 2, y: decade(s.p99) })),
    ticks: ticks(from, t, offset),
    rows: history.hours.filter(s => s.at + 3600e3 > from).reverse().map(s => [date(s.at - offset), String(s.granted), s.returned ? String(s.returned) : '',
      s.left === undefined ? 'not known' : s.left + ' of ' + s.total, s.granted ? wait(s.p50) : '', s.granted ? wait(s.p99) : '']),
  };
}

// What was left stays so until something is granted; at the right end it is what is left now.
function steps(points, now) {
  const line = [];
  for (const p of points) {
    const x = Math.max(0, Math.min(1, p.x));
    if (line.length) line.push({ x, y: line.at(-1).y });
    line.push({ x, y: p.y });
  }
  if (line.length) line.push({ x: 1, y: line.at(-1).y });
  if (line.length && now !== undefined) line.push({ x: 1, y: now });
  return line;
}

// A line joins spans that follow one another: between others nobody waited.
function runs(spans, point) {
  const lines = [];
  let before = -Infinity;
  for (const s of spans) {
    if (!s.granted) continue;
    if (s.at - before > SPAN) lines.push([]);
    lines.at(-1).push(point(s));
    before = s.at;
  }
  return lines;
}

// Waits go from milliseconds to a day: each power of ten takes as much room.
const DECADES = [[1, '1 ms'], [100, '0.1 s'], [10e3, '10 s'], [1e6, '17 min'], [100e6, '28 h']];
const decade = ms => Math.min(1, Math.log10(Math.max(1, ms)) / 8);

// Every sixth hour on the clock of the reader, whole hours only.
function ticks(from, t, offset) {
  const list = [];
  for (let at = Math.ceil((from - offset) / 3600e3) * 3600e3; at < t - offset; at += 3600e3) {
    if (new Date(at).getHours() % 6 === 0) list.push({ x: (at + offset - from) / DAY, text: hourly.format(at) });
  }
  return list;
}

let drawnHistory = '';
function drawHistory(picture, t) {
  const { history, state } = picture, root = $('history');
  $('history-box').hidden = !history;
  if (!history) return;
  const left = state.budget.unknown || !state.budget.total ? undefined : state.budget.remaining;
  const width = root.clientWidth || $('history-box').clientWidth - 2, key = [width, Math.floor(t / 60e3), left].join();
  if (drawnHistory === key && root.history === history) return;
  drawnHistory = key;
  root.history = history;
  const shown = historyView(history, left, t, picture.offset);
  put($('history-sum'), shown.sum);
  for (const id of ['history-legend', 'history-more']) $(id).hidden = shown.empty;
  root.toggleAttribute('hidden', shown.empty);
  drawRows(shown.rows);
  if (shown.empty || width < 1) return;
  const l = 42, r = 34, top = 10, upper = 96, gap = 20, lower = 84, w = width - l - r, height = top + upper + gap + lower + 24;
  attr(root, 'height', height);
  attr(root, 'viewBox', '0 0 ' + width + ' ' + height);
  root.replaceChildren();
  const line = (x1, y1, x2, y2) => svg('line', { class: 'grid-line', x1, y1, x2, y2 }, root);
  const text = (x, y, anchor, words) => { svg('text', { x, y, 'text-anchor': anchor }, root).textContent = words; };
  const X = x => +(l + x * w).toFixed(1), U = y => +(top + upper * (1 - y)).toFixed(1), L = y => +(top + upper + gap + lower * (1 - y)).toFixed(1);
  const path = points => 'M' + points.map(p => p.join(' ')).join('L');
  for (const tick of shown.ticks) {
    line(X(tick.x), top, X(tick.x), L(0));
    text(Math.min(X(tick.x), width - 18), height - 7, 'middle', tick.text);
  }
  for (const y of [0, 0.5, 1]) line(l, U(y), l + w, U(y));
  text(l - 5, U(1) + 8, 'end', String(shown.most));
  text(l - 5, U(0), 'end', '0');
  text(l + w + 4, U(1) + 8, 'start', brief(shown.total));
  text(l + w + 4, U(0), 'start', '0');
  for (const [ms, words] of DECADES) {
    line(l, L(decade(ms)), l + w, L(decade(ms)));
    text(l - 5, L(decade(ms)) + 4, 'end', words);
  }
  svg('path', { class: 'h-granted', d: shown.bars.map(b => `M${X(b.x)} ${U(0)}V${U(b.h)}h${Math.max(1, b.w * w - (w > 500 ? 1 : 0)).toFixed(1)}V${U(0)}z`).join('') }, root);
  if (shown.left.length) svg('path', { class: 'h-left', d: path(shown.left.map(p => [X(p.x), U(p.y)])) }, root);
  for (const name of ['p50', 'p99']) {
    for (const points of shown[name]) {
      const [x, y] = [X(points[0].x), L(points[0].y)];
      svg('path', { class: 'h-' + name + (points.length > 1 ? '' : ' h-dot'), d: points.length > 1 ? path(points.map(p => [X(p.x), L(p.y)])) : `M${x} ${y}h0` }, root);
    }
  }
}

const brief = n => n < 1e4 ? String(n) : Math.round(n / 1e3) + 'k';

function drawRows(rows) {
  fill($('history-rows'), rows, body => {
    const row = body.insertRow();
    make('th', '', row).scope = 'row';
    for (let i = 0; i < 5; i++) make('td', '', row);
  }, (row, cells) => cells.forEach((words, i) => put(row.cells[i], words)));
}
