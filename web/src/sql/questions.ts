// Questions offered for the tables that exist, and where an error message points.
import type { Named, Table } from '../lib/api';

export interface Example { name: string; sql: string }
export interface Position { line: number; column: number }

/** Questions about the open windows of so many pipelines are offered. */
const LIVE_MAX = 5;

export function examples(tables: Table[], live: Named[]): Example[] {
  const out: Example[] = [];
  const having = (...columns: string[]) => tables.find((table) => columns.every((name) => table.columns.some((column) => column.name === name)));
  const errors = having('window_start', 'app_id', 'errors');
  const logs = tables.find((table) => table.name === 'spark_logs') ?? having('level', 'message');
  const time = logs?.time_column ?? 'ts';
  if (errors) out.push({ name: 'Errors per minute', sql: `SELECT window_start, app_id, sum(errors) AS errors\nFROM ${errors.name}\nGROUP BY window_start, app_id\nORDER BY window_start` });
  if (logs) {
    out.push({ name: 'Lines per minute by level', sql: `SELECT date_bin(INTERVAL '1 minute', ${time}) AS minute, level, count(*) AS lines\nFROM ${logs.name}\nGROUP BY minute, level\nORDER BY minute` });
    if (logs.columns.some(({ name }) => name === 'exception_class')) out.push({ name: 'Most frequent exceptions', sql: `SELECT exception_class, count(*) AS times, max(${time}) AS latest\nFROM ${logs.name}\nWHERE exception_class IS NOT NULL\nGROUP BY exception_class\nORDER BY times DESC\nLIMIT 20` });
    if (logs.columns.some(({ name }) => name === 'logger')) out.push({ name: 'Loudest loggers', sql: `SELECT logger, level, count(*) AS lines\nFROM ${logs.name}\nGROUP BY logger, level\nORDER BY lines DESC\nLIMIT 50` });
  }
  const dead = tables.find((table) => table.name === 'dead_letters');
  if (dead) out.push({ name: 'Dead letters', sql: 'SELECT time, pipeline, reason, source_file, source_offset, payload\nFROM dead_letters\nORDER BY time DESC\nLIMIT 100' });
  const plain = ({ name }: Named) => name.split('.').every((part) => /^[a-z_][a-z0-9_]*$/.test(part));
  for (const { name } of live.filter(plain).slice(0, LIVE_MAX)) out.push({ name: `Open windows of ${name.slice(name.indexOf('.') + 1)}`, sql: `SELECT *\nFROM ${name}\nLIMIT 100` });
  const any = tables[0];
  if (out.length === 0 && any) out.push({ name: `First rows of ${any.name}`, sql: `SELECT *\nFROM ${any.name}\nLIMIT 100` });
  return out;
}

/** `... at Line: 2, Column: 8`, as SQL parsers write it. */
export function positionOf(message: string): Position | null {
  const found = /line:?\s*(\d+)\s*,?\s*col(?:umn)?:?\s*(\d+)/i.exec(message);
  return found ? { line: Number(found[1]), column: Number(found[2]) } : null;
}
