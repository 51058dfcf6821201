// The timeline: the last minute of grants, by bucket, in SVG. Bars stay where they are; their group moves.

const ROWS = 96; // more buckets than this do not fit
const bars = new Map();
let laid = '', moving = null;

// hueOf gives each pod a colour, while there are no more than there are colours. Its name says the same.
const HUES = 8;
const hues = new Map();
function hueOf(pod) {
  if (!hues.has(pod)) {
    if (hues.size >= HUES) forgetHues();
    const taken = new Set(hues.values()), free = [...Array(HUES).keys()].find(n => !taken.has(n));
    if (!pod || free === undefined) return '';
    hues.set(pod, free);
  }
  return ' hue' + hues.get(pod);
}

// forgetHues frees the colours of pods that are shown nowhere any more.
function forgetHues() {
  const shown = new Set([...picture.state.pods.map(p => p.name), ...[...grants.values()].map(g => g.pod)]);
  for (const name of hues.keys()) if (!shown.has(name)) hues.delete(name);
}

function drawTimeline(state, grants, t, offset) {
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
  const gone = g => !g || g.until < first && g.at < first;
  for (const [id, el] of bars) if (gone(grants.get(id))) { el.remove(); bars.delete(id); }
  for (const g of grants.values()) {
    if (gone(g)) continue;
    const i = state.buckets.findIndex(b => b.id === g.bucket);
    if (i < 0 || i >= rows) continue;
    const version = [g.until, g.permit, g.not_sent].join();
    let el = bars.get(g.id);
    if (el && el.version === version) continue;
    if (el) el.remove();
    el = svg('g', { 'data-shard': g.shard }, moving);
    el.version = version;
    bars.set(g.id, el);
    const x = (g.at - base(t)) * scale, w = Math.max(3, (g.until - g.at) * scale - 1), y = i * row + 4, h = row - (row < 10 ? 1 : 4);
    svg('rect', { class: 'g' + (g.permit ? ' permit' : g.not_sent ? ' unsent' : hueOf(g.pod)), x, y, width: w, height: h, rx: Math.min(4, h / 3) }, el);
    svg('rect', { class: g.permit || g.not_sent ? 'permit-mark' : 'mark' + hueOf(g.pod), x, y, width: 3, height: h }, el);
    if (g.not_sent) svg('path', { class: 'cross', d: `M${x + 6} ${y + 2}l${h - 4} ${h - 4}m0 ${4 - h}l${4 - h} ${h - 4}` }, el);
    else if (h >= 10 && w > 22) svg('text', { class: 'in-bar', x: x + 8, y: y + h / 2 + 4 }, el).textContent = g.shard;
    svg('title', {}, el).textContent = clock(g.at - offset) + ', bucket ' + g.bucket + ': ' + place(g);
  }
  moving.setAttribute('transform', `translate(${width - (t - base(t)) * scale} 0)`);
}

// Bars are placed relative to a moment that stays, so that only the group moves.
let origin = 0;
function base(t) { return origin || (origin = t); }
