// The stream from the server, and the clock that redraws what a picture means by now.

const still = matchMedia('(prefers-reduced-motion: reduce)');
const picture = { state: null, seen: 0, offset: 0, link: 'connecting' }; // see picture.js
let grants = new Map(); // by number
const PAST = 5 * 60e3; // for so long the server keeps grants, too
let version = ''; // of the page, by the server
let said = 0;

// now is the moment on the queue's clock.
function now() { return Date.now() + picture.offset; }

function listen() {
  const stream = new EventSource(location.pathname.replace(/\/?$/, '/events'));
  stream.onopen = () => setLink(picture.state ? picture.link : 'connecting');
  stream.onmessage = event => {
    const m = JSON.parse(event.data);
    if (m.page && version && m.page !== version) location.reload(); // another server: it tells what its own page understands
    version = m.page || version;
    confirmed(m);
    if (m.about) put($('about'), m.about);
    if (m.state) picture.state = m.state;
    if (m.history) picture.history = m.history;
    for (const g of m.grants || []) grants.set(g.id, g);
    $('trouble').hidden = !m.trouble;
    put($('trouble'), m.trouble ? 'The queue cannot be read: ' + m.trouble : '');
    setLink(m.trouble ? 'stale' : 'live');
    draw();
  };
  stream.addEventListener('seen', event => confirmed(JSON.parse(event.data)));
  stream.onerror = () => {
    setLink('away');
    tick();
    if (stream.readyState === EventSource.CLOSED) { // refused: the browser does not try again
      stream.close();
      setTimeout(listen, 5000);
    } else {
      grants = new Map(); // another server may number them otherwise
    }
  };
}

// confirmed notes when the queue was as the picture says.
function confirmed(m) {
  if (!m.now) return;
  picture.seen = m.now;
  picture.offset = m.now + m.age - Date.now();
}

function setLink(to) {
  picture.link = to;
  $('link').className = to === 'live' ? 'live' : to === 'connecting' ? '' : 'away';
  put($('link-text'), { live: 'live', stale: 'the queue does not answer', away: 'no connection to the server, trying again', connecting: 'connecting' }[to]);
}

// draw is for what changes with a picture only.
function draw() {
  if (!picture.state) return;
  for (const [id, g] of grants) if (g.until < picture.seen - PAST) grants.delete(id);
  put($('app'), picture.state.app || '');
  drawLatest(grants, picture.offset);
  tick();
  say();
}

function tick() {
  if (!picture.state) return;
  const t = now(), shown = view(picture, t);
  document.title = shown.title;
  attr($('main'), 'data-seen', picture.seen);
  drawCards(shown);
  drawOrders(picture, t);
  drawApps(picture.state);
  drawBuckets(shown);
  drawTimeline(picture.state, grants, t, picture.offset);
  drawHistory(picture, t);
  drawTables(picture, t);
  drawShards(shardsView(picture.state.sights, t));
  drawPanel();
}

// say is for those who listen: seldom, and in one sentence.
function say() {
  if (Date.now() - said < 10e3) return;
  said = Date.now();
  const { state } = picture, p = state.progress;
  put($('say'), picture.link !== 'live' ? '' : state.waiting ? p.up + ' of ' + p.of + ' granted, ' + state.waiting + ' waiting' +
    (p.eta && !p.starved ? ', about ' + whole(p.eta - now()) + ' left' : '') : 'Nobody waits.');
}

put($('zone'), zone);
$('deploy').addEventListener('submit', event => {
  event.preventDefault();
  plan($('deploy-shards').value.trim());
});
setInterval(replan, 5000);
addEventListener('resize', () => tick());
setInterval(() => { if (!still.matches || Date.now() % 1000 < 100) tick(); }, 100);
listen();
