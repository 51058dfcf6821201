// Pauses and resumes a queue on the page of a server, as an operator would, and looks at
// it at all widths. pageorders_test.go compares what the queue makes of it.
//
//   NODE_PATH=... node pageorders.cjs URL CHROMIUM TOKEN SCREENSHOTS
'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');
const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const [url, executablePath, token, screenshots] = process.argv.slice(2);
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
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, httpCredentials: { username: 'any', password: token } });
  const page = await context.newPage(), complaints = [];
  page.on('console', m => { if (m.type() === 'error') complaints.push(m.text()); });
  page.on('pageerror', err => complaints.push(String(err)));
  const text = id => page.locator('#' + id).innerText();
  const banner = shown => page.waitForFunction(is => document.querySelector('#pause').hidden !== is, shown, patience);
  await page.goto(url + '/dashboard');
  await page.waitForSelector('#pause-open:not([hidden])', patience);

  // A pause needs a reason, and the right token.
  await page.locator('#pause-open').click();
  await check(page, 'the dialog');
  await page.screenshot({ path: path.join(screenshots, 'dialog.png') });
  await page.locator('#order-send').click();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'order-why', 'a reason is required');
  await page.locator('#order-why').fill('<b>Discord</b> is down');
  await page.locator('#order-who').fill('alice');
  await page.locator('#order-for').selectOption({ label: '30 min' });
  await page.locator('#order-token').fill('not the token, surely');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('#order-trouble').textContent !== '', null, patience);
  assert.equal(await text('order-trouble'), 'The server refuses this token.');
  await check(page, 'the dialog with a refusal');
  await page.locator('#order-token').fill(token);
  await page.keyboard.press('Enter');
  await banner(true);
  assert.match(await text('pause-text'), /^Grants are paused by alice at 127\.0\.0\.1: <b>Discord<\/b> is down\. Since .+, for (30 min 0 s|29 min \d+ s) more\.$/);
  assert.equal(await page.locator('#order').evaluate(d => d.open), false);
  await page.waitForFunction(() => document.querySelector('#orders li'), null, patience);
  assert.match(await text('orders'), /pause for 30 min 0 s, alice at 127\.0\.0\.1: <b>Discord<\/b> is down$/);
  await page.waitForFunction(() => document.querySelectorAll('#apps tr').length === 2, null, patience);
  assert.match(await text('apps'), /another[\s\S]*paused by .*: to be listed/);
  for (const width of [320, 390, 768, 1200]) {
    await page.setViewportSize({ width, height: 900 });
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(150);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `the page is ${wide} px wider than ${width} px`);
      await page.screenshot({ path: path.join(screenshots, `${width}-${colorScheme}.png`) });
      if (width === 320 || width === 1200) await check(page, `${width} px, ${colorScheme}`);
    }
  }
  await page.locator('#resume-open').click();
  assert.equal(await page.locator('#order-token').inputValue(), token, 'it is asked for once');
  await page.setViewportSize({ width: 320, height: 780 });
  await page.screenshot({ path: path.join(screenshots, 'resume-320.png') });
  await page.locator('#order-why').fill('it is up');
  await page.keyboard.press('Enter');
  await banner(false);
  await page.waitForFunction(() => document.querySelectorAll('#orders li').length === 2, null, patience);
  assert.deepEqual(complaints.filter(c => !/401/.test(c)), []);
  await page.locator('#apps a', { hasText: 'another' }).click(); // the page of another queue shows it, and takes no orders
  await page.waitForFunction(() => document.querySelector('#app').textContent === 'another', null, patience);
  await banner(true);
  assert.equal(await page.locator('#resume-open').isVisible(), false);
  assert.deepEqual(await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]), [0, 0, ''], 'the token is kept nowhere');
}

// check holds the page against WCAG 2, levels A and AA, as far as a program can.
async function check(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] })); // eslint-disable-line no-undef
  assert.deepEqual(violations.map(v => `${v.id}: ${v.nodes.map(n => n.html + ' ' + n.failureSummary).join('; ')}`), [], name);
}
