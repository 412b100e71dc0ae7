// The committed bundle: it is the one these sources give, it is small at the start, and it asks nothing of anyone else.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';

const web = fileURLToPath(new URL('..', import.meta.url));
const dist = join(web, 'dist');
const files = (folder: string) => readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
const packed = (file: string) => gzipSync(readFileSync(join(dist, file))).length;

/** What a browser loads before the first line is shown: bytes on the wire. */
const START_BYTES_MAX = 60_000;
const LAZY_BYTES_MAX = 200_000;

test('dist is what the sources give: after a change run npm run build', () => {
  const fresh = mkdtempSync(join(tmpdir(), 'weir-dist-'));
  try {
    // A process of its own: inside a test run the plugins would build for tests.
    const { NODE_ENV: _test, VITEST: _runs, ...env } = process.env;
    execFileSync(process.execPath, [join(web, 'node_modules/vite/bin/vite.js'), 'build', '--outDir', fresh, '--emptyOutDir'], { cwd: web, env, stdio: 'pipe' });
    expect(files(fresh)).toEqual(files(dist));
    for (const file of files(fresh)) expect(readFileSync(join(fresh, file)).equals(readFileSync(join(dist, file))), `${file} is out of date`).toBe(true);
  } finally {
    rmSync(fresh, { recursive: true });
  }
});

test('the start is small, and no lazy part is huge', () => {
  const start = readFileSync(join(dist, 'assets/index.js'), 'utf8').match(/from\s*["']\.\/([\w.-]+\.js)["']/g)?.map((found) => `assets/${/\.\/([\w.-]+)/.exec(found)![1]}`) ?? [];
  const first = ['index.html', 'theme.js', 'assets/index.js', 'assets/index.css', ...start];
  expect(first.reduce((sum, file) => sum + packed(file), 0)).toBeLessThan(START_BYTES_MAX);
  for (const file of files(dist)) expect(packed(file), file).toBeLessThan(LAZY_BYTES_MAX);
});

test('the page has no inline script or style and loads nothing from elsewhere', () => {
  const html = readFileSync(join(dist, 'index.html'), 'utf8');
  expect(html).not.toMatch(/<script(?![^>]*src=)|<style|style=|\son\w+=|https?:/);
  for (const file of files(dist).filter((name) => name.endsWith('.css'))) expect(readFileSync(join(dist, file), 'utf8'), file).not.toMatch(/url\(|@import/);
});
