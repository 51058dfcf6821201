// What stands above the buckets: the fleet, the budget, and what keeps the queue from granting.

function drawCards(shown) {
  const { fleet, budget } = shown;
  put($('progress-text'), fleet.text);
  level($('progress'), fleet.percent, fleet.text);
  put($('waiting'), fleet.waiting);
  put($('eta'), fleet.eta);
  put($('up'), fleet.up);
  put($('budget-text'), budget.text);
  attr($('budget'), 'class', budget.low ? 'bar low' : 'bar');
  level($('budget'), budget.percent, budget.words);
  put($('reset'), budget.reset);
  put($('reserve'), budget.reserve);
  put($('hold'), shown.notes.join(' '));
  $('hold').hidden = !shown.notes.length;
  put($('old'), shown.old);
  $('old').hidden = !shown.old;
}
