// The first page in a real browser. Runs against the mock, or against a real server with Spark logs in it: WEIR_URL=http://127.0.0.1:7280 npm test
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { start } from '../mock/server.mjs';
import { launch, type Mock, real, rows, total, until, visit } from './browser';

let browser: Browser;
let mock: Mock | undefined;
let url: string;
beforeAll(async () => {
  browser = await launch();
  if (!real) mock = await start({ grow: false });
  url = real ?? mock!.url;
});
afterAll(async () => {
  await browser?.close();
  await mock?.close();
});

const ready = (page: Page) => Promise.all([rows(page).first().waitFor(), page.locator('rect.bar').first().waitFor()]);
const levelsShown = (page: Page) => page.locator('[data-row] .level').allTextContents();

describe('the first page', () => {
  test('shows lines, the histogram by level and the errors per minute', async () => {
    const { page, problems, close } = await visit(browser, url);
    await ready(page);
    expect(await rows(page).count()).toBeGreaterThan(5);
    expect(await page.locator('.chip').count()).toBeGreaterThanOrEqual(3);
    const errors = page.getByRole('region', { name: /Errors per minute/ });
    await errors.locator('canvas').first().waitFor();
    // An application and, after the slash, what of it.
    expect((await errors.locator('li').allTextContents()).join('\n')).toMatch(/\S+ \/ (driver|exec \d)/);
    expect(await page.title()).toBe('Logs · Weir');
    expect(problems).toEqual([]);
    await close();
  });

  test('a search narrows the lines, marks the hits, and can be cleared', async () => {
    const { page, close } = await visit(browser, url);
    await ready(page);
    const before = await total(page);
    await page.keyboard.press('/');
    await page.keyboard.type('task', { delay: 10 });
    await until(async () => (await page.locator('[data-row] mark').count()) > 0, 'hits are marked');
    await until(async () => (await total(page)) < before, 'fewer lines');
    const after = await total(page);
    await until(async () => (await page.locator('[data-row] .message').allTextContents()).every((line) => line.toLowerCase().includes('task')), 'only lines with a hit');
    expect(page.url()).toContain('q=task');
    await page.getByRole('button', { name: 'Clear the search' }).click();
    await until(async () => (await total(page)) > after, 'all lines again');
    await close();
  });

  test('a search without a hit says so and offers the way back', async () => {
    const { page, close } = await visit(browser, url, '?q=nobody-ever-wrote-this-97');
    await page.getByText('No line matches').waitFor();
    await page.getByRole('button', { name: 'Clear search and levels' }).click();
    await ready(page);
    await close();
  });

  test('a level chip filters lines and histogram, and is told by text', async () => {
    const { page, close } = await visit(browser, url);
    await ready(page);
    await page.getByRole('button', { name: /^ERROR/ }).click();
    await until(async () => { const shown = await levelsShown(page); return shown.length > 0 && shown.every((level) => level === 'ERROR'); }, 'only ERROR');
    expect(await page.locator('rect.bar:not(.lv-error)').count()).toBe(0);
    expect(page.url()).toContain('levels=ERROR');
    await page.getByRole('button', { name: 'All levels' }).click();
    await until(async () => (await levelsShown(page)).includes('INFO'), 'INFO again');
    await close();
  });

  test('dragging over the histogram zooms, and the zoom can be reset', async () => {
    const { page, close } = await visit(browser, url);
    await ready(page);
    const before = await total(page);
    const box = (await page.locator('.plot').boundingBox())!;
    await page.mouse.move(box.x + box.width * 0.5, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.7, box.y + 40, { steps: 5 });
    await page.mouse.up();
    await until(async () => page.url().includes('from='), 'the range is in the address');
    await until(async () => (await total(page)) < before, 'fewer lines');
    const after = await total(page);
    await page.getByRole('button', { name: 'Reset zoom' }).click();
    await until(async () => (await total(page)) > after, 'the whole range again');
    await page.goBack();
    await until(async () => (await total(page)) === after, 'a step back zooms in again');
    await close();
  });

  test('a preset and typed moments set the range', async () => {
    const { page, close } = await visit(browser, url);
    await ready(page);
    await page.getByRole('button', { name: /^Time range/ }).click();
    await page.getByRole('button', { name: 'Everything', exact: true }).click();
    await until(async () => page.url().includes('range=all'), 'the preset is in the address');
    await page.getByRole('button', { name: /^Time range/ }).click();
    await page.getByLabel('From').fill('2030-01-01T00:00:00');
    await page.getByLabel('To', { exact: true }).fill('2029-01-01T00:00:00');
    await page.getByRole('button', { name: /^Apply/ }).click();
    await page.getByText('The end must be after the start.').waitFor();
    await page.keyboard.press('Escape');
    expect(await page.getByRole('dialog').count()).toBe(0);
    await close();
  });

  test('an opened row shows its stack trace and every field; a link leads to the same view', async () => {
    const { page, close } = await visit(browser, url, '?levels=ERROR&range=all');
    const withStack = page.locator('[data-row]:has(.more)').first();
    await withStack.click();
    await until(async () => /\bat [\w.$]+\(|Traceback|Exception/.test(await page.locator('.stack').first().innerText()), 'a stack trace');
    await page.locator('.detail dt', { hasText: 'source_file' }).first().waitFor();
    await close();
  });

  test('older rows load while scrolling', async () => {
    const { page, close } = await visit(browser, url, '?range=all');
    await ready(page);
    const before = await rows(page).count();
    await page.locator('.scroll').evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await until(async () => (await rows(page).count()) > before, 'more rows');
    const keys = await rows(page).evaluateAll((all) => all.map((row) => row.getAttribute('data-row')));
    expect(new Set(keys).size).toBe(keys.length);
    await close();
  });

  test('the whole path works with the keyboard alone', async () => {
    const { page, close } = await visit(browser, url);
    await ready(page);
    await page.keyboard.press('/');
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toBe('Search in messages');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.locator('.detail').waitFor();
    expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-expanded'))).toBe('true');
    await page.keyboard.press('Escape');
    await until(async () => (await page.locator('.detail').count()) === 0, 'closed again');
    await page.locator('.plot').focus();
    await page.keyboard.press('Home');
    expect(await page.locator('.plot').getAttribute('aria-valuetext')).toMatch(/lines|ERROR|INFO|WARN/);
    await page.keyboard.press('Shift+End');
    await page.keyboard.press('Enter');
    await until(async () => page.url().includes('from='), 'zoomed by keyboard');
    await close();
  });
});

describe('text from outside stays text', () => {
  const evil = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>\u001b[31mred\u001b[0m \u202egnp.exe javascript:window.hurt=1';
  const row = { ts: '2026-11-21T01:00:00.000000Z', level: 'ERROR', logger: evil, message: evil, stack: `${evil}\n\tat a.b.C(D.scala:1)`, app_id: evil, executor_id: evil, source_file: evil, source_offset: 1, [evil]: evil };
  const told = [
    ['estimate', { segments: 1, segments_read: 1, rows: 1, bytes: 90 }],
    ['lines', { rows: [row], reached: row.ts, done: 1 }],
    ['end', { reason: 'complete', reached: row.ts, next: null }],
  ].map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('');

  test('markup, scripts, terminal and bidirectional characters do nothing and are seen', async () => {
    const { page, problems, close } = await visit(browser, url, '?q=img', {}, (page) =>
      page.route('**/api/v1/logs/scan?**', (route) => route.fulfill({ contentType: 'text/event-stream', body: told })));
    await rows(page).first().click();
    const shown = await page.locator('.detail .message').innerText();
    expect(shown).toContain('<img src=x onerror=');
    expect(shown).toContain('␛[31m');
    expect(shown).toContain('⟨U+202E⟩');
    expect(await page.locator('main img, main script').count()).toBe(0);
    expect(await page.evaluate(() => (window as { hurt?: number }).hurt)).toBeUndefined();
    expect(problems).toEqual([]);
    await close();
  });
});

const stream = process.env.WEIR_STREAM;
// A real server takes rows only through an HTTP stream of one of its pipelines, which has to be named.
const speechless = Boolean(real && !stream);
async function say(message: string) {
  if (mock) mock.store.put(mock.store.row(Date.now(), { level: 'WARN', message, source_file: 'live' }));
  else {
    const answer = await fetch(`${url}api/v1/ingest/${stream}`, { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body: `${JSON.stringify({ ts: new Date().toISOString(), level: 'WARN', message })}\n` });
    expect(answer.status).toBe(200);
  }
}
/** A text that no earlier run has posted. */
const unheard = (what: string) => `${what} ${Date.now()}`;

describe('live rows', () => {
  test.skipIf(speechless)('arrive on top, are held while one reads, and stop when told', async () => {
    const { page, problems, close } = await visit(browser, url);
    await ready(page);
    const tail = page.waitForRequest('**/api/v1/logs/tail**');
    await page.getByRole('button', { name: 'Live' }).click();
    await tail;
    const [first, second] = [unheard('first live row'), unheard('second live row')];
    // Said until it is heard: nothing tells when the server has begun to listen to this page.
    await until(async () => { await say(first); return rows(page).filter({ hasText: first }).count(); }, 'the row appears');
    await rows(page).first().click();
    await say(second);
    await page.getByRole('button', { name: /held, show/ }).click();
    await rows(page).filter({ hasText: second }).first().waitFor();
    await page.getByRole('button', { name: 'Live' }).click();
    await until(async () => (await page.locator('.live').getAttribute('aria-pressed')) === 'false', 'stopped');
    expect(problems).toEqual([]);
    await close();
  });
});

describe('a server in a special state', () => {
  test('without tables the page says how to get some', async () => {
    const { page, problems, close } = await visit(browser, url, '', {}, (page) => page.route('**/api/v1/tables', (route) => route.fulfill({ json: { tables: [] } })));
    await page.getByText('weir run examples/spark-logs.yaml').waitFor();
    expect(problems).toEqual([]);
    await close();
  });

  test('the first table appears by itself on a page that was there before it', async () => {
    let asked = 0;
    const { page, problems, close } = await visit(browser, url, '', {}, (page) =>
      page.route('**/api/v1/tables', (route) => ((asked += 1) === 1 ? route.fulfill({ json: { tables: [] } }) : route.continue())));
    await page.getByText('No logs yet').waitFor();
    await ready(page);
    expect(problems).toEqual([]);
    await close();
  });

  test.skipIf(speechless)('a table that grows shows its new rows without being asked', async () => {
    const { page, problems, close } = await visit(browser, url);
    await ready(page);
    const message = unheard('nobody asked for this row');
    await say(message);
    await rows(page).filter({ hasText: message }).waitFor();
    expect(problems).toEqual([]);
    await close();
  });

  test('no more than 2,000 rows are in the page, and one can go on from there', async () => {
    const { page, close } = await visit(browser, url, '?range=all');
    await ready(page);
    await until(async () => {
      await page.locator('.scroll').evaluate((box) => box.scrollTo(0, box.scrollHeight));
      return page.getByRole('button', { name: 'Continue with older ones' }).count();
    }, 'the end of what the page holds', 20_000);
    expect(await rows(page).count()).toBe(2000);
    const last = await rows(page).last().locator('.time').textContent();
    await page.getByRole('button', { name: 'Continue with older ones' }).click();
    await until(async () => (await rows(page).count()) < 2000 && (await rows(page).first().locator('.time').textContent())! <= last!, 'older rows');
    await close();
  });

  test('older rows load also where the browser tells several moves of the end at once', async () => {
    // What a busy browser does: where the end was and where it is now come in one call.
    const { page, close } = await visit(browser, url, '?range=all', {}, (page) => page.addInitScript(() => {
      const Watch = window.IntersectionObserver;
      window.IntersectionObserver = class extends Watch {
        constructor(told: IntersectionObserverCallback, options?: IntersectionObserverInit) {
          const away = (change: IntersectionObserverEntry) => Object.create(change, { isIntersecting: { value: false } }) as IntersectionObserverEntry;
          super((changes, watch) => told([away(changes[0]!), ...changes], watch), options);
        }
      };
    }));
    await ready(page);
    await page.locator('.scroll').evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await until(async () => (await rows(page).count()) > 200, 'older rows');
    await close();
  });

  test.skipIf(real)('a search that takes long says what it costs, shows what it has found, and can be stopped and taken up again', async () => {
    const slow = await start({ grow: false, pace: { piece: 400, pause_ms: 250 } });
    const { page, problems, close } = await visit(browser, slow.url, '?range=all&q=lost+task');
    const progress = page.getByRole('progressbar', { name: 'How much of it is looked through' });
    await progress.waitFor();
    expect(await page.locator('.scan').innerText()).toContain('at most 8,000 rows, 703 KiB');
    const early = await until(() => rows(page).count(), 'the first hits');
    await page.getByRole('button', { name: 'Stop' }).click();
    const found = await rows(page).count();
    expect(found).toBeGreaterThanOrEqual(early);
    await page.getByText(/^Looked through down to \d{4}-/).waitFor();
    expect(await progress.count()).toBe(0);
    await page.getByRole('button', { name: 'Search further' }).click();
    await page.getByText('all that there are in this range').waitFor();
    const all = await rows(page).allInnerTexts();
    expect(all.length).toBeGreaterThan(found);
    const whole = (await (await fetch(`${slow.url}api/v1/logs?table=spark_logs&q=lost+task&limit=5000`)).json()) as { rows: unknown[] };
    expect(all.length).toBe(whole.rows.length);
    expect(problems).toEqual([]);
    await close();
    await slow.close();
  });

  test.skipIf(real)('a search whose time is over says how far it came, also where it found nothing', async () => {
    const short = await start({ grow: false, pace: { rows_max: 2000 } });
    const { page, problems, close } = await visit(browser, short.url, '?range=all&q=is+nowhere');
    await page.getByText(/^Looked through down to/).waitFor();
    expect(await page.getByText('No line matches').count()).toBe(0);
    for (let times = 0; times < 3; times += 1) {
      const before = await page.locator('.lines').innerText();
      await page.getByRole('button', { name: 'Search further' }).click();
      await until(async () => (await page.locator('.lines').innerText()) !== before, 'it went on');
    }
    await page.getByText('No line matches').waitFor();
    expect(problems).toEqual([]);
    await close();
    await short.close();
  });

  test('an error is told in the words of the server', async () => {
    const { page, close } = await visit(browser, url, '', {}, (page) =>
      page.route('**/api/**', (route) => route.fulfill({ status: 503, json: { error: { code: 'storage', message: 'the catalog /data/catalog.sqlite cannot be read: disk I/O error', hint: null } } })));
    await page.getByText('cannot be read: disk I/O error').waitFor();
    await close();
  });

  test('old data is shown in whole, without asking', async () => {
    // Not the data is older than usual but the clock of the browser is ahead.
    const { page, close } = await visit(browser, url, '', {}, (page) => page.clock.setSystemTime(Date.now() + 400 * 86_400_000));
    await ready(page);
    expect(await page.getByRole('button', { name: /^Time range/ }).innerText()).toContain('Everything');
    await close();
  });

  test('lines far away from all others can be left out with one press', async () => {
    const at = (ms: number) => new Date(ms).toISOString();
    const start = Date.UTC(2026, 0, 1);
    const counts = Array.from({ length: 60 }, (_, i) => (i === 3 ? 500 : i === 59 ? 2 : 0));
    const { page, close } = await visit(browser, url, '?range=all', {}, (page) =>
      page.route('**/api/v1/logs/histogram?**', (route) => route.fulfill({ json: { from: at(start), to: at(start + 3_600_000), bucket_ms: 60_000, series: [{ level: 'INFO', counts }], total: 502 } })));
    await page.getByRole('button', { name: 'Zoom to the lines' }).click();
    await until(async () => page.url().includes(encodeURIComponent(at(start + 180_000))) && page.url().includes(encodeURIComponent(at(start + 240_000))), 'the busy minute is in the address');
    await close();
  });
});
