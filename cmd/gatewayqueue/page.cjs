// Reads a dashboard ten times a second, as its user sees it, until a line comes on standard
// input; then writes all readings as JSON. page_test.go compares them with the queue.
//
//   NODE_PATH=... node page.cjs URL CHROMIUM
'use strict';
const readline = require('node:readline');
const { chromium } = require('playwright-core');
const [url, executablePath] = process.argv.slice(2);

(async () => {
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const complaints = [];
    page.on('pageerror', err => complaints.push(String(err)));
    const answer = await page.goto(url); // the server's address alone leads to the page
    await page.waitForFunction(() => document.querySelector('#link-text').textContent === 'live', null, { timeout: 30e3 });
    await page.evaluate(read);
    console.log('reading ' + new URL(answer.url()).pathname);
    const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    await lines.next();
    console.log(JSON.stringify({ complaints, readings: await page.evaluate(() => window.readings) }));
  } finally {
    await browser.close();
  }
})().then(() => process.exit(0), err => { console.error(err); process.exit(1); });

// In the page: texts, as they stand there.
function read() {
  const text = id => document.getElementById(id).textContent;
  window.readings = [];
  setInterval(() => window.readings.push({
    seen: Number(document.getElementById('main').dataset.seen || 0),
    fleet: text('progress-text'),
    waiting: text('waiting'),
    old: text('old'),
    buckets: [...document.querySelectorAll('.bucket')].map(el => ({
      id: Number(el.querySelector('.number span:last-child').textContent),
      slot: el.querySelector('.slot').textContent,
      line: el.querySelector('.queue').textContent,
    })),
    pods: [...document.querySelectorAll('#pods tr')].map(el => (el.className ? el.className + ' ' : '') + [...el.children].map(cell => cell.textContent).join('|')),
  }), 100);
}
