// The windowed result "errors per minute" as series: which question to ask, and how its rows become a chart.
import type { TimeChart } from '../charts/chart';
import type { SqlResult } from '../lib/api';
import { text } from '../lib/format';
import { parseTime } from '../lib/time.svelte';
import { executorName } from './columns';

const MINUTE = 60_000;
const BARS_MAX = 120;
export const SHOWN_MAX = 7;
/** Rows asked for at most. More windows than that are cut, oldest first, and the panel says so. */
export const WINDOWS_MAX = 10_000;

/** A window may be told again with a higher revision when late rows arrive: its last word counts. */
export function question(columns: string[], from: number, to: number): string {
  const errors = columns.includes('revision') ? 'last_value(errors ORDER BY revision)' : 'sum(errors)';
  const moment = (ms: number) => `TIMESTAMP '${new Date(ms).toISOString()}'`;
  return (
    `SELECT window_start, app_id, executor_id, ${errors} AS errors\nFROM errors_per_minute\n` +
    `WHERE window_start >= ${moment(Math.floor(from / MINUTE) * MINUTE)} AND window_start < ${moment(to)}\n` +
    'GROUP BY window_start, app_id, executor_id\nORDER BY window_start DESC'
  );
}

/** Spark's application ids begin alike; the list has room only for where they differ. */
export const shortName = (name: string) => name.replace(/^app-\d{8}(\d{6}-\d{4})/, '…$1');

export interface Errors { chart: TimeChart; total: number; totals: { name: string; errors: number }[]; step: number }

/** The series with the most errors by name, the rest together; minutes joined into wider bars where there are many. */
export function series(result: SqlResult, from: number, to: number): Errors {
  const step = Math.max(1, Math.ceil((to - from) / MINUTE / BARS_MAX)) * MINUTE;
  const all = new Map<string, Map<number, number>>();
  for (const [start, app, executor, errors] of result.rows) {
    const at = parseTime(start);
    if (at === null) continue;
    const name = [text(app) || 'no app', executorName(text(executor))].filter(Boolean).join(' / ');
    const bar = Math.floor(at / step) * step;
    const points = all.get(name) ?? all.set(name, new Map()).get(name)!;
    points.set(bar, (points.get(bar) ?? 0) + Number(errors));
  }
  const sum = (points: Map<number, number>) => [...points.values()].reduce((a, b) => a + b, 0);
  const ranked = [...all].map(([name, points]) => ({ name, points, errors: sum(points) })).sort((a, b) => b.errors - a.errors);
  const shown = ranked.slice(0, SHOWN_MAX);
  const rest = ranked.slice(SHOWN_MAX);
  if (rest.length) {
    const points = new Map<number, number>();
    for (const one of rest) for (const [at, errors] of one.points) points.set(at, (points.get(at) ?? 0) + errors);
    shown.push({ name: `${rest.length} others`, points, errors: sum(points) });
  }
  // Stacked bars need the same times in every series.
  const times = [...new Set(shown.flatMap(({ points }) => [...points.keys()]))].sort((a, b) => a - b);
  return {
    chart: { kind: 'bar', stacked: true, step, from, to, series: shown.map(({ name, points }) => ({ name, points: times.map((at) => [at, points.get(at) ?? 0]) })) },
    total: ranked.reduce((n, { errors }) => n + errors, 0),
    totals: shown.map(({ name, errors }) => ({ name, errors })),
    step,
  };
}
