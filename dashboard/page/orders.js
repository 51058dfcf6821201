// Pausing the grants: the banner, the orders of the past, and the dialog that gives one. The server asks for
// its token, which no browser adds by itself; it is kept until the page is left, and nowhere else.

let given = { who: '', token: '' }; // what was typed last

function drawOrders(picture, t) {
  const { state } = picture, paused = state.pause;
  $('pause').hidden = !paused;
  put($('pause-text'), paused ? pauseText(paused, t, ms => ms - picture.offset) : '');
  $('pause-open').hidden = !state.api || !!paused;
  $('resume-open').hidden = !state.api;
  const orders = state.orders || [];
  $('orders-box').hidden = !orders.length;
  $('orders-older').hidden = !state.older_orders;
  put($('orders-older'), state.older_orders ? 'and ' + state.older_orders + ' before: gatewayqueue audit lists them' : '');
  fill($('orders'), orders, list => make('li', '', list), (item, o) => put(item, orderText(o, ms => ms - picture.offset)));
}

// openOrder asks for what an order needs: what is pause or resume.
function openOrder(what) {
  const pausing = what === 'pause';
  $('order').what = what;
  put($('order-h'), pausing ? 'Pause the grants' : 'Resume the grants');
  put($('order-about'), pausing ? 'No shard may identify, in any pod, until the pause is over. Those who wait keep their places; running sessions go on.'
    : 'The lines go on where they stood.');
  put($('order-send'), pausing ? 'Pause' : 'Resume');
  put($('order-trouble'), '');
  $('order-for').hidden = $('order-for-label').hidden = !pausing;
  $('order-why').value = '';
  $('order-who').value = given.who;
  $('order-token').value = given.token;
  $('order').showModal();
}

// give sends the order; the banner follows with the next look at the queue.
async function give() {
  const what = $('order').what, body = { why: $('order-why').value.trim() }, who = $('order-who').value.trim(), lasts = $('order-for').value;
  const token = $('order-token').value.trim();
  if (who) body.who = who;
  if (what === 'pause' && lasts) body.for_ms = Number(lasts);
  $('order-send').disabled = true;
  put($('order-trouble'), '');
  try {
    const answer = await fetch(picture.state.api + '/' + what, {
      method: 'POST', body: JSON.stringify(body), credentials: 'omit', redirect: 'error',
      headers: { 'Content-Type': 'application/json', Authorization: 'Bearer ' + token },
    });
    if (answer.ok) {
      given = { who, token };
      $('order').close();
      return;
    }
    const problem = await answer.json().catch(() => ({}));
    put($('order-trouble'), answer.status === 401 ? 'The server refuses this token.' : 'The server refuses: ' + (problem.detail || answer.status) + '.');
  } catch {
    put($('order-trouble'), 'No answer from the server, or the token has letters that none has.');
  } finally {
    $('order-send').disabled = false;
  }
}

$('pause-open').addEventListener('click', () => openOrder('pause'));
$('resume-open').addEventListener('click', () => openOrder('resume'));
$('order-close').addEventListener('click', () => $('order').close());
$('order-form').addEventListener('submit', event => {
  event.preventDefault();
  give();
});
