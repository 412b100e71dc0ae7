// A stand-in for the weir binary: serves dist/ and the HTTP API with made-up data, so that the page can be developed and tested alone.
// node mock/server.mjs [--port 7281] [--state full|empty|failing] [--quiet]
import { createServer } from 'node:http';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pipelines } from './pipelines.mjs';
import { answer, COLUMNS, csv, ndjson, SqlError } from './sql.mjs';
import { errorsPerMinute, makeStore } from './store.mjs';

const DIST = fileURLToPath(new URL('../dist', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.md': 'text/markdown; charset=utf-8' };
/** The policy that the real server must send; see README.md. */
export const CSP = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const json = (response, value, status = 200) => {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
};
const fail = (response, status, code, message, hint = null) => json(response, { error: { code, message, hint } }, status);
const stable = (moment) => moment.toISOString().replace('Z', '000Z');

function matching(store, params, all = false) {
  const q = (params.get('q') ?? '').toLowerCase();
  const levels = all ? [] : (params.get('levels') ?? '').split(',').filter(Boolean);
  const from = params.get('from') ? stable(new Date(params.get('from'))) : '';
  const to = params.get('to') ? stable(new Date(params.get('to'))) : '9999';
  return (row) => row.ts >= from && row.ts < to && (!levels.length || levels.includes(row.level)) && (!q || row.message.toLowerCase().includes(q));
}

function histogram(rows, params) {
  const newest = rows[0]?.ts ?? stable(new Date());
  const from = Date.parse(params.get('from') ?? rows.at(-1)?.ts ?? newest);
  const to = Math.max(from + 1, params.get('to') ? Date.parse(params.get('to')) : Math.max(Date.parse(newest) + 1, params.get('from') ? Date.now() : 0));
  const bucket_ms = Math.max(1, Math.ceil((to - from) / Number(params.get('buckets') ?? 60)));
  const size = Math.ceil((to - from) / bucket_ms);
  const series = new Map();
  for (const { ts, level } of rows) {
    const counts = series.get(level) ?? series.set(level, new Array(size).fill(0)).get(level);
    counts[Math.min(size - 1, Math.max(0, Math.floor((Date.parse(ts) - from) / bucket_ms)))] += 1;
  }
  return { from: stable(new Date(from)), to: stable(new Date(to)), bucket_ms, series: [...series].map(([level, counts]) => ({ level, counts })), total: rows.length };
}

function tables(store) {
  const errors = errorsPerMinute(store.logs);
  const shape = (name, rows, time_column, times) => ({ name, rows: rows.length, bytes: rows.length * 90, segments: 3, columns: COLUMNS[name].map(([column, type]) => ({ name: column, type })), time_column, min_time: times.at(-1) ?? null, max_time: times[0] ?? null });
  return [shape('errors_per_minute', errors, 'window_start', errors.map((row) => row.window_start)), shape('spark_logs', store.logs, 'ts', store.logs.map((row) => row.ts))];
}

function tail(request, response, store, params) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(': open\n\n');
  const wanted = matching(store, params);
  const listener = (row) => wanted(row) && response.write(`event: row\ndata: ${JSON.stringify(row)}\n\n`);
  store.listeners.add(listener);
  request.on('close', () => store.listeners.delete(listener));
}

function file(response, path) {
  const wanted = normalize(path).replace(/^([/\\.])+/, '');
  const found = join(DIST, wanted);
  const real = wanted && found.startsWith(DIST) && existsSync(found) && statSync(found).isFile() ? found : join(DIST, 'index.html');
  response.writeHead(200, { 'content-type': TYPES[extname(real)] ?? 'application/octet-stream', 'content-security-policy': CSP, 'x-content-type-options': 'nosniff', 'cache-control': 'no-cache' });
  response.end(readFileSync(real));
}

/** Looks through the rows in pieces; `pace` says how slowly, and after how many rows its time is over. */
async function scan(request, response, source, store, params, { piece = 1000, pause_ms = 0, rows_max = Infinity }) {
  const send = (event, data) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const limit = Number(params.get('limit') ?? 200);
  const to = params.get('to') ?? '9999';
  const wanted = matching(store, params);
  let rows = source.filter((row) => row.ts < to);
  if (params.get('before')) rows = rows.slice(rows.findIndex((row) => String(row.source_offset) === params.get('before')) + 1);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  send('estimate', { segments: 3, segments_read: 3, rows: rows.length, bytes: rows.length * 90, indexed: false, warnings: [] });
  let [found, reached] = [0, null];
  for (let at = 0; at < rows.length; at += piece) {
    if (response.destroyed) return;
    if (at >= rows_max) return response.end(send('end', { reason: 'budget', reached, next: null }) && '');
    const hits = rows.slice(at, at + piece).filter(wanted).slice(0, limit - found);
    found += hits.length;
    reached = found < limit ? rows[Math.min(at + piece, rows.length) - 1].ts : hits.at(-1).ts;
    send('lines', { rows: hits, reached, done: Math.min(1, (at + piece) / rows.length) });
    if (found === limit) return response.end(send('end', { reason: 'limit', reached, next: String(hits.at(-1).source_offset) }) && '');
    if (pause_ms) await new Promise((go) => setTimeout(go, pause_ms));
  }
  send('end', { reason: 'complete', reached, next: null });
  response.end();
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** @returns {Promise<{url: string, store: ReturnType<typeof makeStore>, close: () => Promise<void>}>} */
export async function start({ port = 0, state = 'full', grow = true, now = Date.now(), pace = {} } = {}) {
  const store = makeStore(now, state === 'empty' ? 0 : 8000);
  const began = Date.now();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://mock');
    const params = url.searchParams;
    const table = params.get('table');
    const isErrors = table === 'errors_per_minute';
    const source = isErrors ? errorsPerMinute(store.logs).map((row) => ({ ...row, ts: row.window_start, level: null, message: '' })) : store.logs;
    const bare = ({ ts, level, message, ...row }) => row;
    if (url.pathname.startsWith('/api/') && state === 'failing') return fail(response, 503, 'storage', 'the catalog /data/catalog.sqlite cannot be read: disk I/O error', 'is the disk full? see: df -h');
    switch (url.pathname) {
      case '/api/v1/status': return json(response, { version: '0.1.0-mock', started_at: new Date(began).toISOString(), data: './data', uptime_s: (Date.now() - began) / 1000 });
      case '/api/v1/tables': return json(response, { tables: state === 'empty' ? [] : tables(store), live: state === 'empty' ? [] : [{ name: 'live.spark_errors', columns: [{ name: 'window_start', type: 'timestamp' }, { name: 'errors', type: 'int64' }] }] });
      case '/api/v1/pipelines': return json(response, { pipelines: state === 'empty' ? [] : pipelines(store, began) });
      case '/api/v1/logs/histogram': return json(response, histogram(source.filter(matching(store, params)), params));
      case '/api/v1/logs/tail': return tail(request, response, store, params);
      case '/api/v1/logs/scan': return scan(request, response, source, store, params, pace);
      case '/api/v1/logs': {
        const rows = source.filter(matching(store, params));
        const start = params.get('before') ? rows.findIndex((row) => String(row.source_offset) === params.get('before')) + 1 : 0;
        const limit = Number(params.get('limit') ?? 200);
        const page = rows.slice(start, start + limit);
        return json(response, { rows: isErrors ? page.map(bare) : page, next: start + limit < rows.length && !isErrors ? String(page.at(-1).source_offset) : null });
      }
      case '/api/v1/sql': {
        const { sql, limit } = JSON.parse(await body(request));
        try {
          const result = answer(sql, store, limit);
          const format = params.get('format') ?? 'json';
          if (format === 'json') return json(response, result);
          response.writeHead(200, { 'content-type': format === 'csv' ? 'text/csv' : 'application/x-ndjson' });
          return response.end(format === 'csv' ? csv(result) : ndjson(result));
        } catch (error) {
          if (!(error instanceof SqlError)) throw error;
          return fail(response, 400, 'bad_query', error.message);
        }
      }
      default: return url.pathname.startsWith('/api/') ? fail(response, 404, 'not_found', `there is nothing at ${url.pathname}`) : file(response, decodeURIComponent(url.pathname));
    }
  });
  const timer = grow && state === 'full' ? setInterval(() => store.grow(Date.now(), 3), 700) : undefined;
  await new Promise((done) => server.listen(port, '127.0.0.1', done));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    store,
    close: () => new Promise((done) => (clearInterval(timer), server.closeAllConnections(), server.close(() => done()))),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, usual) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : usual);
  const { url } = await start({ port: Number(option('--port', 7281)), state: option('--state', 'full'), grow: !process.argv.includes('--quiet') });
  console.log(url);
}
