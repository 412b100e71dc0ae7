// Numbers, sizes and cell values as text.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const fine = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });

export const count = (n: number) => whole.format(n);
export const brief = (n: number) => (Math.abs(n) < 10_000 ? whole.format(n) : short.format(n));

export function rate(n: number): string {
  return n !== 0 && n < 100 ? fine.format(n) : brief(n);
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = n;
  let at = 0;
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024;
    at += 1;
  }
  return `${at === 0 || size >= 100 ? whole.format(size) : fine.format(size)} ${units[at]}`;
}

export const plural = (n: number, one: string, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** A value as one text: strings as they are, the rest as JSON. */
export function text(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
