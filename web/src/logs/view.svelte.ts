// What the logs page holds: the rows read so far, the histogram, and the rows that arrive live. Bounded: at most ROWS_MAX rows are kept.
import { api, type HistogramAnswer, type LogQuery, type LogRow, type ScanCost } from '../lib/api';

export const PAGE_ROWS = 200;
export const ROWS_MAX = 2000;
/** More rows than this between two paints are counted instead of shown: nobody can read them. */
const BURST_ROWS_MAX = 500;
const PAINT_INTERVAL_MS = 250;
const RETRY_PAUSE_MS = 3000;
const KNOWN_MAX = 20_000;

export interface Line { key: string; row: LogRow }
/** A search that runs: what it reads at most, and how far it has come, 0 to 1. */
export interface Scan { cost: ScanCost; done: number; reached: string | null }

export class LogView {
  lines = $state.raw<Line[]>([]);
  next = $state<string | null>(null);
  loading = $state(false);
  loaded = $state(false);
  error = $state.raw<Error | null>(null);
  scan = $state.raw<Scan | null>(null);
  /** Set where a search ended before it had looked through everything: to what time it came, if it came anywhere. */
  rest = $state.raw<{ reached: string | null } | null>(null);
  histogram = $state.raw<HistogramAnswer | null>(null);
  histogramError = $state.raw<Error | null>(null);
  live = $state(false);
  /** Live, and the server is really sending. */
  connected = $state(false);
  /** Live rows held back because the reader is in the middle of something. */
  held = $state.raw<Line[]>([]);
  skipped = $state(0);
  /** Set by the table: whether rows may move on the screen now. */
  mayMove = () => true;

  #query: LogQuery | null = null;
  #read = new AbortController();
  #count = new AbortController();
  #tail: EventSource | null = null;
  #arrived: Line[] = [];
  #timer = 0;
  #again = 0;
  /** The keys already shown or on their way: the first page and the tail overlap. */
  #known = new Set<string>();
  #serial = 0;

