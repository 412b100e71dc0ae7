// Enough of SQL to develop the page against: it knows the page's own questions and answers the rest with plain rows or an error as a parser words it.
import { errorsPerMinute } from './store.mjs';

export const COLUMNS = {
  spark_logs: [['ts', 'timestamp'], ['level', 'string'], ['logger', 'string'], ['thread', 'string'], ['message', 'string'], ['exception_class', 'string'], ['stack', 'string'], ['app_id', 'string'], ['executor_id', 'string'], ['stage_id', 'int64'], ['task_id', 'int64'], ['host', 'string'], ['source_file', 'string'], ['source_offset', 'int64']],
  errors_per_minute: [['window_start', 'timestamp'], ['window_end', 'timestamp'], ['app_id', 'string'], ['executor_id', 'string'], ['errors', 'int64'], ['pane', 'string'], ['revision', 'int64'], ['row_id', 'string']],
};

export class SqlError extends Error {}

export function answer(sql, store, limit) {
  const text = sql.trim();
  const at = (index) => {
    const before = text.slice(0, index).split('\n');
    return `Line: ${before.length}, Column: ${before.at(-1).length + 1}`;
  };
  const first = /^\w+/.exec(text)?.[0] ?? '';
  if (/^(insert|update|delete|drop|create|alter|copy|set)$/i.test(first)) throw new SqlError(`only questions are answered here: ${first.toUpperCase()} changes data, and this endpoint is read only`);
  if (!/^(select|with)$/i.test(first)) throw new SqlError(`sql parser error: expected an SQL statement, found: ${first} at ${at(0)}`);
  const dangling = /\b(FROM|WHERE|BY|,)\s*($|FROM|GROUP|WHERE|ORDER)/i.exec(text);
  if (dangling) throw new SqlError(`sql parser error: expected an expression, found: ${dangling[2] || 'EOF'} at ${at(dangling.index + dangling[1].length + 1)}`);
  const table = /\bfrom\s+(\w+)/i.exec(text)?.[1];
  if (table && !COLUMNS[table]) throw new SqlError(`table '${table}' not found; there are: ${Object.keys(COLUMNS).join(', ')}`);
  const shown = /\blimit\s+(\d+)/i.exec(text);
  const most = Math.min(limit ?? 10_000, shown ? Number(shown[1]) : Infinity);
  const { columns, rows } = pick(text, table, store);
  return {
    columns: columns.map(([name, type]) => ({ name, type })),
    rows: rows.slice(0, most),
    row_count: Math.min(rows.length, most),
    truncated: rows.length > most && !shown,
    elapsed_ms: 7,
  };
}

function pick(text, table, store) {
  if (!table) return { columns: [['one', 'int64']], rows: [[1]] };
  if (table === 'errors_per_minute') {
    const bounds = [...text.matchAll(/TIMESTAMP '([^']+)'/g)].map(([, moment]) => moment);
    const windows = errorsPerMinute(store.logs).filter(({ window_start }) => !bounds[0] || (window_start >= bounds[0] && window_start < bounds[1]));
    const names = /group by window_start, app_id, executor_id/i.test(text) ? ['window_start', 'app_id', 'executor_id', 'errors'] : /group by window_start, app_id/i.test(text) ? ['window_start', 'app_id', 'errors'] : COLUMNS[table].map(([name]) => name);
    const sums = new Map();
    for (const row of windows) {
      const key = JSON.stringify(names.filter((name) => name !== 'errors').map((name) => row[name]));
      const sum = sums.get(key) ?? sums.set(key, { ...row, errors: 0 }).get(key);
      sum.errors += row.errors;
    }
    return { columns: COLUMNS[table].filter(([name]) => names.includes(name)), rows: [...sums.values()].map((row) => names.map((name) => row[name])) };
  }
  if (/group by exception_class/i.test(text)) return { columns: [['exception_class', 'string'], ['times', 'int64'], ['latest', 'timestamp']], rows: group(store.logs.filter((row) => row.exception_class), ['exception_class']) };
  if (/group by minute, level/i.test(text)) return { columns: [['minute', 'timestamp'], ['level', 'string'], ['lines', 'int64']], rows: group(store.logs.map((row) => ({ ...row, minute: `${row.ts.slice(0, 16)}:00Z` })), ['minute', 'level'], false) };
  if (/group by logger, level/i.test(text)) return { columns: [['logger', 'string'], ['level', 'string'], ['lines', 'int64']], rows: group(store.logs, ['logger', 'level'], false) };
  return { columns: COLUMNS[table], rows: store.logs.map((row) => COLUMNS[table].map(([name]) => row[name])) };
}

function group(rows, keys, latest = true) {
  const sums = new Map();
  for (const row of rows) {
    const key = keys.map((name) => row[name]).join('\u0000');
    const sum = sums.get(key) ?? { n: 0, latest: row.ts };
    sum.n += 1;
    sums.set(key, sum);
  }
  return [...sums].sort((a, b) => b[1].n - a[1].n).map(([key, sum]) => [...key.split('\u0000'), sum.n, ...(latest ? [sum.latest] : [])]);
}

export function csv({ columns, rows }) {
  const cell = (value) => (value === null ? '' : /[",\r\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));
  return [columns.map(({ name }) => name), ...rows].map((row) => `${row.map(cell).join(',')}\r\n`).join('');
}

export const ndjson = ({ columns, rows }) => rows.map((row) => JSON.stringify(Object.fromEntries(columns.map(({ name }, i) => [name, row[i]])))).join('\n') + '\n';
