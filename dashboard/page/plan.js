// The line "Deploy N shards": may they be deployed now, by the latest picture? The server makes the plan.

let planned = 0; // shards; 0 for none

// planView is a plan in words. offset is the queue's clock less this machine's, ms.
function planView(plan, offset) {
  const at = text => date(Date.parse(text) - offset);
  if (plan.ok) return 'yes: up in ' + span(plan.takes_ns / 1e6) + ', ' + plan.left + ' left';
  return 'no: ' + plan.why + (plan.next ? '. Next: ' + at(plan.next) : '');
}

function plan(text) {
  planned = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (planned < 1 || planned > 1e5) {
    planned = 0;
    put($('deploy-text'), text ? 'want 1 to 100000 shards' : '');
  }
  replan();
}

// replan asks again, as time goes on. Where the server is away the page says so elsewhere.
async function replan() {
  const shards = planned;
  if (!shards || picture.link !== 'live') return;
  try {
    const answer = await fetch(location.pathname.replace(/\/?$/, '/plan?shards=' + shards));
    if (answer.ok && shards === planned) put($('deploy-text'), planView(await answer.json(), picture.offset));
  } catch { /* the next one tells */ }
}
