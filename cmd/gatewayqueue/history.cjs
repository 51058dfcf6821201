// Looks at the last day on a server's page, in a real browser, and writes what it shows as JSON.
//
//   NODE_PATH=... node history.cjs URL CHROMIUM SCREENSHOTS
'use strict';
const path = require('node:path');
const { chromium } = require('playwright-core');
const [url, executablePath, screenshots] = process.argv.slice(2);

(async () => {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  try {
    const page = await browser.newPage({ viewport: { width: 320, height: 780 }, colorScheme: 'dark' });
    const complaints = [];
    page.on('pageerror', err => complaints.push(String(err)));
    page.on('console', m => { if (m.type() === 'error') complaints.push(m.text()); });
    await page.goto(url);
    await page.waitForSelector('#history .h-granted', { state: 'attached', timeout: 30e3 });
    await page.locator('#history-more summary').click();
    await page.screenshot({ path: path.join(screenshots, 'history-320.png'), fullPage: true });
    const shown = await page.evaluate(() => ({
      sum: document.querySelector('#history-sum').textContent,
      rows: [...document.querySelectorAll('#history-rows tr')].map(row => [...row.cells].map(cell => cell.textContent)),
      wide: document.documentElement.scrollWidth - innerWidth,
    }));
    console.log(JSON.stringify({ complaints, ...shown }));
  } finally {
    await browser.close();
  }
})().then(() => process.exit(0), err => { console.error(err); process.exit(1); });
