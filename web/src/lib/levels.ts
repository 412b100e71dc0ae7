// The levels of log lines: their order, from the most quiet to the most serious, and how a name finds its colour.

export const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] as const;

/** The name shown for lines without a level. It cannot be filtered by. */
export const NO_LEVEL = 'none';

export const levelName = (value: unknown) => (typeof value === 'string' && value !== '' ? value.toUpperCase() : NO_LEVEL);

/** What other loggers call the same. */
const ALIKE: Record<string, (typeof LEVELS)[number]> = {
  FINEST: 'TRACE', FINER: 'TRACE', FINE: 'DEBUG', NOTICE: 'INFO', WARNING: 'WARN', ERR: 'ERROR', SEVERE: 'ERROR', CRITICAL: 'FATAL', CRIT: 'FATAL', ALERT: 'FATAL', EMERG: 'FATAL', PANIC: 'FATAL',
};

/** For sorting: known levels by gravity, unknown ones before them. */
export const gravity = (level: string) => (LEVELS as readonly string[]).indexOf(ALIKE[level] ?? level);

/** The CSS class of a level: `lv-error`; `lv-none` where it is not one of ours. */
export const levelClass = (level: string) => `lv-${LEVELS[gravity(level)]?.toLowerCase() ?? 'none'}`;

/** The spellings that the table uses for the levels of the filter: `INFO` may be `info` there. */
export function spellings(levels: string[], seen: (string | null)[]): string[] {
  return levels.flatMap((level) => {
    const same = seen.filter((other): other is string => other !== null && levelName(other) === level);
    return same.length ? same : [level];
  });
}