  /** Reads the newest page of `query`. `quiet` keeps what is shown until the answer is here. */
  async load(query: LogQuery, quiet = false) {
    this.#query = query;
    this.#read.abort();
    const read = (this.#read = new AbortController());
    this.loading = true;
    this.scan = this.rest = null;
    if (!quiet) this.held = [];
    await this.#reading(read, async () => {
      if (query.q) await this.#look(query, {}, [], read, quiet);
      else {
        const page = await api.logs(query, null, PAGE_ROWS, read.signal);
        this.lines = this.#named(page.rows);
        this.next = page.next;
      }
      if (read.signal.aborted) return;
      this.#known = new Set(this.lines.map((line) => line.key));
      this.loaded = true;
    });
  }

  /** Reads the next older page, unless the table is full. */
  async more() {
    const [query, next] = [this.#query, this.next];
    if (!next || this.loading || !query || this.lines.length >= ROWS_MAX) return;
    await this.#older(async (read) => {
      if (query.q) return this.#look(query, { before: next }, this.lines, read, false);
      const page = await api.logs(query, next, PAGE_ROWS, read.signal);
      this.lines = [...this.lines, ...this.#named(page.rows, this.lines)];
      this.next = page.next;
    });
  }

  /** Takes up a search that has ended early. */
  async further() {
    const [query, rest] = [this.#query, this.rest];
    if (!rest || this.loading || !query) return;
    await this.#older((read) => this.#look(query, { to: rest.reached }, this.lines, read, false));
  }

  /** Ends the search that runs; what it has found stays. */
  halt() {
    if (!this.scan) return;
    this.#read.abort();
    this.rest = { reached: this.scan.reached };
    this.scan = null;
    this.loading = false;
    this.loaded = true;
  }

  #older(work: (read: AbortController) => Promise<void>) {
    if (this.#read.signal.aborted) this.#read = new AbortController();
    const read = this.#read;
    this.loading = true;
    return this.#reading(read, () => work(read));
  }

  async #reading(read: AbortController, work: () => Promise<void>) {
    try {
      await work();
      if (!read.signal.aborted) this.error = null;
    } catch (error) {
      if (!read.signal.aborted) this.error = error as Error;
    }
    if (read.signal.aborted) return;
    this.loading = false;
    this.scan = null;
  }

  /** Shows lines behind `before` as they are found; all at once where the reader should not be disturbed. */
  async #look(query: LogQuery, from: { before?: string; to?: string | null }, before: Line[], read: AbortController, quiet: boolean) {
    let lines = before;
    let seen: string | null = from.to ?? null;
    for await (const told of api.scan(query, from, PAGE_ROWS, read.signal)) {
      if (read.signal.aborted) return;
      if (told.kind === 'estimate') this.scan = { cost: told, done: 0, reached: seen };
      if (told.kind === 'lines') {
        seen = told.reached;
        lines = [...lines, ...this.#named(told.rows, lines)];
        this.scan = this.scan && { ...this.scan, done: told.done, reached: seen };
        if (!quiet && lines.length > before.length) this.lines = lines;
      }
      if (told.kind === 'end') {
        this.lines = lines;
        this.next = told.next;
        this.rest = told.reason === 'budget' || told.reason === 'stopping' ? { reached: told.reached ?? seen } : null;
      }
    }
  }

  async count(query: LogQuery, buckets: number) {
    this.#count.abort();
    const count = (this.#count = new AbortController());
    try {
      const answer = await api.histogram(query, buckets, count.signal);
      if (count.signal.aborted) return;
      this.histogram = answer;
      this.histogramError = null;
    } catch (error) {
      if (!count.signal.aborted) this.histogramError = error as Error;
    }
  }

  startTail(query: LogQuery) {
    this.stopTail();
    this.live = true;
    this.skipped = 0;
    this.#listen(query);
    this.#timer = window.setInterval(() => this.#paint(), PAINT_INTERVAL_MS);
  }

  #listen(query: LogQuery) {
    const tail = (this.#tail = api.tail(query));
    tail.addEventListener('open', () => (this.connected = true));
    tail.addEventListener('error', () => {
      this.connected = false;
      // The browser connects again by itself, except after a refusal.
      if (tail.readyState === EventSource.CLOSED) this.#again = window.setTimeout(() => this.#listen(query), RETRY_PAUSE_MS);
    });
    tail.addEventListener('row', (event) => this.#arrive(JSON.parse(event.data)));
    tail.addEventListener('skipped', (event) => (this.skipped += Number(JSON.parse(event.data).rows) || 0));
  }

  stopTail() {
    this.live = this.connected = false;
    this.#tail?.close();
    window.clearTimeout(this.#again);
    this.#tail = null;
    window.clearInterval(this.#timer);
    this.#arrived = [];
    this.held = [];
  }

  /** Puts the held rows on top. */
  release() {
    this.lines = [...this.held, ...this.lines].slice(0, ROWS_MAX);
    this.held = [];
  }

  stop() {
    this.stopTail();
    this.#read.abort();
    this.#count.abort();
  }

  #arrive(row: LogRow) {
    const key = identity(row);
    if (key && this.#known.has(key)) return;
    if (key) this.#known.add(key);
    if (this.#known.size > KNOWN_MAX) this.#known = new Set([...this.held, ...this.lines].map((line) => line.key));
    this.#arrived.unshift({ key: key ?? `live ${++this.#serial}`, row });
    if (this.#arrived.length > BURST_ROWS_MAX) {
      this.#arrived.pop();
      this.skipped += 1;
    }
  }

  #paint() {
    if (this.#arrived.length === 0) {
      if (this.held.length && this.mayMove()) this.release();
      return;
    }
    const kept = [...this.#arrived, ...this.held];
    this.#arrived = [];
    this.skipped += Math.max(0, kept.length - ROWS_MAX);
    this.held = kept.slice(0, ROWS_MAX);
    if (this.mayMove()) this.release();
  }

  /** Gives rows their keys: the same row keeps its key, so that a refresh moves nothing on the screen. */
  #named(rows: LogRow[], before: Line[] = []): Line[] {
    const taken = new Set(before.map((line) => line.key));
    return rows.map((row) => {
      const name = identity(row) ?? JSON.stringify(row);
      let key = name;
      for (let n = 2; taken.has(key); n += 1) key = `${name} ${n}`;
      taken.add(key);
      return { key, row };
    });
  }
}

/** Where the row came from, when it says so. */
function identity(row: LogRow): string | null {
  return row.source_offset == null || row.source_file == null ? null : `${row.source_file}:${row.source_offset}`;
}
