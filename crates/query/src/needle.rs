//! What the conditions of a query want of texts, as the search index understands it. Looks nothing up; what is not
//! understood is taken to want anything.

use arrow::datatypes::DataType;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::scalar::ScalarValue;
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use weir_store::{Beside, Blocks, IndexFault, Need, TokenIndex};

use crate::logs::is_text;
use crate::words;

/// What rows must have in their columns of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Nothing that an index knows of.
    Anything,
    /// A column must have something.
    In(String, Need),
    All(Vec<Wanted>),
    Any(Vec<Wanted>),
}

impl Wanted {
    /// What all of `filters` together want.
    pub(crate) fn of(filters: &[Expr]) -> Self {
        Self::all(filters.iter().map(wanted).collect())
    }

    fn all(all: Vec<Self>) -> Self {
        let mut all: Vec<Self> = all.into_iter().filter(|one| *one != Self::Anything).collect();
        match all.len() {
            0 => Self::Anything,
            1 => all.remove(0),
            _ => Self::All(all),
        }
    }

    fn any(any: Vec<Self>) -> Self {
        if any.is_empty() || any.contains(&Self::Anything) { Self::Anything } else { Self::Any(any) }
    }

    fn in_column(column: &str, need: Need) -> Self {
        if need == Need::Anything { Self::Anything } else { Self::In(column.to_owned(), need) }
    }

    /// The blocks of a segment that may have such rows.
    pub(crate) fn blocks(&self, index: &TokenIndex) -> Result<Blocks, IndexFault> {
        match self {
            Self::Anything => Ok(Blocks::all(index.blocks())),
            Self::In(column, need) => index.blocks_with(column, need),
            Self::All(all) => {
                let mut blocks = Blocks::all(index.blocks());
                for one in all {
                    blocks.and(&one.blocks(index)?);
                    if blocks.is_empty() {
                        break;
                    }
                }
                Ok(blocks)
            }
            Self::Any(any) => {
                let mut blocks = Blocks::none(index.blocks());
                for one in any {
                    blocks.or(&one.blocks(index)?);
                }
                Ok(blocks)
            }
        }
    }
}

fn wanted(filter: &Expr) -> Wanted {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Wanted::all(vec![wanted(left), wanted(right)])
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Wanted::any(vec![wanted(left), wanted(right)])
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compared(left, *op, right),
        Expr::Like(Like { negated: false, expr, pattern, escape_char, case_insensitive }) => {
            texts(expr, pattern, |text, folded| like(text, escape_char.unwrap_or('\\'), *case_insensitive || folded))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            Wanted::any(list.iter().map(|item| compared(expr, Operator::Eq, item)).collect())
        }
        Expr::ScalarFunction(call) => called(call),
        Expr::IsTrue(inner) => wanted(inner),
        Expr::Alias(alias) => wanted(&alias.expr),
        _ => Wanted::Anything,
    }
}

fn compared(left: &Expr, op: Operator, right: &Expr) -> Wanted {
    match op {
        Operator::Eq => match texts(left, right, equal) {
            Wanted::Anything => texts(right, left, equal),
            found => found,
        },
        Operator::RegexMatch => texts(left, right, |pattern, _| regex(pattern, "")),
        Operator::RegexIMatch => texts(left, right, |pattern, _| regex(pattern, "i")),
        Operator::LikeMatch => texts(left, right, |pattern, folded| like(pattern, '\\', folded)),
        Operator::ILikeMatch => texts(left, right, |pattern, _| like(pattern, '\\', true)),
        _ => Wanted::Anything,
    }
}

fn called(call: &ScalarFunction) -> Wanted {
    let [column, asked, rest @ ..] = call.args.as_slice() else { return Wanted::Anything };
    match (call.func.name(), rest) {
        ("contains", []) => texts(column, asked, |text, folded| part(text, Beside::Anything, Beside::Anything, folded)),
        ("starts_with", []) => {
            texts(column, asked, |text, folded| part(text, Beside::NoWord, Beside::Anything, folded))
        }
        ("ends_with", []) => texts(column, asked, |text, folded| part(text, Beside::Anything, Beside::NoWord, folded)),
        ("regexp_like", []) => texts(column, asked, |pattern, _| regex(pattern, "")),
        ("regexp_like", [flags]) => match text_of(flags) {
            Some(flags) => texts(column, asked, |pattern, _| regex(pattern, flags)),
            None => Wanted::Anything,
        },
        (words::HAS_WORDS, []) => texts(column, asked, |text, _| {
            let each = words::words(text).map(|word| Need::fragment(word, Beside::NoWord, Beside::NoWord));
            Need::all(each.collect())
        }),
        _ => Wanted::Anything,
    }
}

/// What `need` makes of the text `asked` for the column `expression`; it is also told whether the case of the column's
/// values is folded before they are compared.
fn texts(expression: &Expr, asked: &Expr, need: impl FnOnce(&str, bool) -> Need) -> Wanted {
    match (column_of(expression), text_of(asked)) {
        (Some((column, folded)), Some(text)) => Wanted::in_column(column, need(text, folded)),
        _ => Wanted::Anything,
    }
}

