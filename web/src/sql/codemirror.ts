// The only file that names CodeMirror. A SQL editor with completion of tables and columns, and one mark where an error points.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { sql, SQLDialect } from '@codemirror/lang-sql';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState, StateEffect, StateField, type Text } from '@codemirror/state';
import { Decoration, type DecorationSet, drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { Named } from '../lib/api';
import type { Position } from './questions';

export interface SqlEditor {
  setText(text: string): void;
  setTables(tables: Named[]): void;
  setMark(at: Position | null): void;
  goto(at: Position): void;
  destroy(): void;
}

const look = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--panel)', fontSize: '13px', maxHeight: '45vh' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55' },
  '.cm-content, .cm-gutter': { minHeight: '132px' },
  '.cm-content': { caretColor: 'var(--text)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--raised)', color: 'var(--muted)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine': { backgroundColor: 'color-mix(in srgb, var(--hover) 60%, transparent)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'color-mix(in srgb, var(--accent) 28%, transparent) !important' },
  '.cm-matchingBracket': { backgroundColor: 'var(--accent-soft) !important', outline: '1px solid var(--accent)' },
  '.cm-placeholder': { color: 'var(--muted)' },
  '.cm-tooltip': { backgroundColor: 'var(--panel)', border: '1px solid var(--line-strong)', borderRadius: '6px', color: 'var(--text)' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--accent-ink)' },
  '.cm-completionDetail': { color: 'inherit', opacity: '0.8', fontStyle: 'normal', marginLeft: '1em' },
  '.cm-wrong': { backgroundColor: 'var(--bad-soft)', textDecoration: 'underline wavy var(--bad)' },
});
const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], color: 'var(--accent)', fontWeight: '600' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--good)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--t-warn)' },
  { tag: [tags.comment], color: 'var(--muted)', fontStyle: 'italic' },
  { tag: [tags.typeName, tags.standard(tags.name)], color: 'var(--t-info)' },
]);

const setWrong = StateEffect.define<Position | null>();
const wrong = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, change) {
    for (const effect of change.effects) {
      if (!effect.is(setWrong)) continue;
      const range = effect.value && word(change.state.doc, effect.value);
      return range ? Decoration.set(Decoration.mark({ class: 'cm-wrong' }).range(range.from, range.to)) : Decoration.none;
    }
    return change.docChanged ? Decoration.none : marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** The word at a position, at least one character; null where the position lies outside of the text. */
function word(doc: Text, { line, column }: Position): { from: number; to: number } | null {
  if (line < 1 || line > doc.lines || doc.length === 0) return null;
  const whole = doc.line(line);
  const from = Math.min(whole.from + Math.max(0, column - 1), Math.max(whole.from, whole.to - 1));
  const length = /^\w*/.exec(doc.sliceString(from, whole.to))![0].length;
  const to = Math.min(doc.length, from + Math.max(1, length));
  return from < to ? { from, to } : { from: Math.max(0, doc.length - 1), to: doc.length };
}

/** What the server's SQL knows. Shorter than any ready-made dialect, so that the completion offers only what works. */
const dialect = SQLDialect.define({
  keywords:
    'select distinct from where group by having order asc desc nulls first last limit offset as and or not in is null like ilike similar to between exists case when then else end cast try_cast ' +
    'with recursive union all except intersect join inner left right full outer cross natural on using over partition rows range unbounded preceding following current row filter within ' +
    'true false interval date timestamp time extract explain analyze describe show tables values unnest lateral qualify escape',
  types: 'bigint int integer smallint tinyint double float real decimal numeric varchar text string boolean timestamp date interval bytea',
  builtin:
    'count sum avg min max median stddev stddev_pop var_pop approx_distinct approx_percentile_cont array_agg string_agg first_value last_value row_number rank dense_rank lag lead ntile ' +
    'date_bin date_trunc date_part to_timestamp now coalesce nullif greatest least concat lower upper length substr substring replace trim regexp_like regexp_match regexp_replace regexp_count ' +
    'starts_with ends_with contains split_part strpos round floor ceil abs power sqrt log ln arrow_typeof arrow_cast get_field',
  operatorChars: '*+-%<>!=&|~^/',
  doubleDollarQuotedStrings: true,
});

const language = (tables: Named[]) =>
  sql({
    dialect,
    upperCaseKeywords: true,
    schema: Object.fromEntries(tables.map(({ name, columns }) => [name, columns.map((column) => ({ label: column.name, type: 'property', detail: column.type }))])),
    defaultTable: tables.length === 1 ? tables[0]!.name : undefined,
  });

/** Typing over a selection. Left to the browser, the deletion makes spans with inline styles for a moment, which the CSP reports. */
const overtype = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { from, to, empty } = view.state.selection.main;
    const text = event.data;
    if (event.inputType !== 'insertText' || empty || !text || view.composing) return false;
    event.preventDefault();
    const insert = () => view.state.update(view.state.replaceSelection(text), { userEvent: 'input.type', scrollIntoView: true });
    if (!view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, text, insert))) view.dispatch(insert());
    return true;
  },
});

export function createEditor(host: HTMLElement, text: string, onchange: (text: string) => void, onrun: () => void): SqlEditor {
  const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
  const schema = new Compartment();
  const run = () => (onrun(), true);
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: text,
      extensions: [
        keymap.of([{ key: 'Mod-Enter', run }, { key: 'Ctrl-Enter', run }, ...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap]),
        lineNumbers(), history(), drawSelection(), bracketMatching(), closeBrackets(), autocompletion({ icons: false }), highlightActiveLine(),
        placeholder('SELECT ... FROM ...'), schema.of(language([])), syntaxHighlighting(colours), wrong, look, overtype, EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': 'SQL. Ctrl-Enter runs it, Tab leaves the editor' }),
        EditorView.updateListener.of((update) => update.docChanged && onchange(update.state.doc.toString())),
      ],
    }),
  });
  let known = '';
  return {
    setText(next) {
      if (next !== view.state.doc.toString()) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
    },
    setTables(tables) {
      const now = JSON.stringify(tables.map(({ name, columns }) => [name, columns]));
      if (now !== known) view.dispatch({ effects: schema.reconfigure(language(tables)) });
      known = now;
    },
    setMark: (at) => view.dispatch({ effects: setWrong.of(at) }),
    goto(at) {
      const range = word(view.state.doc, at);
      if (range) view.dispatch({ selection: { anchor: range.from, head: range.to }, scrollIntoView: true });
      view.focus();
    },
    destroy: () => view.destroy(),
  };
}
