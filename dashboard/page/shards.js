// What proxies see of shards. Nothing is shown where there are none.

// shardsView is the table, and its sum in words; pure, as view is.
function shardsView(sights, t) {
  if (!sights) return null;
  const parts = [many(sights.up, 'shard') + ' up'];
  if (sights.coming) parts.push(sights.coming + ' on the way');
  if (sights.down) parts.push(sights.down + ' down');
  if (sights.silent) parts.push(sights.silent + ' not known: their proxy tells no more');
  const all = sights.up + sights.coming + sights.down + sights.silent;
  return {
    sum: parts.join(', ') + (sights.shards.length < all ? '; the first ' + sights.shards.length + ':' : ''),
    storm: sights.storm ? 'A storm for ' + whole(t - sights.storm.since) + ': Discord has refused ' + many(sights.storm.refused, 'session') +
      ' in the last minute, and ' + many(sights.storm.identified, 'shard') + ' identified.' : '',
    rows: sights.shards.map(s => ({
      shard: String(s.shard),
      dead: s.standing === 'down' || s.standing === 'silent',
      state: s.standing === 'silent' ? s.state + '?' : s.state,
      since: s.since ? span(t - s.since) : '–',
      identifies: String(s.identifies),
      resumes: String(s.resumes),
      invalid: s.invalid ? String(s.invalid) : '–',
      close: s.last_close ? String(s.last_close) : '–',
      heartbeat: s.heartbeat ? s.heartbeat + ' ms' : '–',
      by: s.by || '–',
    })),
  };
}

function drawShards(shown) {
  $('shards-box').hidden = !shown;
  if (!shown) return;
  put($('shards-sum'), shown.sum);
  put($('storm'), shown.storm);
  $('storm').hidden = !shown.storm;
  fill($('shards'), shown.rows, body => {
    const row = body.insertRow();
    make('th', '', row).scope = 'row';
    for (let i = 0; i < 8; i++) make('td', '', row);
  }, (row, s) => {
    attr(row, 'class', s.dead ? 'dead' : '');
    [s.shard, s.state, s.since, s.identifies, s.resumes, s.invalid, s.close, s.heartbeat, s.by].forEach((text, i) => put(row.cells[i], text));
  });
}
