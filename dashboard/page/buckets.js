// The cards of the buckets. Each is a button, and as high as any other whatever it shows.

const SMALL = 48; // more buckets than this get small cells
const cells = [];

function drawBuckets(shown) {
  const list = $('buckets');
  list.classList.toggle('small', shown.buckets.length > SMALL);
  spread(list, shown.buckets.length);
  while (cells.length > shown.buckets.length) cells.pop().el.remove();
  while (cells.length < shown.buckets.length) cells.push(newCell(list));
  shown.buckets.forEach((b, i) => drawCell(cells[i], b));
  put($('buckets-sum'), shown.summary);
}

// spread chooses how many columns there are: of those that fit, the number that leaves the least
// room in the last row, and then the most. 16 make four rows of four, and not three and a bit.
function spread(list, n) {
  const small = n > SMALL, width = list.clientWidth, narrow = width < 600;
  const fit = Math.max(1, Math.floor(width / (small ? narrow ? 100 : 130 : narrow ? 145 : 180)));
  let columns = Math.min(fit, n) || 1;
  const empty = c => (c - n % c) % c;
  for (let c = columns - 1; c >= fit * (small ? 3 / 4 : 2 / 3); c--) if (empty(c) < empty(columns)) columns = c;
  list.classList.toggle('brief', small || width / columns < 215); // the heading says what the numbers are of
  if (list.style.getPropertyValue('--columns') !== String(columns)) list.style.setProperty('--columns', String(columns));
}

function newCell(list) {
  const el = make('li', 'bucket', list), button = make('button', '', el), top = make('span', 'top', button);
  button.type = 'button';
  attr(button, 'aria-haspopup', 'dialog');
  const number = make('span', 'number', top), word = make('span', 'word', number);
  word.textContent = 'Bucket ';
  const cell = { el, number: make('span', '', number), shut: make('span', 'bar', button) };
  const slot = make('span', 'slot', top);
  cell.word = make('span', 'word', slot);
  cell.slot = make('span', '', slot);
  attr(cell.shut, 'aria-hidden', 'true'); // the words say it
  make('span', '', cell.shut);
  cell.who = make('span', 'who', button);
  cell.queue = make('span', 'queue', button);
  cell.count = make('b', '', cell.queue);
  cell.next = make('span', '', cell.queue);
  button.addEventListener('click', () => openPanel('bucket', cell.id));
  return cell;
}

function drawCell(cell, b) {
  cell.id = b.id;
  if (cell.kind !== b.kind) cell.el.className = 'bucket ' + (cell.kind = b.kind);
  put(cell.number, String(b.id));
  put(cell.word, b.word);
  put(cell.slot, b.text.slice(b.word.length));
  cell.shut.firstElementChild.style.width = b.part + '%';
  put(cell.who, b.who);
  put(cell.count, b.waiting ? b.waiting + ' waiting' : '');
  put(cell.next, b.waiting ? ': ' + b.line : 'no line');
}
