// Tests of what the page shows of a picture at a moment: picture.js and detail.js, which are
// pure. It needs Node alone:  node view.cjs
'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

process.env.TZ = 'UTC';
const dir = path.join(__dirname, '..', 'page');
vm.runInThisContext(['words.js', 'picture.js', 'detail.js', 'history.js', 'plan.js'].map(name => fs.readFileSync(path.join(dir, name), 'utf8')).join('\n'));
/* global span, whole, nth, view, podRows, spentView, bucketDetail, shardDetail, historyView, planView, pauseText, orderText */

const T = Date.UTC(2026, 10, 26, 22, 55);
const bucket = more => ({ id: 0, ...more });
const shown = (b, t, more, link) => view(picture(b, more, link), t);
function picture(b, more, link) {
  return {
    seen: T, offset: 0, link: link || 'live',
    state: {
      app: '7', step: 5250, buckets: [].concat(b), waiting: 0, pods: [], spent: [], spent_by: 0, spent_all: 0, identified: 0,
      budget: { total: 1000, remaining: 900, max_concurrency: [].concat(b).length }, progress: { up: 0, of: 0 }, ...more,
    },
  };
}
const slot = (b, t, more, link) => { const s = shown(b, t, more, link).buckets[0]; return s.kind + ': ' + s.text; };

const line = { waiting: 2, shards: [18, 22], holder: { shard: 14, pod: 'web-1' } };

// A window that runs is counted down; what comes after it is not guessed.
assert.equal(slot(bucket({ ...line, opens: T + 3200 }), T), 'closed: closed 3.2 s');
assert.equal(slot(bucket({ ...line, opens: T + 300 }), T + 299), 'closed: closed 0.0 s');
assert.equal(slot(bucket({ ...line, opens: T + 300 }), T + 300), 'next: next: 18');
assert.equal(slot(bucket({ ...line, opens: T + 300 }), T + 3900), 'next: next: 18');
assert.equal(slot(bucket({ opens: T + 300, holder: line.holder }), T + 400), 'open: open', 'nobody waited');
assert.equal(slot(bucket({ ...line, permit: true, opens: T + 4000 }), T), 'permit: permit ≤ 4.0 s');
assert.equal(slot(bucket({ opens: T + 4000 }), T), 'held: held 4.0 s');

// "open" with somebody waiting is never shown, whatever the picture and its age.
for (const opens of [0, T - 1, T, T + 1, T + 1000]) {
  for (const permit of [false, true]) {
    for (const idle of [0, T - 60e3, T]) {
      for (const link of ['live', 'stale', 'away', 'connecting']) {
        for (let t = T; t < T + 30e3; t += 250) {
          const s = shown(bucket({ ...line, opens, permit, idle }), t, {}, link).buckets[0];
          assert.doesNotMatch(s.kind + s.text, /open/);
        }
      }
    }
  }
}

// The queue itself says that somebody does not take its turn.
assert.equal(slot(bucket({ waiting: 1, shards: [3], idle: T - 1000 }), T), 'next: next: 3');
assert.equal(slot(bucket({ waiting: 1, shards: [3], idle: T - 9000 }), T), 'late: late 9.0 s');
assert.equal(slot(bucket({ waiting: 1, shards: [3] }), T, { blocked: [{ reason: 'budget', text: 'the budget is used up' }] }), 'blocked: no budget');

// An old picture says so, and is not played on. A window that runs does so in any case.
assert.equal(slot(bucket({ ...line, opens: T + 300 }), T + 4500), 'unknown: not known');
assert.equal(slot(bucket({ ...line, opens: T + 9000 }), T + 4500), 'closed: closed 4.5 s');
assert.equal(slot(bucket({ ...line, permit: true, opens: T + 9000 }), T + 4500), 'unknown: not known');
assert.equal(slot(bucket({}), T + 10e3), 'open: open', 'at rest the server says less often that nothing has changed');
assert.equal(slot(bucket({}), T + 21e3), 'unknown: not known');
assert.equal(slot(bucket({}), T, {}, 'away'), 'unknown: not known');
assert.equal(shown(bucket({}), T + 10e3).old, '');
assert.match(shown(bucket({}), T + 30e3).old, /^This is how it was at .*55:00.*, 30 s ago\.$/);

