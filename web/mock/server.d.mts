export const CSP: string;
export type Row = Record<string, unknown>;
export interface Store { logs: Row[]; put(row: Row): void; grow(at: number, count?: number): void; row(at: number, shape: Row): Row }
export function start(options?: { port?: number; state?: 'full' | 'empty' | 'failing'; grow?: boolean; now?: number; pace?: { piece?: number; pause_ms?: number; rows_max?: number } }): Promise<{ url: string; store: Store; close: () => Promise<void> }>;
