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

/** Where nobody chose: the last hour of a table that is being written, all of one that is not. */
export function usualRange(table: Table, now: number): Range {
  const newest = parseTime(table.max_time);
  return { preset: newest !== null && Math.abs(now - newest) < 5 * 60_000 ? '1h' : 'all' };
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
