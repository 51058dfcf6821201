// The other queues of the same Redis.

function drawApps(state) {
  const apps = state.apps || [];
  $('apps-box').hidden = !apps.length;
  put($('apps-sum'), many(apps.length, 'application'));
  fill($('apps'), apps, body => {
    const row = body.insertRow(), name = make('th', '', row);
    name.scope = 'row';
    make('a', '', name);
    for (let i = 0; i < 4; i++) make('td', '', row);
  }, (row, a) => {
    const link = row.cells[0].firstElementChild;
    put(link, a.app);
    if (a.link) attr(link, 'href', a.link); else link.removeAttribute('href');
    [a.total ? a.left + ' of ' + a.total : '–', String(a.waiting), a.oldest ? span(a.oldest) : '–', a.state || '–'].forEach((text, i) => put(row.cells[i + 1], text));
  });
}
