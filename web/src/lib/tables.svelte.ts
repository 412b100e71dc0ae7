// The tables of the store, shared by all pages and kept fresh by App.
import { api, type Table } from './api';

class Tables {
  /** Null until the first answer. */
  list = $state.raw<Table[] | null>(null);
  error = $state.raw<Error | null>(null);
  #seen = '';

  async refresh(signal?: AbortSignal) {
    try {
      const list = await api.tables(signal);
      this.error = null;
      const seen = JSON.stringify(list);
      if (seen !== this.#seen) this.list = list;
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