// Words.
assert.equal(shown([bucket({ ...line, opens: T + 1 }), bucket({ id: 1 })], T + 2).summary, '2 buckets, 1 open, 0 closed, 0 dialling, 1 about to be granted');
assert.equal(span(59960), '0 min 59 s');
assert.equal(whole(-5), '0 s');
assert.deepEqual([1, 2, 3, 4, 11, 12, 13, 21, 102, 111].map(nth), ['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '102nd', '111th']);
const full = { budget: { total: 1000, remaining: 900, reset: T + 86340e3, reserve: 10, max_concurrency: 1 } };
assert.match(shown(bucket({}), T, full).budget.reset, /^full again in 23 h 59 min, Fri.*27.*UTC$/, 'a date, with its zone');
assert.equal(shown(bucket({}), T, full).budget.reserve, 'a reserve of 10 is never granted');
const busy = { waiting: 2, progress: { up: 3, of: 5, began: T - 9000, eta: T + 10500 }, identified: 46, spent_by: 48 };
assert.deepEqual(shown(bucket({ ...line, permit: true, opens: T + 9000 }), T, busy).fleet, {
  text: '3 of 5 granted', percent: 60, waiting: '2 waiting, 1 dialling', eta: 'the last in line gets its turn in about 11 s', up: '46 shards have identified in this period',
});
const done = { progress: { up: 5, of: 5, began: T - 9000, ended: T - 1000 } };
assert.match(shown(bucket({}), T, done).fleet.eta, /^done in 8\.0 s, Thu/);
done.progress.joined = true;
assert.match(shown(bucket({}), T, done).fleet.eta, /^done, Thu/, 'nobody looked when it began');
assert.equal(shown(bucket({}), T, { ...busy, up: 44 }).fleet.up, '44 shards up, 46 identified in this period');
assert.match(shown(bucket(line), T, { blocked: [{ reason: 'limits', text: 'the total is 0', cure: 'correct the limits' }] }).notes[0], /^Nothing is granted: the total is 0 \(correct the limits\)\.$/);

// Pods: nobody waits in the place of a dead one.
const pods = [{ name: 'web-1', lease: T + 2500, waiting: 4, since: T - 3000, permits: [9] }, { name: 'web-0', lease: T - 32e3, dead: true, waiting: 7 }];
assert.deepEqual(podRows(picture(bucket({}), { pods }), T), [
  { name: 'web-1', dead: false, waiting: '4', permits: 'shard 9', since: '3.0 s', lease: '3 s left' },
  { name: 'web-0', dead: true, waiting: '', permits: '', since: '', lease: 'ended 32 s ago' },
]);

// "Spent" says something only if a shard has spent more than a deploy does.
const spenders = counts => ({ spent: counts.map((count, shard) => ({ shard, count })), spent_by: counts.length, spent_all: counts.reduce((a, b) => a + b, 0) });
assert.deepEqual(spentView(spenders([])), { text: 'Nobody yet in this period.', rows: [], backoffs: '' });
assert.equal(spentView(spenders([1, 1])).text, '2 identifies by 2 shards in this period; nobody more than once.');
assert.equal(spentView(spenders([2, 1])).text, '3 identifies by 2 shards in this period; nobody more than twice.');
const often = spentView({ ...spenders([40, 3, 2]), backoffs: [{ shard: 0, until: T + 60e3 }] });
assert.deepEqual(often.rows.map(r => [r.shard, r.count, r.until]), [[0, 40, T + 60e3], [1, 3, 0]]);
assert.equal(often.backoffs, '1 shard backs off, having identified too often: 0');

// Details.
const places = [{ shard: 18, pod: 'web-0', since: T - 5000 }, { shard: 22, pod: 'web-1', since: T - 4000 }, { shard: 18, pod: 'web-1', since: T - 100 }];
const p = picture([bucket({ ...line, opens: T + 2000, line: places }), bucket({ id: 1 })]);
assert.deepEqual(bucketDetail(p, 0, T).line.map(row => row.who), ['shard 18 of web-0', 'shard 22 of web-1', 'shard 18 of web-1 (again: a pod of it has just died, or two ask for it)']);
const state = (shard, grants, t) => shardDetail(p, shard, new Map(grants), t || T).rows;
assert.deepEqual(state(22, []), [['bucket', '0'], ['state', 'waits, 2nd in line, for 4.0 s, in web-1'], ['its turn', 'in about 8 s'], ['identifies in this period', 'none']]);
assert.deepEqual(state(14, [])[1], ['state', 'granted; its window runs for 2.0 s']);
assert.deepEqual(state(3, [])[1], ['state', 'does not wait']);
assert.equal(shardDetail(p, 14, new Map([[1, { at: T - 1000, shard: 14, pod: 'web-1' }]]), T).line.length, 1);

// The last day. Nothing was granted: nothing is drawn.
assert.equal(historyView({ day: { granted: 0 }, spans: [], hours: [] }, 900, T, 0).sum, 'nothing was granted in a minute that is over');
const MIN = 60e3, HOUR = 60 * MIN;
const past = (ago, granted, more) => ({ at: T - ago, granted, p50: 1e3, p99: 10e3, ...more });
const day = historyView({
  day: { granted: 62, returned: 2, p50: 1e3, p99: 125e3 },
  spans: [past(25 * HOUR, 99, { left: 999, total: 1000 }), past(18 * HOUR, 40, { left: 950, total: 1000 }), past(18 * HOUR - 10 * MIN, 20), past(6 * HOUR, 2, { left: 900, total: 1000 })],
  hours: [past(30 * HOUR, 99), past(18 * HOUR, 60, { left: 950, total: 1000 }), past(6 * HOUR, 0, { returned: 2 })],
}, 890, T, 0);
assert.equal(day.sum, '62 granted, 2 given back; half waited up to 1.0 s, 99 of 100 up to 2 min 5 s');
assert.deepEqual(day.bars.map(b => [b.x.toFixed(3), b.h]), [['0.250', 1], ['0.257', 0.5], ['0.750', 0.05]], 'what is older than a day is not drawn');
assert.deepEqual(day.left.map(p => [p.x.toFixed(3), p.y]), [['0.257', 0.95], ['0.757', 0.95], ['0.757', 0.9], ['1.000', 0.9], ['1.000', 0.89]], 'it stays until something is granted');
assert.deepEqual(day.p50.map(line => line.length), [2, 1], 'no line over hours in which nobody waited');
assert.equal(day.p99[0][0].y, 0.5, '10 s is half-way from a millisecond to a day');
assert.deepEqual(day.ticks.map(tick => tick.x.toFixed(3)), ['0.045', '0.295', '0.545', '0.795'], 'midnight, six, noon, six');
assert.deepEqual(day.rows.map(row => row.slice(1)), [['0', '2', 'not known', '', ''], ['60', '', '950 of 1000', '1.0 s', '10.0 s']], 'the latest hour first');

// A plan.
assert.equal(planView({ ok: true, takes_ns: 47.25e9, left: 714 }, 0), 'yes: up in 47.3 s, 714 left');
assert.equal(planView({ ok: false, why: 'the budget is too small: 110 of 200 shards would wait until its reset' }, 0), 'no: the budget is too small: 110 of 200 shards would wait until its reset');
assert.match(planView({ ok: false, why: 'x', next: '2026-11-27T03:00:00Z' }, 3600e3), /^no: x\. Next: Fri.*02:00.*UTC$/, 'on the clock of the reader');

// A pause: who, why and until when; nothing is promised meanwhile.
const pausing = { who: 'alice', why: 'Discord is down', since: T - 60e3, until: T + 90e3 };
assert.equal(pauseText(pausing, T, ms => ms), 'Grants are paused by alice: Discord is down. Since Thu, Nov 26, 10:54 PM UTC, for 1 min 30 s more.');
assert.equal(pauseText({}, T, ms => ms), 'Grants are paused, until somebody resumes.');
const stopped = { pause: pausing, waiting: 2, blocked: [{ reason: 'paused', text: 'grants are paused by alice' }] };
assert.equal(slot(bucket(line), T, stopped), 'blocked: paused');
assert.deepEqual(shown(bucket(line), T, stopped).notes, [], 'the banner says it');
assert.equal(shown(bucket(line), T, stopped).fleet.eta, 'nothing is granted while the grants are paused');
assert.match(shown(bucket(line), T, stopped).summary, /1 paused$/);
assert.equal(orderText({ time: T, what: 'pause', for: 1800e3, who: 'alice', why: 'a' }, ms => ms), 'Thu, Nov 26, 10:55 PM UTC – pause for 30 min 0 s, alice: a');
