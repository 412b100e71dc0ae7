// Pipelines, SQL, and what holds for every page: small screens, accessibility, the address.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pipelines } from '../mock/pipelines.mjs';
import { start } from '../mock/server.mjs';
import { launch, type Mock, real, until, visit } from './browser';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let browser: Browser;
let mock: Mock | undefined;
let url: string;
beforeAll(async () => {
  browser = await launch();
  if (!real) mock = await start();
  url = real ?? mock!.url;
});
afterAll(async () => {
  await browser?.close();
  await mock?.close();
});

const ask = (sql: string) => `sql?${new URLSearchParams({ sql })}`;

describe('pipelines', () => {
  test('each output shows an equation that adds up, and says whether it holds', async () => {
    const { page, problems, close } = await visit(browser, url, 'pipelines');
    await page.locator('.sum').first().waitFor();
    for (const line of await page.locator('.balances li').filter({ hasText: 'holds' }).filter({ hasNotText: 'not hold' }).locator('.sum').allInnerTexts()) {
      const sides = line.split('=').map((side) => [...side.matchAll(/([\d,]+) /g)].map(([, n]) => Number(n!.replaceAll(',', ''))));
      const [taken, became] = sides.map((side) => side.reduce((a, b) => a + b, 0));
      expect(became).toBe(taken);
      expect(line.replace(/\s+/g, ' ')).toMatch(/read (\+ .*added )?= .*results \+ .*filtered (\+ .*merged )?\+ .*late \+ .*dead letters \+ .*open/);
    }
    await page.getByText('Watermark').first().waitFor();
    expect(problems).toEqual([]);
    await close();
  });

  test('a broken balance, an error and the partition that holds time back cannot be missed', async () => {
    // A server whose counts do not balance cannot be had on request.
    const troubled = pipelines({ logs: [] }, Date.now() - 5000);
    const { page, close } = await visit(browser, url, 'pipelines', {}, (page) => page.route('**/api/v1/pipelines', (route) => route.fulfill({ json: { pipelines: troubled } })));
    await page.getByText('12 missing').waitFor();
    await page.getByText('counts do not balance').waitFor();
    await page.getByText('ends in the middle of a gzip member').waitFor();
    expect(await page.getByText('holds time back').count()).toBe(1);
    await page.getByRole('button', { name: 'Show all 8' }).click();
    expect(await page.locator('article', { hasText: 'spark-logs' }).locator('tbody tr').count()).toBe(8);
    await close();
  });
});

describe('a pipeline that waits for an output', () => {
  test('says for which, for how long, what it answers and when it is tried again', async () => {
    const all = pipelines({ logs: [] }, Date.now() - 5000);
    const { page, close } = await visit(browser, url, 'pipelines', {}, (page) => page.route('**/api/v1/pipelines', (route) => route.fulfill({ json: { pipelines: all } })));
    const card = page.locator('article', { hasText: 'alerts' }).last();
    await card.getByText('waits for the output webhook').waitFor();
    const said = (await card.locator('.waiting').innerText()).replace(/\s+/g, ' ');
    expect(said).toMatch(/for 1 m .*after 7 failed tries; tried again (in \d+|any moment).* nothing is lost/);
    expect(said).toContain('503 Service Unavailable');
    expect(await card.locator('.state').first().innerText()).toBe('waiting');
    expect(await page.locator('article', { hasText: 'spark-logs' }).locator('.waiting').count()).toBe(0);
    await close();
  });
});

