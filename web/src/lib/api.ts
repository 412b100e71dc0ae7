// The one place that talks to the server: its addresses, the shapes of its answers, its errors.
import { root } from './router.svelte';

export interface Column { name: string; type: string }
export interface Table {
  name: string;
  rows: number;
  bytes: number;
  segments: number;
  columns: Column[];
  min_time: string | null;
  max_time: string | null;
  time_column: string | null;
}
/** What SQL may name: a table, or the open windows of a pipeline. */
export type Named = Pick<Table, 'name' | 'columns'>;
export type LogRow = Record<string, unknown>;
export interface LogPage { rows: LogRow[]; next: string | null }
/** What a search reads at most. */
export interface ScanCost { segments: number; segments_read: number; rows: number; bytes: number }
/**
 * What a search tells while it runs: its cost, then lines as they are found, newest first, then why it ended. Everything
 * from `reached` on was looked through; `done` is 0 to 1.
 */
export type ScanEvent =
  | ({ kind: 'estimate' } & ScanCost)
  | { kind: 'lines'; rows: LogRow[]; reached: string; done: number }
  | { kind: 'end'; reason: 'complete' | 'limit' | 'budget' | 'stopping'; reached: string | null; next: string | null };
export interface HistogramAnswer {
  from: string;
  to: string;
  bucket_ms: number;
  series: { level: string | null; counts: number[] }[];
  total: number;
}
export interface SqlResult {
  columns: Column[];
  rows: unknown[][];
  row_count: number;
  truncated: boolean;
  elapsed_ms: number;
}
/** `added` and `merged` are left out where no step makes several rows of one, or one of several. */
export interface Balance { read: number; added?: number; merged?: number; results: number; filtered: number; late: number; rejected: number; open: number }
export interface PartitionStatus {
  id: string | number;
  origin: string;
  rows: number;
  rows_per_second?: number;
  offset: number;
  /** How many records are there and not read; null where a source does not know it. */
  lag?: number | null;
  watermark: string | null;
  state: 'reading' | 'paused' | 'caught_up' | 'idle' | 'finished';
}
export interface OutputStatus { name: string; kind: string; guarantee: string; rows_written?: number; balance: Balance; holds: boolean }
/** Something that went wrong without stopping the pipeline; `times` counts its repetitions. */
export interface Trouble { at: string; message: string; times: number }
/** An output that takes no rows now. */
export interface OutputWaiting { output: string; since: string; next_try: string | null; failures: number; error: string }

export interface PipelineStatus {
  name: string;
  state: 'starting' | 'running' | 'finished' | 'failed' | 'stopped';
  error: string | null;
  started_at: string | null;
  rows_per_second: number;
  bytes_per_second: number;
  rows_read?: number;
  bytes_read?: number;
  bytes_total?: number | null;
  state_bytes?: number;
  partitions_total?: number;
  epoch: number;
  last_commit_at: string | null;
  watermark: string | null;
  watermark_holder: string | null;
  partitions: PartitionStatus[];
  outputs: OutputStatus[];
  waiting?: OutputWaiting[];
  trouble: Trouble[];
}

/** What logs to look at. `from` and `to` are milliseconds since 1970 (UTC); null leaves that side open. */
export interface LogQuery { table: string; q: string; levels: string[]; from: number | null; to: number | null }

/** An answer that is not a success; `message` is the server's own sentence where it sent one. */
export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly hint: string | null = null) {
    super(message);
  }
}

const address = (path: string, params?: URLSearchParams) =>
  new URL(params?.size ? `${path}?${params}` : path, root).toString();

async function call(path: string, params?: URLSearchParams, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address(path, params), init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw new ApiError(0, 'unreachable', 'The server does not answer. Is it still running?', 'start it again with: ./x up');
  }
  if (answer.ok) return answer;
  const text = await answer.text();
  let told: { code?: string; message?: string; hint?: string | null } | undefined;
  try {
    told = JSON.parse(text).error;
  } catch {
    // Not our server's JSON: a proxy's page, perhaps. The status says enough.
  }
  throw new ApiError(answer.status, told?.code ?? 'http', told?.message ?? `The server answered ${answer.status}`, told?.hint ?? null);
}

const json = async <T>(path: string, params?: URLSearchParams, init?: RequestInit): Promise<T> =>
  (await call(path, params, init)).json() as Promise<T>;

function logParams(query: LogQuery, withLevels: boolean): URLSearchParams {
  const params = new URLSearchParams({ table: query.table });
  if (query.q) params.set('q', query.q);
  if (withLevels && query.levels.length) params.set('levels', query.levels.join(','));
  if (query.from !== null) params.set('from', new Date(query.from).toISOString());
  if (query.to !== null) params.set('to', new Date(query.to).toISOString());
  return params;
}

/** The server-sent events of a body, whatever the pieces it comes in. */
async function* events(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop()!;
      for (const block of blocks) {
        const field = (name: string) => block.split('\n').find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
        const data = field('data');
        if (data) yield { name: field('event') as never, data: JSON.parse(data) };
      }
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

export const api = {
  tables: (signal?: AbortSignal) => json<{ tables: Table[]; live?: Named[]; warnings?: string[] }>('api/v1/tables', undefined, { signal }),

  pipelines: async (signal?: AbortSignal) =>
    (await json<{ pipelines: PipelineStatus[] }>('api/v1/pipelines', undefined, { signal })).pipelines,

  logs(query: LogQuery, before: string | null, limit: number, signal?: AbortSignal): Promise<LogPage> {
    const params = logParams(query, true);
    params.set('limit', String(limit));
    if (before) params.set('before', before);
    return json('api/v1/logs', params, { signal });
  },

  /** The same while it is looked for. `to` is a time as the server writes it, for a search that goes on at what it reached. */
  async *scan(query: LogQuery, { before, to }: { before?: string | null; to?: string | null }, limit: number, signal: AbortSignal): AsyncGenerator<ScanEvent> {
    const params = logParams(query, true);
    params.set('limit', String(limit));
    if (before) params.set('before', before);
    if (to) params.set('to', to);
    const answer = await call('api/v1/logs/scan', params, { signal });
    for await (const { name, data } of events(answer.body!)) {
      if (name === 'error') throw new ApiError(answer.status, data.code, data.message, data.hint);
      yield { kind: name, ...data };
    }
  },

  /** Counts of all levels, whatever levels the query names: the filter chips show them too. */
  histogram(query: LogQuery, buckets: number, signal?: AbortSignal): Promise<HistogramAnswer> {
    const params = logParams(query, false);
    params.set('buckets', String(buckets));
    return json('api/v1/logs/histogram', params, { signal });
  },

  tail: (query: LogQuery) => new EventSource(address('api/v1/logs/tail', logParams({ ...query, from: null, to: null }, true))),

  sql: (sql: string, limit: number, signal?: AbortSignal) =>
    json<SqlResult>('api/v1/sql', undefined, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql, limit }),
      signal,
    }),

  sqlFile: async (sql: string, format: 'csv' | 'ndjson') =>
    (await call('api/v1/sql', new URLSearchParams({ format }), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql, limit: 100_000 }),
    })).blob(),
};
