// The levels of log lines: their order, from the most quiet to the most serious, and how a name finds its colour.

export const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] as const;

/** The name shown for lines without a level. It cannot be filtered by. */
export const NO_LEVEL = 'none';

export const levelName = (value: unknown) => (typeof value === 'string' && value !== '' ? value.toUpperCase() : NO_LEVEL);

/** The CSS class of a level: `lv-error`; `lv-none` where it is not one of ours. */
export function levelClass(level: string): string {
  return (LEVELS as readonly string[]).includes(level) ? `lv-${level.toLowerCase()}` : 'lv-none';
}

/** For sorting: known levels by gravity, unknown ones before them. */
export const gravity = (level: string) => (LEVELS as readonly string[]).indexOf(level);