fn column_of(expression: &Expr) -> Option<(&str, bool)> {
    match expression {
        Expr::Column(column) => Some((&column.name, false)),
        Expr::Cast(cast) if is_text(cast.field.data_type()) => column_of(&cast.expr),
        Expr::TryCast(cast) if is_text(cast.field.data_type()) => column_of(&cast.expr),
        Expr::Alias(alias) => column_of(&alias.expr),
        Expr::ScalarFunction(call) if call.func.name() == "lower" => {
            let [inner] = call.args.as_slice() else { return None };
            column_of(inner).map(|(column, _)| (column, true))
        }
        _ => None,
    }
}

/// A text that is written out.
pub(crate) fn text_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Literal(value, _) => literal(value),
        Expr::Cast(cast) if is_text(cast.field.data_type()) => text_of(&cast.expr),
        Expr::Alias(alias) => text_of(&alias.expr),
        _ => None,
    }
}

fn literal(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => text.as_deref(),
        ScalarValue::Dictionary(kind, value) if **kind != DataType::Null => literal(value),
        _ => None,
    }
}

fn equal(text: &str, folded: bool) -> Need {
    if folded && !text.is_ascii() { part(text, Beside::NoWord, Beside::NoWord, true) } else { Need::value(text) }
}

/// A text with `text` in it.
fn part(text: &str, before: Beside, after: Beside, ignores_case: bool) -> Need {
    let mut pieces = Pieces::new(before);
    text.chars().for_each(|c| pieces.add(c, ignores_case));
    pieces.end(after)
}

/// A text that is like `pattern`.
fn like(pattern: &str, escape: char, ignores_case: bool) -> Need {
    let mut pieces = Pieces::new(Beside::NoWord);
    let mut is_plain = true;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' | '_' => {
                is_plain = false;
                pieces.cut();
            }
            c if c == escape => match chars.next() {
                Some(c) => pieces.add(c, ignores_case),
                // What a lone escape at the end means is not for us to say.
                None => return Need::Anything,
            },
            c => pieces.add(c, ignores_case),
        }
    }
    match is_plain && (pattern.is_ascii() || !ignores_case) && !pattern.contains(escape) {
        true => Need::value(pattern),
        false => pieces.end(Beside::NoWord),
    }
}

/// A text in which `pattern` is found.
fn regex(pattern: &str, flags: &str) -> Need {
    if !flags.chars().all(|flag| flag == 'i') {
        return Need::Anything;
    }
    let parsed = regex_syntax::ParserBuilder::new().case_insensitive(!flags.is_empty()).build().parse(pattern);
    parsed.map_or(Need::Anything, |hir| found(&hir))
}

fn found(hir: &Hir) -> Need {
    let mut pieces = Pieces::new(Beside::Anything);
    walk(hir, &mut pieces);
    pieces.end(Beside::Anything)
}

fn walk(hir: &Hir, pieces: &mut Pieces) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => text.chars().for_each(|c| pieces.add(c, false)),
            Err(_) => pieces.cut(),
        },
        HirKind::Class(class) => match one_letter(class) {
            Some(letter) => pieces.add(letter, true),
            None => pieces.cut(),
        },
        HirKind::Look(Look::Start) if pieces.text.is_empty() => pieces.before = Beside::NoWord,
        // The others say nothing that is known here; they take up no room.
        HirKind::Look(_) => {}
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            pieces.also(found(&repetition.sub));
        }
        HirKind::Repetition(_) => pieces.cut(),
        HirKind::Capture(capture) => walk(&capture.sub, pieces),
        HirKind::Concat(parts) => parts.iter().for_each(|part| walk(part, pieces)),
        HirKind::Alternation(parts) => pieces.also(Need::any(parts.iter().map(found).collect())),
    }
}

/// The letter of which a class has both cases and nothing else but characters that fold to it.
fn one_letter(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else { return None };
    let mut all = class.iter().flat_map(|range| range.start()..=range.end()).take(4);
    let first = all.next()?.to_ascii_lowercase();
    let folds = |c: char| c.to_ascii_lowercase() == first || matches!((first, c), ('k', '\u{212a}') | ('s', '\u{17f}'));
    (first.is_ascii_alphabetic() && all.all(folds)).then_some(first)
}

/// The parts that a text must have, in their order, as they are read from a pattern.
struct Pieces {
    text: String,
    before: Beside,
    needs: Vec<Need>,
}

impl Pieces {
    fn new(before: Beside) -> Self {
        Self { text: String::new(), before, needs: Vec::new() }
    }

    /// The next character. Which ones equal one outside of ASCII when case is ignored is not known here.
    fn add(&mut self, c: char, ignores_case: bool) {
        if ignores_case && !c.is_ascii() {
            self.cut();
        } else {
            self.text.push(c);
        }
    }

    /// Here may be anything.
    fn cut(&mut self) {
        let text = std::mem::take(&mut self.text);
        self.needs.push(Need::fragment(&text, self.before, Beside::Anything));
        self.before = Beside::Anything;
    }

    /// Here is something that needs `need`.
    fn also(&mut self, need: Need) {
        self.cut();
        self.needs.push(need);
    }

    fn end(mut self, after: Beside) -> Need {
        self.needs.push(Need::fragment(&self.text, self.before, after));
        Need::all(self.needs)
    }
}

#[cfg(test)]
mod tests;
