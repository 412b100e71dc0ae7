// Times as people read them. All times inside the page are milliseconds since 1970 (UTC); only here do they become text.

export type Zone = 'UTC' | 'local';

class ZoneChoice {
  value = $state<Zone>(read());
  flip() {
    this.value = this.value === 'UTC' ? 'local' : 'UTC';
    try {
      localStorage.setItem('weir.zone', this.value);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  }
}
function read(): Zone {
  try {
    return localStorage.getItem('weir.zone') === 'local' ? 'local' : 'UTC';
  } catch {
    return 'UTC';
  }
}
export const zone = new ZoneChoice();

/** A time as the server sends it (RFC 3339, with or without zone, or microseconds since 1970) in milliseconds; null where it is none. */
export function parseTime(value: unknown): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value / 1000 : null;
  if (typeof value !== 'string' || !/^\d{4}-\d\d-\d\d/.test(value)) return null;
  const text = value.replace(' ', 'T');
  const ms = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(text) || text.length === 10 ? text : `${text}Z`);
  return Number.isNaN(ms) ? null : ms;
}

const two = (n: number) => String(n).padStart(2, '0');

/** `[year, month, day, hour, minute, second, millisecond]` in the chosen zone, as padded text. */
function parts(ms: number): string[] {
  const d = new Date(ms);
  const utc = zone.value === 'UTC';
  return [
    String(utc ? d.getUTCFullYear() : d.getFullYear()).padStart(4, '0'),
    two((utc ? d.getUTCMonth() : d.getMonth()) + 1),
    two(utc ? d.getUTCDate() : d.getDate()),
    two(utc ? d.getUTCHours() : d.getHours()),
    two(utc ? d.getUTCMinutes() : d.getMinutes()),
    two(utc ? d.getUTCSeconds() : d.getSeconds()),
    String(d.getUTCMilliseconds()).padStart(3, '0'),
  ];
}

export const date = (ms: number) => parts(ms).slice(0, 3).join('-');
export const clock = (ms: number) => parts(ms).slice(3, 6).join(':');
export const clockMs = (ms: number) => `${clock(ms)}.${parts(ms)[6]}`;
export const full = (ms: number) => `${date(ms)} ${clockMs(ms)}`;

/** A tick's label, as fine as the step between ticks asks for. */
export function tick(ms: number, step: number): string {
  const [, month, day, hour, minute, second, milli] = parts(ms);
  if (step >= 86_400_000) return `${month}-${day}`;
  if (step >= 60_000) return hour === '00' && minute === '00' ? `${month}-${day}` : `${hour}:${minute}`;
  return step >= 1000 ? `${hour}:${minute}:${second}` : `${minute}:${second}.${milli}`;
}

/** The value of an `<input type=datetime-local>`, in the chosen zone, and back. */
export const toInput = (ms: number) => `${date(ms)}T${clock(ms)}`;
export function fromInput(text: string): number | null {
  const ms = Date.parse(zone.value === 'UTC' ? `${text}Z` : text);
  return Number.isNaN(ms) ? null : ms;
}

const UNITS: [string, number][] = [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1000]];

/** A span in its two largest units: `2 h 5 m`, `320 ms`. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const at = UNITS.findIndex(([, size]) => ms >= size);
  const [unit, size] = UNITS[at]!;
  const next = UNITS[at + 1];
  const rest = next ? Math.floor((ms % size) / next[1]) : 0;
  return `${Math.floor(ms / size)} ${unit}` + (rest && next ? ` ${rest} ${next[0]}` : '');
}
