// What the browser tests share: a server (the mock, or the real one at WEIR_URL) and a Chromium that notes every CSP violation and error.
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { start } from '../mock/server.mjs';

export type Mock = Awaited<ReturnType<typeof start>>;

/** The real server to test, where one is named. */
export const real = process.env.WEIR_URL?.replace(/\/?$/, '/');

export async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

export interface Visit { page: Page; problems: string[]; close: () => Promise<void> }

/** Opens `path` in a fresh profile. `problems` collects whatever a user should never see in the console. */
export async function visit(browser: Browser, url: string, path = '', options: BrowserContextOptions = {}, prepare?: (page: Page) => Promise<unknown>): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/^Failed to load resource/.test(message.text())) problems.push(`console: ${message.text()}`);
  });
  await page.exposeFunction('noteViolation', (what: string) => problems.push(`csp: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      (window as unknown as { noteViolation(what: string): void }).noteViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
  });
  await prepare?.(page);
  await page.goto(url + path);
  return { page, problems, close: () => context.close() };
}

export const rows = (page: Page) => page.locator('[data-row]');
export const total = async (page: Page) => Number((await page.locator('.total b').innerText()).replaceAll(',', ''));

/** Waits until `probe` gives something true, and returns it. */
export async function until<T>(probe: () => Promise<T>, what: string, patience_ms = 60_000): Promise<T> {
  const end = Date.now() + patience_ms;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${patience_ms} ms in vain: ${what}`);
    await new Promise((go) => setTimeout(go, 50));
  }
}
