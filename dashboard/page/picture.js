// What is shown of a picture at a moment: view is a pure function of the two. A picture
// is what the server has told last:
//
//   state   as state.go has it
//   seen    when the queue was as the state says, ms on the queue's clock
//   offset  the queue's clock less this machine's, ms
//   link    live, stale (the queue does not answer the server), away (nor the server the page) or connecting
//
// A picture is true of the moment it was taken. What follows from it later is shown, such as
// a countdown; what does not is not guessed: nobody knows yet who has a slot whose window
// has run out since.

// From such an age on a picture is old: the server tells at least once a second while
// somebody waits or a bucket is closed, and else every 15 s (stream.go).
const OLD = 4e3, OLD_AT_REST = 20e3;

// For so long a bucket may be open though somebody waits: a grant is on its way.
const ON_ITS_WAY = 3e3;

function isOld(picture, t) {
  const busy = picture.state.buckets.some(b => b.waiting || b.opens > picture.seen);
  return picture.link !== 'live' || t - picture.seen > (busy ? OLD : OLD_AT_REST);
}

function view(picture, t) {
  const { state } = picture, old = isOld(picture, t), local = ms => ms - picture.offset;
  const buckets = state.buckets.map(b => bucketView(b, state, t, old));
  const count = kind => buckets.filter(b => b.kind === kind).length;
  return {
    old: old ? 'This is how it was at ' + clock(local(picture.seen)) + ', ' + whole(t - picture.seen) + ' ago.' : '',
    fleet: fleetView(state, t, local, buckets),
    budget: budgetView(state.budget, t, local),
    notes: notesOf(state, t, local),
    buckets,
    summary: [many(buckets.length, 'bucket'), count('open') + ' open', count('closed') + count('held') + ' closed', count('permit') + ' dialling',
      ...['next', 'late', 'blocked', 'unknown'].filter(count).map(kind => count(kind) + ' ' + (kind === 'blocked' && state.pause ? 'paused' : SUMMARY[kind]))].join(', '),
    title: (state.waiting ? state.waiting + ' waiting · ' : '') + 'gatewayqueue' + (state.app ? ' ' + state.app : ''),
  };
}

const SUMMARY = { next: 'about to be granted', late: 'open and not taken', blocked: 'without budget', unknown: 'not known' };

// bucketView is one card. Its kinds: open (and nobody waits), closed, held (by no shard), permit, next (its
// window is over and somebody waits: the picture that says who has it now is on its way), late (the
// queue itself says so for a while), blocked, unknown (the picture is old).
function bucketView(b, state, t, old) {
  const left = (b.opens || 0) - t, first = nextOf(b);
  const shown = { id: b.id, kind: 'open', word: '', text: 'open', part: 0, who: '', waiting: b.waiting || 0, line: lineOf(b) };
  if (left > 0 && !(old && b.permit)) { // a permit is renewed, or reported; a window runs its time
    shown.kind = b.permit ? 'permit' : b.holder ? 'closed' : 'held';
    shown.word = shown.kind + ' '; // for which small cells have no room, though their looks say it
    shown.text = shown.word + (b.permit ? '≤ ' : '') + span(left);
    shown.part = Math.min(100, 100 * left / state.step);
    shown.who = !b.holder ? 'by no shard' : place(b.holder);
  } else if (old) {
    shown.kind = 'unknown';
    shown.text = 'not known';
  } else if (b.waiting && stands(state)) {
    shown.kind = 'blocked';
    shown.text = state.pause ? 'paused' : 'no budget';
    shown.who = first + ' waits for it';
  } else if (b.waiting && b.idle && t - b.idle > ON_ITS_WAY) {
    shown.kind = 'late';
    shown.text = 'late ' + span(t - b.idle);
    shown.who = first + ' has not taken it';
  } else if (b.waiting) {
    shown.kind = 'next';
    shown.text = 'next: ' + first.replace(/^shard /, '');
  }
  return shown;
}

// stands: nothing is granted, whatever opens.
const stands = state => (state.blocked || []).some(why => why.reason !== 'hold');

const nextOf = b => b.shards ? 'shard ' + b.shards[0] : b.line && b.line.length ? 'shard ' + b.line[0].shard : 'somebody';

// lineOf is the shards in line, each once, as far as they fit.
function lineOf(b) {
  const shards = b.shards || [...new Set((b.line || []).map(p => p.shard >= 0 ? p.shard : p.text))];
  return shards.slice(0, 12).join(' ') + (b.waiting > Math.min(12, shards.length) ? ' …' : '');
}

