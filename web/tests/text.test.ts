// What needs no browser: hidden characters, positions in messages, ranges, series.
import { describe, expect, test } from 'vitest';
import type { SqlResult, Table } from '../src/lib/api';
import { levelClass, spellings } from '../src/lib/levels';
import { parseTime, span } from '../src/lib/time.svelte';
import { pieces } from '../src/lib/visible';
import { question, series } from '../src/logs/errors';
import { busyPart, readRange, usualRange } from '../src/logs/range';
import { topOf } from '../src/logs/scale';
import { positionOf } from '../src/sql/questions';
import { overTime } from '../src/sql/shape';

const shown = (text: string, needle = '', lines = false) => pieces(text, needle, lines).map(({ text, kind }) => (kind === 'plain' ? text : kind === 'hit' ? `[${text}]` : `{${text}}`)).join('');

describe('hidden characters', () => {
  test('become marks', () => {
    expect(shown('a\u001b[31mb\u0000c\u202ed\u200be')).toBe('a{␛[31m}b{␀}c{⟨U+202E⟩}d{⟨U+200B⟩}e');
    expect(shown('a\nb\tc')).toBe('a{⏎}b{⇥}c');
    expect(shown('a\nb\tc', '', true)).toBe('a\nb\tc');
  });
  test('hits are found whatever their case, and are never a pattern', () => {
    expect(shown('Task task a.b aXb', 'TASK')).toBe('[Task] [task] a.b aXb');
    expect(shown('a.b aXb', 'a.b')).toBe('[a.b] aXb');
    expect(shown('x\u0007y', 'x\u0007')).toBe('[x]{␇}y');
  });
  test('nothing is lost', () => {
    const text = 'İ straße 👩‍👩‍👧 \ud800 end';
    expect(pieces(text, 'e', true).map((piece) => piece.text).join('').replaceAll(/⟨U\+200D⟩/g, '\u200d')).toBe(text);
  });
});

test('times of every spelling are understood, others are not times', () => {
  const at = Date.UTC(2026, 10, 21, 1, 2, 3, 456);
  for (const text of ['2026-11-21T01:02:03.456Z', '2026-11-21T01:02:03.456000Z', '2026-11-21 01:02:03.456', '2026-11-21T01:02:03.456', '2026-11-21T02:02:03.456+01:00', at * 1000]) expect(parseTime(text)).toBe(at);
  for (const text of ['', 'yesterday', null, undefined, {}, NaN]) expect(parseTime(text)).toBeNull();
  expect(span(61_000)).toBe('1 m 1 s');
});

test('a range in the address must make sense', () => {
  expect(readRange(new URLSearchParams('range=1h'))).toEqual({ preset: '1h' });
  expect(readRange(new URLSearchParams('range=1y'))).toBeNull();
  expect(readRange(new URLSearchParams('from=2026-01-02&to=2026-01-01'))).toBeNull();
});

test('a page opens with the shortest span that holds enough to read, else with everything', async () => {
  const now = Date.UTC(2026, 10, 21);
  const hour = 3_600_000;
  const usual = (oldest: number, newest: number, lines: (hours: number) => number) =>
    usualRange({ min_time: new Date(oldest).toISOString(), max_time: new Date(newest).toISOString() } as Table, now, async (from) => lines((now - from) / hour));
  expect(await usual(now - 900 * hour, now - 100, () => 200)).toEqual({ preset: '1h' });
  expect(await usual(now - 900 * hour, now - 100, (hours) => hours * 20)).toEqual({ preset: '24h' });
  expect(await usual(now - 900 * hour, now - 100, () => 199)).toEqual({ preset: 'all' });
  expect(await usual(now - 900 * hour, now - 800 * hour, () => { throw new Error('nothing to ask'); })).toEqual({ preset: 'all' });
  expect(await usual(now - 5 * hour, now - 100, (hours) => (hours > 1 ? 16_000 : 5))).toEqual({ preset: 'all' });
});

test('the part of a span that holds nearly all lines is found where the rest is empty', () => {
  const mostly = (size: number, at: Record<number, number>) => Array.from({ length: size }, (_, i) => at[i] ?? 0);
  expect(busyPart(mostly(60, { 0: 700, 1: 900, 59: 3 }))).toEqual([0, 1]);
  expect(busyPart(mostly(60, { 30: 100 }))).toEqual([30, 30]);
  expect(busyPart(mostly(60, { 30: 99 }))).toBeNull();
  expect(busyPart(mostly(60, { 0: 500, 59: 500 }))).toBeNull();
  expect(busyPart([])).toBeNull();
});

test('levels are the same whatever a logger calls them', () => {
  expect(['ERROR', 'WARNING', 'CRITICAL', 'AUDIT'].map(levelClass)).toEqual(['lv-error', 'lv-warn', 'lv-fatal', 'lv-none']);
  expect(spellings(['INFO', 'ERROR'], ['info', 'Info', null, 'warn'])).toEqual(['info', 'Info', 'ERROR']);
});

test('axes end at round numbers', () => {
  expect([1, 7, 42, 510, 900].map(topOf)).toEqual([1, 8, 50, 600, 1000]);
});

test('an error message gives its position', () => {
  expect(positionOf('sql parser error: Expected: an SQL statement, found: SELEC at Line: 3, Column: 14')).toEqual({ line: 3, column: 14 });
  expect(positionOf('table x not found')).toBeNull();
});

describe('errors per minute', () => {
  const result: SqlResult = { columns: [], rows: Array.from({ length: 10 }, (_, i) => ['2026-11-21T01:00:00Z', `app-${i}`, '0', i + 1]), row_count: 10, truncated: false, elapsed_ms: 1 };
  const from = Date.UTC(2026, 10, 21);
  test('the smaller series are told together and nothing is left out', () => {
    const { chart, total, totals } = series(result, from, from + 7_200_000);
    expect(total).toBe(55);
    expect(chart.series.length).toBe(8);
    expect(totals.at(-1)).toEqual({ name: '3 others', errors: 6 });
    expect(totals.reduce((sum, { errors }) => sum + errors, 0)).toBe(total);
  });
  test('only the last revision of a window counts', () => {
    expect(question(['errors', 'revision'], 0, 60_000)).toContain('last_value(errors ORDER BY revision)');
    expect(question(['errors'], 0, 60_000)).toContain('sum(errors)');
  });
});

test('only results with a time and numbers are drawn', () => {
  const rows = [['2026-01-01T00:00:00Z', 'a', 1], ['2026-01-01T00:01:00Z', 'a', 2]];
  const result = (columns: SqlResult['columns']): SqlResult => ({ columns, rows, row_count: 2, truncated: false, elapsed_ms: 0 });
  const [time, key, n] = [{ name: 't', type: 'Timestamp(Microsecond, Some("UTC"))' }, { name: 'k', type: 'Utf8View' }, { name: 'n', type: 'Int64' }];
  expect(overTime(result([time, key, n]), 'line')?.series).toEqual([{ name: 'a', points: [[Date.UTC(2026, 0, 1), 1], [Date.UTC(2026, 0, 1, 0, 1), 2]] }]);
  expect(overTime(result([key, key, n]), 'line')).toBeNull();
});
