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
  await page.waitForFunction(() => +document.querySelector('#waiting').textContent > 5, null, patience);
  const before = await page.evaluate(sample);
  await page.waitForFunction(was => document.querySelector('#timeline g[transform]').getAttribute('transform') !== was.bars, before, patience);
  await page.waitForFunction(was => +document.querySelector('#progress').getAttribute('aria-valuenow') > was.progress, before, patience);
  assert.match(await text('eta'), /^the last in line gets its turn in about \d+ s$/);
  assert.match(await page.title(), /^\d+ waiting · gatewayqueue/);
  assert.match(await page.locator('.bucket .slot').first().innerText(), /^closed \d\.\d s$|^permit ≤ \d min \d+ s$/);
  await page.waitForSelector('.bucket.permit', { state: 'attached', ...patience });
  await page.locator('summary').click();
  await shoot('light');
  await check(page, 'light');
  await page.emulateMedia({ colorScheme: 'dark' });
  await shoot('dark');
  await check(page, 'dark');
  await page.setViewportSize({ width: 375, height: 780 });
  await page.waitForFunction(() => document.querySelector('#span').textContent === '30', null, patience);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} px wider than a phone`);
  await shoot('phone');
  await check(page, 'phone');

  await page.waitForFunction(() => document.querySelector('#progress').getAttribute('aria-valuenow') === '100', null, patience);
  assert.match(await text('progress-text'), /^(\d+) of \1 granted$/);
  assert.equal(await page.locator('.g.unsent').count() > 0, true, 'a permit was given back');
  assert.match(await text('spent'), /^0\s+\d/);
  assert.match(await text('latest'), /bucket \d+: shard \d+/);
  const closedByHand = page.locator('.bucket', { hasText: '<img' });
  assert.equal(await closedByHand.count(), 1, 'what somebody wrote into Redis is shown as text');
  assert.equal(await page.locator('img').count(), 0);

  // Those who use a keyboard or listen.
  await page.keyboard.press('Tab');
  const names = await page.evaluate(() => [...document.querySelectorAll('section')].map(s => document.getElementById(s.getAttribute('aria-labelledby')).textContent.trim()));
  assert.ok(names.every(Boolean), 'every region has a name');

  // The queue is away, then the server.
  await tell('queue away');
  await page.waitForFunction(() => !document.querySelector('#trouble').hidden, null, patience);
  assert.match(await text('trouble'), /^The queue cannot be read, so this is how it was at .*: Redis is away$/);
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
