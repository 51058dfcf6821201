// The panel: what is known of one bucket or shard, live while it is open; and the help.

let subject = null; // ['bucket' or 'shard', number]

function openPanel(kind, number) {
  subject = [kind, number];
  drawPanel();
  if (!$('panel').open) $('panel').showModal();
}

function drawPanel() {
  if (!subject || !picture.state) return;
  const [kind, number] = subject, t = now();
  const shown = kind === 'bucket' ? bucketDetail(picture, number, t) : shardDetail(picture, number, grants, t);
  put($('panel-h'), shown.title);
  const list = $('panel-rows');
  while (list.children.length > 2 * shown.rows.length) list.lastElementChild.remove();
  while (list.children.length < 2 * shown.rows.length) make(list.children.length % 2 ? 'dd' : 'dt', '', list);
  shown.rows.flat().forEach((text, i) => put(list.children[i], text));
  put($('panel-line-h'), kind === 'bucket' ? (shown.line.length ? 'Its line' : 'Nobody is in line') : shown.line.length ? 'Its latest grants' : 'No grant in the last 5 minutes');
  const rows = shown.rest && shown.rest.length ? [...shown.line, { n: '', shard: -1, who: 'behind them: ' + shown.rest.join(' '), since: '' }] : shown.line;
  fill($('panel-line'), rows, ol => {
    const item = make('li', '', ol), button = make('button', 'link', item);
    button.type = 'button';
    button.addEventListener('click', () => openPanel('shard', item.shard));
    make('span', '', item);
    make('span', 'sub', item);
  }, (item, row) => {
    const [button, text, since] = item.children, known = row.shard >= 0;
    item.shard = row.shard;
    button.hidden = !known;
    put(known ? button : text, (row.n ? row.n + ': ' : '') + row.who);
    put(known ? text : button, '');
    put(since, row.since);
  });
}

// A bar of the timeline is a shortcut for who points: the same is in the list of grants, and found by number.
$('timeline').addEventListener('click', event => {
  const bar = event.target.closest('[data-shard]');
  if (bar) openPanel('shard', Number(bar.getAttribute('data-shard')));
});
$('panel').addEventListener('close', () => { subject = null; });
$('panel-close').addEventListener('click', () => $('panel').close());
$('help-close').addEventListener('click', () => $('help').close());
$('help-open').addEventListener('click', () => $('help').showModal());
$('find').addEventListener('submit', event => {
  event.preventDefault();
  const text = $('shard').value.trim();
  if (/^\d{1,10}$/.test(text)) openPanel('shard', Number(text));
});
addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
  if (event.target instanceof HTMLInputElement) return;
  if (event.key === '/') {
    event.preventDefault();
    $('shard').focus();
    $('shard').select();
  } else if (event.key === '?') {
    event.preventDefault();
    $('help').showModal();
  }
});