function fleetView(state, t, local, buckets) {
  const p = state.progress, dialling = buckets.filter(b => b.kind === 'permit').length;
  return {
    text: p.of ? p.up + ' of ' + p.of + ' granted' : 'nobody has come yet',
    percent: p.of ? Math.floor(100 * p.up / p.of) : 0,
    waiting: (state.waiting ? state.waiting + ' waiting' : 'nobody waits') + (dialling ? ', ' + dialling + ' dialling' : ''),
    eta: state.pause ? (state.waiting ? 'nothing is granted while the grants are paused' : '') : p.starved ? (state.budget.unknown ? 'nothing is granted until the budget is known' : 'the budget does not last: the rest waits for the reset')
      : state.waiting && p.eta ? 'the last in line gets its turn in about ' + whole(p.eta - t)
        : p.ended ? 'done' + (p.joined ? '' : ' in ' + span(p.ended - p.began)) + ', ' + date(local(p.ended)) : '',
    up: (state.up === undefined ? '' : many(state.up, 'shard') + ' up, ') + (state.spent_by ? state.identified + (state.up === undefined ? (state.identified === 1 ? ' shard has' : ' shards have') : '') +
      ' identified in this period' : 'no identify in this period yet'),
  };
}

function budgetView(b, t, local) {
  const percent = b.total ? Math.round(100 * b.remaining / b.total) : 0;
  return {
    text: b.unknown ? 'unknown' : b.remaining + ' of ' + b.total + ' left',
    percent: b.unknown ? 0 : percent,
    words: b.unknown ? 'unknown' : percent + ' percent',
    low: percent < 20,
    reset: b.unknown ? 'nothing is granted until a pod has seeded it' : b.reset ? 'full again in ' + whole(b.reset - t) + ', ' + date(local(b.reset))
      : 'no period has begun: it does with an identify',
    reserve: b.reserve ? 'a reserve of ' + b.reserve + ' is never granted' : '',
  };
}

// notesOf is what keeps the queue from granting, and what will.
function notesOf(state, t, local) {
  const notes = [], { source } = state;
  for (const why of state.blocked || []) {
    if (why.reason === 'hold') {
      if (state.hold > t) notes.push('Every bucket is held closed for ' + span(state.hold - t) + ': after a start, a loss of state, a change of limits, or by hand.');
    } else if (why.reason !== 'paused') { // the banner says that
      notes.push('Nothing is granted: ' + why.text + (why.cure ? ' (' + why.cure + ')' : '') + '.');
    }
  }
  if (source && source.error && !notes.some(note => note.includes(source.error))) notes.push('The source of the limits fails: ' + source.error + '.');
  if (source && source.ask_after > t) notes.push('The source of the limits is asked again in ' + whole(source.ask_after - t) + ', ' + date(local(source.ask_after)) + '.');
  return notes;
}

// pauseText is who has paused the grants, why, and for how long yet.
function pauseText(p, t, local) {
  return 'Grants are paused' + (p.who ? ' by ' + p.who : '') + (p.why ? ': ' + p.why : '') + (p.since ? '. Since ' + date(local(p.since)) : '') +
    (p.until ? ', for ' + whole(p.until - t) + ' more.' : ', until somebody resumes.');
}

// orderText is one order of the past.
const orderText = (o, local) => date(local(o.time)) + ' – ' + o.what + (o.for ? ' for ' + whole(o.for) : '') + ', ' + o.who + ': ' + o.why;

// podRows is the table of pods. One whose lease has run out since the picture was taken
// may have renewed it.
function podRows(picture, t) {
  return picture.state.pods.map(p => ({
    name: p.name,
    dead: !!p.dead,
    waiting: p.dead ? '' : String(p.waiting || 0),
    permits: (p.permits || []).length ? (p.permits.length === 1 ? 'shard ' : 'shards ') + p.permits.join(' ') : p.dead ? '' : '–',
    since: p.since && !p.dead ? span(t - p.since) : p.dead ? '' : '–',
    lease: p.dead ? 'ended ' + whole(t - p.lease) + ' ago' : p.lease > t ? whole(p.lease - t) + ' left' : 'due',
  }));
}

// spentView is who has spent identifies, where that says something: a shard that has
// come up, and once more after a deploy, does not.
const OFTEN = 3, SPENDERS = 10;

function spentView(state) {
  const all = state.spent || [], often = all.filter(s => s.count >= OFTEN), most = all.length ? all[0].count : 0;
  const backoffs = new Map((state.backoffs || []).map(r => [r.shard, r.until]));
  const complete = all.length >= state.spent_by;
  return {
    text: !state.spent_by ? 'Nobody yet in this period.'
      : many(state.spent_all, 'identify', 'identifies') + ' by ' + many(state.spent_by, 'shard') + ' in this period' +
        (often.length ? (often.length > SPENDERS ? '; the ' + SPENDERS + ' that spent most:' : ':') : complete ? '; nobody more than ' + (most > 1 ? 'twice' : 'once') + '.' : '; who spent how many is listed for up to 1,024 shards.'),
    rows: often.slice(0, SPENDERS).map(s => ({ shard: s.shard, count: s.count, part: 100 * s.count / Math.max(10, most), until: backoffs.get(s.shard) || 0 })),
    backoffs: backoffs.size ? many(backoffs.size, 'shard') + (backoffs.size === 1 ? ' backs off' : ' back off') + ', having identified too often: ' + some([...backoffs.keys()], 10) : '',
  };
}
