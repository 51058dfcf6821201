// The tables below: pods, who spent identifies, and the latest grants in words.

function drawTables(picture, t) {
  drawPods(podRows(picture, t), picture.state);
  drawSpent(spentView(picture.state));
}

function drawPods(rows, state) {
  const alive = rows.filter(p => !p.dead).length, dead = rows.length - alive;
  put($('pods-sum'), rows.length ? many(alive, 'pod') + (dead ? ', ' + dead + ' dead' : '') : state.waiting ? 'all wait in one process' : 'none that waits or dials');
  $('pods-box').hidden = !rows.length;
  fill($('pods'), rows, body => {
    const row = body.insertRow();
    const name = make('th', '', row);
    name.scope = 'row';
    attr(make('span', 'swatch', name), 'aria-hidden', 'true');
    make('span', '', name);
    for (let i = 0; i < 4; i++) make('td', '', row);
  }, (row, p) => {
    attr(row, 'class', p.dead ? 'dead' : '');
    attr(row.cells[0].firstElementChild, 'class', 'swatch' + hueOf(p.name));
    put(row.cells[0].lastElementChild, p.name);
    [p.waiting, p.since, p.permits, p.lease].forEach((text, i) => put(row.cells[i + 1], text));
  });
}

function drawSpent(shown) {
  put($('spent-sum'), shown.text);
  put($('backoffs'), shown.backoffs);
  $('spent-box').hidden = !shown.rows.length;
  fill($('spent'), shown.rows, body => {
    const row = body.insertRow();
    make('th', '', row).scope = 'row';
    const cell = make('td', '', row), bar = make('div', 'bar', cell);
    attr(bar, 'aria-hidden', 'true');
    make('span', '', bar);
    make('span', '', cell);
  }, (row, s) => {
    put(row.cells[0], String(s.shard));
    row.cells[1].firstElementChild.firstElementChild.style.width = s.part + '%';
    put(row.cells[1].lastElementChild, s.count + (s.until ? ', backs off' : ''));
  });
}

function drawLatest(grants, offset) {
  const latest = [...grants.values()].sort((a, b) => b.at - a.at || b.id - a.id).slice(0, 8);
  fill($('latest'), latest, list => make('li', '', list), (item, g) => put(item, clock(g.at - offset) + ' – bucket ' + g.bucket + ': ' + place(g) +
    (g.permit ? ', still dials' : g.not_sent ? ', given back' : '')));
}
