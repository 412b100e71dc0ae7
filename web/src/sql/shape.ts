// What a result's columns are, and whether its rows can be drawn over time.
import { SERIES_MAX, type Series, type TimeChart } from '../charts/chart';
import type { Column, SqlResult } from '../lib/api';
import { text } from '../lib/format';
import { parseTime } from '../lib/time.svelte';

export const isTime = ({ type }: Column) => /timestamp|^date/i.test(type);
export const isNumber = ({ type }: Column) => /^(u?int|float|double|decimal|bigint|smallint|integer|real|numeric)/i.test(type);
const isText = ({ type }: Column) => /utf8|string|varchar|text|dictionary/i.test(type);

/** Columns that are numbers but never something to draw. */
const NO_MEASURE = /(^|_)(id|offset|revision|partition)$/;

/** The result over its first time column: a series per number, or per combination of the text columns. Null where it is no such result. */
export function overTime({ columns, rows }: SqlResult, kind: 'bar' | 'line'): TimeChart | null {
  const time = columns.findIndex(isTime);
  const measures = columns.flatMap((column, i) => (isNumber(column) && !NO_MEASURE.test(column.name) ? [i] : []));
  const keys = columns.flatMap((column, i) => (isText(column) && !/^(pane|row_id|message|stack|payload)$/.test(column.name) ? [i] : []));
  if (time < 0 || measures.length === 0 || rows.length < 2) return null;

  const all = new Map<string, Map<number, number>>();
  for (const row of rows) {
    const at = parseTime(row[time]);
    if (at === null) continue;
    const key = keys.map((i) => text(row[i]) || 'none').join(' / ');
    for (const i of measures) {
      const value = row[i] === null ? NaN : Number(row[i]);
      if (!Number.isFinite(value)) continue;
      const name = [key, measures.length > 1 || !key ? columns[i]!.name : ''].filter(Boolean).join(' ');
      const points = all.get(name) ?? all.set(name, new Map()).get(name)!;
      points.set(at, (points.get(at) ?? 0) + value);
    }
  }
  const weight = (points: Map<number, number>) => [...points.values()].reduce((a, b) => a + Math.abs(b), 0);
  const largest = [...all].sort((a, b) => weight(b[1]) - weight(a[1])).slice(0, SERIES_MAX);
  const times = [...new Set(largest.flatMap(([, points]) => [...points.keys()]))].sort((a, b) => a - b);
  if (times.length < 2) return null;
  const step = times.slice(1).reduce((least, at, i) => Math.min(least, at - times[i]!), Infinity);
  const stacked = kind === 'bar';
  const series: Series[] = largest.map(([name, points]) => ({
    name,
    points: stacked ? times.map((at) => [at, points.get(at) ?? 0]) : times.filter((at) => points.has(at)).map((at) => [at, points.get(at)!]),
  }));
  return { kind, series, step, stacked };
}
