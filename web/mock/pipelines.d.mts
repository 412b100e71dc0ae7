import type { PipelineStatus } from '../src/lib/api';
/** Two pipelines: one that runs and balances, one whose counts do not. */
export function pipelines(store: { logs: unknown[] }, began: number): PipelineStatus[];
