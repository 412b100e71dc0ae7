// Which fields of a row go where in the table.
import type { LogRow, Table } from '../lib/api';
import { text } from '../lib/format';
import { levelName } from '../lib/levels';
import { parseTime } from '../lib/time.svelte';

export interface Shape { time: string; level: boolean; app: boolean; logger: boolean; message: boolean }

/** What the table's columns allow to show. */
export function shapeOf(table: Table): Shape {
  const has = (name: string) => table.columns.some((column) => column.name === name);
  return { time: table.time_column ?? 'ts', level: has('level'), app: has('app_id') || has('executor_id'), logger: has('logger'), message: has('message') };
}

export interface Cells { at: number | null; level: string; app: string; executor: string; logger: string; message: string; stack: string }

export function cells(row: LogRow, shape: Shape): Cells {
  return {
    at: parseTime(row[shape.time]),
    level: levelName(row.level),
    app: text(row.app_id),
    executor: text(row.executor_id),
    logger: text(row.logger),
    message: shape.message ? text(row.message) : pairs(row, shape.time),
    stack: text(row.stack),
  };
}

/** A row of a table without messages, in one line. */
function pairs(row: LogRow, time: string): string {
  return fields(row).filter(([name]) => ![time, 'level', 'logger', 'app_id', 'executor_id'].includes(name)).map(([name, value]) => `${name}=${text(value)}`).join('  ');
}

/** The fields that have a value. */
export const fields = (row: LogRow): [string, unknown][] => Object.entries(row).filter(([, value]) => value !== null && value !== undefined && value !== '');

/** The last part of a logger's name, where it is a class path. */
export const lastName = (logger: string) => logger.slice(logger.lastIndexOf('.') + 1) || logger;

/** `driver`, or `exec 3`. */
export const executorName = (executor: string) => (/^\d+$/.test(executor) ? `exec ${executor}` : executor);
