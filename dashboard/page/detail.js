// What is known of one bucket, or of one shard, at a moment, as rows of [name, value]. Pure, as view is.

function bucketDetail(picture, id, t) {
  const { state } = picture, b = state.buckets.find(b => b.id === id);
  if (!b) return { title: 'Bucket ' + id, rows: [['state', 'there is no such bucket']], line: [] };
  const shown = bucketView(b, state, t, isOld(picture, t));
  const rows = [['state', shown.text]];
  if (shown.who) rows.push([shown.kind === 'permit' ? 'permit' : 'by', shown.who]);
  if (b.opens > t) rows.push([b.permit ? 'permit good until' : 'opens', clock(b.opens - picture.offset)]);
  rows.push(['waiting', many(b.waiting || 0, 'shard')]);
  rows.push(['shards', 'those with ID modulo ' + state.budget.max_concurrency + ' = ' + id]);
  const seen = new Set();
  const line = (b.line || []).map((p, i) => {
    const twice = seen.has(p.shard);
    seen.add(p.shard);
    return { n: nth(i + 1), shard: p.shard, who: place(p) + (twice ? ' (again: a pod of it has just died, or two ask for it)' : ''), since: 'for ' + span(t - p.since) };
  });
  const rest = (b.shards || []).filter(shard => !seen.has(shard));
  return { title: 'Bucket ' + id, rows, line, rest };
}

function shardDetail(picture, shard, grants, t) {
  const { state } = picture, local = ms => ms - picture.offset, title = 'Shard ' + shard;
  const b = state.buckets.find(b => b.id === shard % state.budget.max_concurrency);
  if (!b) return { title, rows: [['state', 'there are no buckets yet']], line: [] };
  const rows = [['bucket', String(b.id)]], at = (b.shards || []).indexOf(shard), ticket = (b.line || []).find(p => p.shard === shard);
  const mine = [...grants.values()].filter(g => g.shard === shard).sort((a, b) => b.at - a.at);
  if (at >= 0) {
    const first = Math.max(b.opens || 0, state.hold || 0, t);
    rows.push(['state', 'waits, ' + nth(at + 1) + ' in line' + (ticket ? ', for ' + span(t - ticket.since) + (ticket.pod ? ', in ' + ticket.pod : '') : '')]);
    rows.push(['its turn', stands(state) ? 'not known: nothing is granted' : b.permit ? 'when the permit before it is reported' : 'in about ' + whole(first + at * state.step - t)]);
  } else if (b.holder && b.holder.shard === shard && b.opens > t) {
    rows.push(['state', b.permit ? 'dials, with a permit' + (b.holder.pod ? ' of ' + b.holder.pod : '') : 'granted; its window runs for ' + span(b.opens - t)]);
  } else {
    rows.push(['state', b.shards || !b.waiting ? 'does not wait' : 'not among the first of its line']);
  }
  const backoff = (state.backoffs || []).find(r => r.shard === shard), spent = (state.spent || []).find(s => s.shard === shard);
  if (backoff && backoff.until > t) rows.push(['backs off', 'for ' + whole(backoff.until - t) + ', having identified too often']);
  rows.push(['identifies in this period', spent ? String(spent.count) : state.spent.length < state.spent_by ? 'not listed' : 'none']);
  const line = mine.slice(0, 10).map(g => ({ n: '', shard: -1, who: clock(local(g.at)) + (g.pod ? ' of ' + g.pod : '') + (g.permit ? ', still dials' : g.not_sent ? ', given back' : ''), since: '' }));
  return { title, rows, line, bucket: b.id };
}
