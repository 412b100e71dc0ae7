// The last minute of each pipeline's rates, collected by this page itself. Bounded by POINTS_MAX per pipeline.
import type { PipelineStatus } from '../lib/api';

export const POINTS_MAX = 60;
export interface History { rows: number[]; bytes: number[] }

export class Rates {
  #all = $state.raw(new Map<string, History>());

  add(pipelines: PipelineStatus[]) {
    const next = new Map<string, History>();
    for (const { name, rows_per_second, bytes_per_second } of pipelines) {
      const before = this.of(name);
      next.set(name, {
        rows: [...before.rows, rows_per_second].slice(-POINTS_MAX),
        bytes: [...before.bytes, bytes_per_second].slice(-POINTS_MAX),
      });
    }
    this.#all = next;
  }

  of(name: string): History {
    return this.#all.get(name) ?? { rows: [], bytes: [] };
  }
}
