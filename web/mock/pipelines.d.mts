import type { PipelineStatus } from '../src/lib/api';
/** Three pipelines: one that runs and balances, one whose counts do not, one that waits for an output. */
export function pipelines(store: { logs: unknown[] }, began: number): PipelineStatus[];
