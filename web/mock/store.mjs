// The rows the mock serves: two hours of Spark lines, made from the shapes in lines.json by a seeded random, and a few more every second.
import { readFileSync } from 'node:fs';

const shapes = JSON.parse(readFileSync(new URL('./lines.json', import.meta.url), 'utf8'));
const calm = shapes.filter(({ level }) => level === 'INFO');
const hot = shapes.filter(({ level }) => level !== 'INFO');
const FIELDS = ['ts', 'level', 'logger', 'thread', 'message', 'exception_class', 'stack', 'app_id', 'executor_id', 'stage_id', 'task_id', 'host', 'source_file', 'source_offset'];

let seed = 42;
const random = () => ((seed = (seed * 1664525 + 1013904223) >>> 0) / 2 ** 32);
const any = (list) => list[Math.floor(random() * list.length)];
let offset = 0;

function row(at, shape) {
  const filled = { ts: new Date(at).toISOString().replace('Z', '000Z'), host: '10.1.0.' + (7 + Number(shape.executor_id === 'driver' ? 0 : shape.executor_id)), thread: 'main', ...shape, source_offset: (offset += 120) };
  return Object.fromEntries(FIELDS.map((name) => [name, filled[name] ?? null]));
}

/** @param {number} now @param {number} rows */
export function makeStore(now, rows = 8000) {
  const span = 2 * 3_600_000;
  const logs = [];
  for (let i = 0; i < rows; i += 1) {
    const part = i / rows + random() * 0.01;
    // Quiet, then busy, with two bursts of trouble.
    const trouble = Math.abs(part - 0.35) < 0.03 || Math.abs(part - 0.8) < 0.05 ? 0.35 : 0.03;
    const wave = part - 0.018 * Math.sin(part * 38);
    logs.push(row(now - span + Math.min(0.9995, Math.max(0, wave)) * span, random() < trouble ? any(hot) : any(calm)));
  }
  logs.sort((a, b) => (a.ts < b.ts ? 1 : -1));
  return {
    logs,
    listeners: new Set(),
    grow(at, count = 1) {
      for (let i = 0; i < count; i += 1) this.put(row(at - i, random() < 0.12 ? any(hot) : any(calm)));
    },
    put(fresh) {
      this.logs.unshift(fresh);
      for (const listener of this.listeners) listener(fresh);
    },
    row,
  };
}

/** Errors per minute, application and executor, as the example pipeline computes them. */
export function errorsPerMinute(logs) {
  const windows = new Map();
  for (const { ts, level, app_id, executor_id } of logs) {
    if (level !== 'ERROR' && level !== 'FATAL') continue;
    const start = `${ts.slice(0, 16)}:00.000000Z`;
    const key = [start, app_id, executor_id].join('|');
    windows.set(key, (windows.get(key) ?? 0) + 1);
  }
  return [...windows].map(([key, errors]) => {
    const [window_start, app_id, executor_id] = key.split('|');
    const window_end = new Date(Date.parse(window_start) + 60_000).toISOString();
    return { window_start, window_end, app_id, executor_id, errors, pane: 'on_time', revision: 0, row_id: Buffer.from(key).toString('hex').slice(0, 16) };
  });
}
