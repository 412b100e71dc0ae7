// Makes a log text safe to look at: what would be invisible or would reorder the line becomes a visible mark. Never makes HTML.

export interface Piece { text: string; kind: 'plain' | 'mark' | 'hit' }

// Terminal sequences, control characters, zero-width and bidirectional controls, line separators, the byte order mark, tags.
const HIDDEN =
  /\u001b\[[0-?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\t\n]/gu;

function mark(hidden: string): string {
  const code = hidden.codePointAt(0)!;
  if (code === 0x1b && hidden.length > 1) return `␛${hidden.slice(1)}`;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  if (code === 0x7f) return '␡';
  return `⟨U+${code.toString(16).toUpperCase().padStart(4, '0')}⟩`;
}

/** Cuts `text` into plain pieces, marks for hidden characters, and hits of the searched substring (case-insensitive). `lines` keeps tabs and line ends. */
export function pieces(text: string, needle: string, lines = false): Piece[] {
  const out: Piece[] = [];
  const hits = needle ? new RegExp(needle.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'giu') : null;
  let at = 0;
  for (const hit of hits ? text.matchAll(hits) : []) {
    marks(text.slice(at, hit.index), 'plain', lines, out);
    marks(hit[0], 'hit', lines, out);
    at = hit.index + hit[0].length;
  }
  marks(text.slice(at), 'plain', lines, out);
  return out;
}

function marks(text: string, kind: 'plain' | 'hit', lines: boolean, out: Piece[]) {
  let at = 0;
  for (const hidden of text.matchAll(HIDDEN)) {
    if (lines && (hidden[0] === '\n' || hidden[0] === '\t')) continue;
    if (hidden.index > at) out.push({ text: text.slice(at, hidden.index), kind });
    out.push({ text: hidden[0] === '\n' ? '⏎' : hidden[0] === '\t' ? '⇥' : mark(hidden[0]), kind: 'mark' });
    at = hidden.index + hidden[0].length;
  }
  if (at < text.length) out.push({ text: text.slice(at), kind });
}
