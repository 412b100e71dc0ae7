// The tables of the store, shared by all pages and kept fresh by App.
import { api, type Named, type Table } from './api';

class Tables {
  /** Null until the first answer. */
  list = $state.raw<Table[] | null>(null);
  /** The open windows of pipelines, as SQL names them. */
  live = $state.raw<Named[]>([]);
  /** What of the store is out of reach, one sentence each. */
  warnings = $state.raw<string[]>([]);
  error = $state.raw<Error | null>(null);
  #seen = '';

  async refresh(signal?: AbortSignal) {
    try {
      const { tables: list, live = [], warnings = [] } = await api.tables(signal);
      this.error = null;
      const seen = JSON.stringify([list, live, warnings]);
      if (seen !== this.#seen) {
        this.list = list;
        this.live = live;
        this.warnings = warnings;
      }
      this.#seen = seen;
    } catch (error) {
      if (!signal?.aborted) this.error = error as Error;
    }
  }

  find(name: string): Table | undefined {
    return this.list?.find((table) => table.name === name);
  }
}

export const tables = new Tables();
