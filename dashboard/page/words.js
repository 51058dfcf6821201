// Words for people: spans of time, moments, counts and places. Nothing here knows the document.

// 3.2 s, 4 min 10 s, 13 h 59 min
function span(ms) {
  if (ms < 0) ms = 0;
  if (ms < 59.95e3) return (ms / 1e3).toFixed(1) + ' s';
  if (ms < 3600e3) return Math.floor(ms / 60e3) + ' min ' + Math.floor(ms % 60e3 / 1e3) + ' s';
  return Math.floor(ms / 3600e3) + ' h ' + Math.floor(ms % 3600e3 / 60e3) + ' min';
}
const whole = ms => ms < 60e3 ? Math.max(0, Math.ceil(ms / 1e3)) + ' s' : span(ms);

const many = (n, one, more) => n + ' ' + (n === 1 ? one : more || one + 's');
const some = (list, n) => list.slice(0, n).join(', ') + (list.length > n ? ' and ' + (list.length - n) + ' more' : '');
const place = p => p.text || 'shard ' + p.shard + (p.pod ? ' of ' + p.pod : '');
const nth = n => n + (n % 100 > 10 && n % 100 < 14 ? 'th' : ['th', 'st', 'nd', 'rd'][n % 10] || 'th');

// Moments are shown on the clock of the reader: ms is of that clock already.
const seconds = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const dated = new Intl.DateTimeFormat([], { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' });
const zone = (dated.formatToParts(new Date()).find(part => part.type === 'timeZoneName') || { value: '' }).value;
const clock = ms => seconds.format(ms); // of the last minutes
const date = ms => dated.format(ms);    // of all else
