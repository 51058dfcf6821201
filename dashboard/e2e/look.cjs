// Looks at a dashboard with a real browser, while the test that has started this
// script runs a fleet. Lines on standard output tell the test what to do next;
// an exception is what it reports.
//
//   NODE_PATH=... node look.cjs URL CHROMIUM SCREENSHOTS
'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { chromium } = require('playwright-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const [url, executablePath, screenshots] = process.argv.slice(2);
const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const tell = async word => { console.log(word); await answers.next(); };
const patience = { timeout: 30e3 };

(async () => {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  try {
    await look(browser);
  } finally {
    await browser.close();
  }
})().then(() => process.exit(0), err => { console.error(err); process.exit(1); });

async function look(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: 'light' });
  const page = await context.newPage();
  const complaints = [], requests = [];
  page.on('console', m => { if (m.type() === 'error' || m.type() === 'warning') complaints.push(m.text()); });
  page.on('pageerror', err => complaints.push(String(err)));
  page.on('dialog', d => { complaints.push('dialog ' + d.message()); d.dismiss(); });
  page.on('request', r => requests.push(r.url()));
  const text = id => page.locator('#' + id).innerText();
  const shoot = name => page.screenshot({ path: path.join(screenshots, name + '.png'), fullPage: true });

  await page.goto(url);
  await page.waitForFunction(() => document.querySelector('#link-text').textContent === 'live', null, patience);
  await tell('ready'); // the fleet starts

  // It moves: countdowns fall, bars wander, the progress rises to its end.
  await page.waitForFunction(() => parseInt(document.querySelector('#waiting').textContent) > 5, null, patience);
  const before = await page.evaluate(sample);
  await page.waitForFunction(was => document.querySelector('#timeline g[transform]').getAttribute('transform') !== was.bars, before, patience);
  await page.waitForFunction(was => +document.querySelector('#progress').getAttribute('aria-valuenow') > was.progress, before, patience);
  assert.match(await text('eta'), /^the last in line gets its turn in about \d+ s$/);
  assert.match(await page.title(), /^\d+ waiting · gatewayqueue/);
  assert.match(await page.locator('.bucket .slot').first().innerText(), /^closed \d\.\d s$|^permit ≤ \d min \d+ s$|^next: \d+$/);
  await page.waitForSelector('.bucket.permit', { state: 'attached', ...patience });
  await heights(page);
  await panels(page, shoot);
  await tell('looked at'); // the crowd leaves
  await page.locator('#deploy-shards').fill('20000');
  await page.locator('#deploy-shards').press('Enter');
  await page.waitForFunction(() => /^no: 20000 shards are more than a whole budget/.test(document.querySelector('#deploy-text').textContent), null, patience);
  for (const width of [320, 390, 768, 1200, 1600]) {
    await page.setViewportSize({ width, height: width < 500 ? 780 : 900 });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(150); // the next tick lays the grid out
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than ${width} px`);
      await shoot(`${width}-${colorScheme}`);
      if (width === 320 || width === 1200) await check(page, `${width} px, ${colorScheme}`); // the rest differs in no element
    }
  }

  await page.waitForFunction(() => document.querySelector('#progress').getAttribute('aria-valuenow') === '100', null, patience);
  assert.match(await text('progress-text'), /^(\d+) of \1 granted$/);
  assert.equal(await page.locator('.g.unsent').count() > 0, true, 'a permit was given back');
  assert.match(await text('spent-sum'), /^\d+ identifies by \d+ shards in this period; nobody more than once\.$/);
  assert.match(await text('latest'), /bucket \d+: shard \d+/);
  const closedByHand = page.locator('.bucket', { hasText: '<img' });
  assert.equal(await closedByHand.count(), 1, 'what somebody wrote into Redis is shown as text');
  assert.equal(await page.locator('img').count(), 0);

  await page.locator('#deploy-shards').fill('60');
  await page.getByRole('button', { name: 'May I?' }).click();
  await page.waitForFunction(() => /^yes: up in .*, \d+ left$/.test(document.querySelector('#deploy-text').textContent), null, patience);

  // The last day.
  assert.match(await text('history-sum'), /^\d+ granted; half waited up to .*, 99 of 100 up to \d+ min \d+ s$/);
  assert.equal(await page.locator('#history .h-granted').count(), 1);
  assert.equal(await page.locator('#history .h-p50').count() > 5, true, 'single restarts are dots');
  assert.match(await page.locator('#history .h-left').getAttribute('d'), /^M[\d.]+ [\d.]+L/);
  await page.locator('#history-more summary').click();
  assert.match(await page.locator('#history-rows tr').first().innerText(), /\d\d:\d\d.*\t\d+\t\t\d+ of 1000\t/);
  await check(page, 'the table of hours');
  await shoot('history');

  // Those who use a keyboard or listen.
  await page.keyboard.press('Tab');
  const names = await page.evaluate(() => [...document.querySelectorAll('section')].map(s => document.getElementById(s.getAttribute('aria-labelledby')).textContent.trim()));
  assert.ok(names.every(Boolean), 'every region has a name');

  // The queue is away, then the server.
  await tell('queue away');
  await page.waitForFunction(() => !document.querySelector('#trouble').hidden, null, patience);
  assert.equal(await text('trouble'), 'The queue cannot be read: Redis is away');
  assert.match(await text('old'), /^This is how it was at .*, \d+ s ago\.$/);
  await tell('queue back');
  await page.waitForFunction(() => document.querySelector('#trouble').hidden, null, patience);
  assert.deepEqual(complaints, []);
  await tell('server away');
  await page.waitForFunction(() => document.querySelector('#link').className === 'away', null, patience);
  await tell('server back');
  await page.waitForFunction(() => document.querySelector('#link').className === 'live', null, patience);

  const elsewhere = requests.filter(r => !r.startsWith(new URL(url).origin) && !r.startsWith('data:'));
  assert.deepEqual(elsewhere, []);
  assert.deepEqual(complaints.filter(c => !/Failed to load resource/.test(c)), []);
}

// panels: a bucket and a shard on a click and by keys alone.
async function panels(page, shoot) {
  const open = () => page.evaluate(() => { const d = document.querySelector('dialog[open]'); return d ? d.innerText : ''; });
  await page.locator('.bucket button').nth(1).click();
  assert.match(await open(), /^Bucket 1\b[\s\S]*waiting\s+\d+ shard/);
  await shoot('bucket');
  await page.locator('#panel-line button').first().click();
  assert.match(await open(), /^Shard \d+\b/, 'a shard of its line');
  await page.keyboard.press('Escape');
  await page.locator('.bucket button').nth(1).click();
  await check(page, 'the panel of a bucket');
  await page.keyboard.press('Escape');
  assert.equal(await open(), '');
  assert.match(await page.evaluate(() => document.activeElement.innerText), /^Bucket\s*1\b/, 'the focus is back');

  // The last of a line has the longest to wait, so that it still does when it is looked at.
  const last = await page.evaluate(() => picture.state.buckets.map(b => b.shards || []).sort((a, b) => a.length - b.length).at(-1).at(-1));
  await page.keyboard.press('/');
  await page.keyboard.type(String(last));
  await page.keyboard.press('Enter');
  assert.match(await open(), new RegExp('^Shard ' + last + '\\b[\\s\\S]*bucket\\s+\\d[\\s\\S]*state\\s+waits, \\d+\\w\\w in line'));
  await shoot('shard');
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('?');
  assert.match(await open(), /^What this page shows/);
  await check(page, 'the help');
  await page.keyboard.press('Escape');
  await page.locator('.bucket button').first().focus();
  await page.keyboard.press('Enter');
  assert.match(await open(), /^Bucket 0\b/);
  await page.keyboard.press('Escape');
}

// heights: nothing jumps when buckets open and close.
async function heights(page) {
  const seen = await page.evaluate(() => new Promise(resolve => {
    const all = new Set(), kinds = new Set();
    const timer = setInterval(() => {
      for (const el of document.querySelectorAll('.bucket')) { all.add(el.offsetHeight); kinds.add(el.className); }
    }, 50);
    setTimeout(() => { clearInterval(timer); resolve([[...all], [...kinds]]); }, 3500);
  }));
  assert.ok(seen[1].length > 1, `several kinds: ${seen[1]}`);
  assert.equal(seen[0].length, 1, `cards have one height: ${seen[0]}`);
}

// In the page.
function sample() {
  return {
    progress: +document.querySelector('#progress').getAttribute('aria-valuenow'),
    bars: document.querySelector('#timeline g[transform]').getAttribute('transform'),
  };
}

// check holds the page against WCAG 2, levels A and AA, as far as a program can.
async function check(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] })); // eslint-disable-line no-undef
  assert.deepEqual(violations.map(v => `${v.id}: ${v.nodes.map(n => n.html + ' ' + n.failureSummary).join('; ')}`), [], name);
}
