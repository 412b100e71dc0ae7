// The span of time that is looked at: a preset that moves with the clock, or two fixed ends.
import type { Table } from '../lib/api';
import { parseTime, full } from '../lib/time.svelte';

export const PRESETS = [
  { id: '5m', name: 'Last 5 minutes', ms: 5 * 60_000 },
  { id: '15m', name: 'Last 15 minutes', ms: 15 * 60_000 },
  { id: '1h', name: 'Last hour', ms: 3_600_000 },
  { id: '24h', name: 'Last 24 hours', ms: 86_400_000 },
  { id: '7d', name: 'Last 7 days', ms: 7 * 86_400_000 },
  { id: 'all', name: 'Everything', ms: null },
] as const;

export type Range = { preset: string } | { from: number; to: number };

/** The range in the address, or null where it names none (or nonsense). */
export function readRange(params: URLSearchParams): Range | null {
  const from = parseTime(params.get('from'));
  const to = parseTime(params.get('to'));
  if (from !== null && to !== null && from < to) return { from, to };
  const preset = params.get('range');
  return PRESETS.some(({ id }) => id === preset) ? { preset: preset! } : null;
}

export function writeRange(range: Range): Record<string, string | null> {
  if ('preset' in range) return { range: range.preset, from: null, to: null };
  return { range: null, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
}

/** A span with fewer lines than this is not worth opening a page with. */
const ENOUGH_LINES = 200;

/**
 * Where nobody chose: the shortest of the last hour, day and week that holds enough to read; everything where none does, so that
 * one fresh row on top of old logs does not hide them. Everything, too, where the whole table is younger than the span.
 * `lines` counts those since a moment.
 */
export async function usualRange(table: Table, now: number, lines: (from: number) => Promise<number>): Promise<Range> {
  const [oldest, newest] = [parseTime(table.min_time), parseTime(table.max_time)];
  for (const { id, ms } of PRESETS) {
    if (ms === null || ms < 3_600_000 || newest === null || newest < now - ms) continue;
    if (oldest !== null && oldest >= now - ms) break;
    if ((await lines(now - ms)) >= ENOUGH_LINES) return { preset: id };
  }
  return { preset: 'all' };
}

const BUSY_SHARE = 0.95;
const BUSY_LINES_MIN = 100;
const BUSY_WIDTH = 0.3;

/** The buckets `[first, last]` that hold nearly all lines, where those are so few that the rest of the span is empty space; else null. */
export function busyPart(counts: number[]): [number, number] | null {
  const total = counts.reduce((a, b) => a + b, 0);
  if (total < BUSY_LINES_MIN) return null;
  const wanted = total * BUSY_SHARE;
  let best: [number, number] | null = null;
  for (let first = 0, last = 0, sum = 0; last < counts.length; last += 1) {
    sum += counts[last]!;
    while (sum - counts[first]! >= wanted && first < last) sum -= counts[first++]!;
    if (sum >= wanted && (!best || last - first < best[1] - best[0])) best = [first, last];
  }
  return best && best[1] - best[0] + 1 <= counts.length * BUSY_WIDTH ? best : null;
}

/** The two ends in milliseconds; null is open. */
export function ends(range: Range, now: number): { from: number | null; to: number | null } {
  if (!('preset' in range)) return range;
  const ms = PRESETS.find(({ id }) => id === range.preset)?.ms ?? null;
  return { from: ms === null ? null : now - ms, to: null };
}

export function rangeName(range: Range): string {
  if ('preset' in range) return PRESETS.find(({ id }) => id === range.preset)?.name ?? 'Everything';
  return `${full(range.from).slice(0, 19)} to ${full(range.to).slice(0, 19)}`;
}