describe('SQL', () => {
  test('a question typed and run with Ctrl-Enter shows its rows', async () => {
    const { page, problems, close } = await visit(browser, url, 'sql');
    const editor = page.locator('.cm-content');
    await editor.click();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type('SELECT 1 AS one');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('columnheader', { name: 'one' }).waitFor();
    await page.getByText('1 row').waitFor();
    expect(page.url()).toContain('sql=SELECT');
    expect(problems).toEqual([]);
    await close();
  });

  test('a mistake shows the message of the server and where it is', async () => {
    const { page, problems, close } = await visit(browser, url, ask('SELEC 1'));
    const problem = page.locator('.problem');
    await problem.waitFor();
    expect((await problem.innerText()).length).toBeGreaterThan(10);
    await page.getByRole('button', { name: 'Go to line 1, column 1' }).click();
    await page.locator('.cm-wrong').waitFor();
    expect(problems).toEqual([]);
    await close();
  });

  test('numbers over time are drawn, and can be taken away as CSV', async () => {
    const { page, problems, close } = await visit(browser, url, ask('SELECT window_start, app_id, sum(errors) AS errors FROM errors_per_minute GROUP BY window_start, app_id ORDER BY window_start'));
    await page.getByRole('region', { name: 'Chart' }).locator('canvas').first().waitFor();
    await page.getByRole('button', { name: 'Lines' }).click();
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'CSV', exact: true }).click()]);
    expect(file.suggestedFilename()).toBe('weir.csv');
    expect(readFileSync(await file.path(), 'utf8')).toMatch(/^window_start,app_id,errors\r\n20/);
    expect(problems).toEqual([]);
    await close();
  });

  /** Types over what stands there, and waits until it is completed. */
  async function completes(page: Page, typed: string, completed: string) {
    await page.locator('.cm-content').click();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.type(typed, { delay: 15 });
    await page.locator('.cm-tooltip-autocomplete').getByText(completed).first().waitFor();
  }

  test('tables and columns are completed', async () => {
    const { page, close } = await visit(browser, url, 'sql');
    await until(async () => (await page.locator('.cm-content').innerText()).includes('FROM'), 'an example stands there');
    await completes(page, 'SELECT * FROM spark_', 'spark_logs');
    await close();
  });

  test.skipIf(real)('open windows are offered and completed', async () => {
    const { page, close } = await visit(browser, url, 'sql');
    await until(async () => (await page.locator('option').allTextContents()).includes('Open windows of spark_errors'), 'the question about open windows');
    await completes(page, 'SELECT * FROM live.spa', 'spark_errors');
    await close();
  });
});

describe('every page', () => {
  const pages = ['', 'pipelines', ask('SELECT window_start, app_id, sum(errors) AS errors FROM errors_per_minute GROUP BY window_start, app_id')];
  const settled = '[data-row], .sum, .wide table';

  for (const path of pages) {
    const name = `/${path.split('?')[0]}`;
    for (const colorScheme of ['light', 'dark'] as const) {
      test(`${name} in ${colorScheme} has no serious accessibility violation`, async () => {
        const { page, close } = await visit(browser, url, path, { colorScheme });
        await page.locator(settled).first().waitFor();
        if (!path) {
          await page.getByRole('button', { name: /^ERROR/ }).click();
          await page.locator('[data-row]:has(.more)').first().click();
          // While rows are asked for, those shown are dimmed on purpose.
          await until(() => page.locator('.rows').evaluate((box) => !box.matches('.dim') && getComputedStyle(box).opacity === '1'), 'all rows are there');
        }
        await page.evaluate(axe);
        const found = await page.evaluate(async () => (await (window as unknown as { axe: typeof import('axe-core') }).axe.run()).violations);
        const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
        expect(serious.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html} ${node.any[0]?.message ?? node.failureSummary ?? ''}`).join(' | ')}`)).toEqual([]);
        await close();
      });
    }

    test(`${name} fits a phone of 390 px without scrolling sideways`, async () => {
      const { page, close } = await visit(browser, url, path, { viewport: { width: 390, height: 844 } });
      await page.locator(settled).first().waitFor();
      if (!path) await page.locator('[data-row]').first().click();
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
      await close();
    });
  }

  test('the navigation changes page and address, and a step back returns', async () => {
    const { page, problems, close } = await visit(browser, url);
    await page.getByRole('link', { name: 'Pipelines' }).click();
    await page.locator('.sum').first().waitFor();
    expect(new URL(page.url()).pathname).toBe('/pipelines');
    await page.reload();
    await page.locator('.sum').first().waitFor();
    await page.goBack();
    await page.locator('[data-row]').first().waitFor();
    expect(problems).toEqual([]);
    await close();
  });

  test('the chosen theme stays', async () => {
    const { page, close } = await visit(browser, url, 'pipelines', { colorScheme: 'light' });
    await page.getByRole('button', { name: 'Use the dark theme' }).click();
    await page.reload();
    await page.getByRole('button', { name: 'Use the light theme' }).waitFor();
    expect(await page.evaluate(() => getComputedStyle(document.documentElement).colorScheme)).toBe('dark');
    await close();
  });
});
