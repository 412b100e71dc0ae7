// What a chart over time is made of. Light, so that pages can name it without loading ECharts.

export interface Series { name: string; points: [at: number, value: number][] }
/** `step` is the width of a bar in milliseconds; `from` and `to` fix the axis, where given. */
export interface TimeChart { kind: 'bar' | 'line'; series: Series[]; step: number; stacked: boolean; from?: number; to?: number }

/** As many series as there are colours to tell them apart. */
export const SERIES_MAX = 8;
