//! What sessions say: results, and which results stand no longer. Decides nothing about when.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::take_arrays;

use super::living::{Session, Shown};
use super::parts::{Part, Parts};
use crate::keys::{KeyId, Keys, sort_rows};
use crate::rows::{Rows, Timing};
use crate::window::results::Identity;
use crate::window::shape::Shape;

/// A row to emit.
#[derive(Debug)]
pub(crate) struct Said {
    /// Counts the moments within one input: what is said at one moment is sorted.
    moment: u32,
    /// The session that it is of.
    of: (i64, i64),
    key: KeyId,
    /// The span that it shows.
    shows: (i64, i64),
    pane: &'static str,
    revision: i64,
    /// The watermark before.
    before: i64,
    /// What to put together; `None` for a result that stands no longer.
    parts: Option<Vec<Part>>,
}

/// What is to be said of a session: which of its results stand no longer, as it does not begin there any more, and its
/// result. Later rows go into a part of their own.
pub(crate) fn say(session: &mut Session, pane: &'static str, (moment, before): (u32, i64), said: &mut Vec<Said>) {
    let of = (session.start, session.end);
    let revision = session.shown.iter().map(|shown| shown.revision).max().unwrap_or(0);
    let row =
        |shows, pane, revision, parts| Said { moment, of, key: session.key, shows, pane, revision, before, parts };
    for shown in session.shown.iter().filter(|shown| shown.start != session.start) {
        said.push(row((shown.start, shown.end), "retracted", shown.revision, None));
    }
    said.push(row(of, pane, revision, Some(session.parts.clone())));
    session.shown = vec![Shown { start: of.0, end: of.1, revision: revision + 1 }];
    (session.changed, session.touched, session.filling) = (false, false, None);
    session.fired |= pane != "early";
}

/// The rows for what was said, in the order of moments, then of ends, starts and keys.
pub(crate) fn rows(
    said: &[Said],
    parts: &mut Parts,
    keys: &Keys,
    (identity, shape): (&mut Identity, &Shape),
) -> Option<Rows> {
    if said.is_empty() {
        return None;
    }
    let lists = || said.iter().filter_map(|row| row.parts.as_deref());
    if lists().flatten().any(|part| parts.is_open(*part)) {
        parts.seal(keys, shape);
    }
    let (mut states, results) = parts.gather(lists(), shape);
    let results = states.evaluate(results, shape);
    let mut next = 0..;
    let result_of: Vec<Option<u32>> = said.iter().map(|row| row.parts.as_ref().and_then(|_| next.next())).collect();
    let order = order(said, keys);
    let picks: UInt32Array = order.values().iter().map(|row| result_of[*row as usize]).collect();
    let said: Vec<&Said> = order.values().iter().map(|row| &said[*row as usize]).collect();
    let ids: Vec<KeyId> = said.iter().map(|row| row.key).collect();
    let mut columns = keys.columns(&ids);
    columns.extend(take_arrays(&results, &picks, None).expect("each row that has parts has a result"));
    Some(finish(&said, columns, keys, identity))
}

fn finish(said: &[&Said], columns: Vec<ArrayRef>, keys: &Keys, identity: &mut Identity) -> Rows {
    let panes = said.iter().map(|row| Some(row.pane)).collect();
    let revisions = said.iter().map(|row| row.revision).collect();
    // Its first instant makes a session what it is.
    let row_ids = identity.row_ids(said.iter().map(|row| ((row.shows.0, i64::MIN), row.revision, row.key)), keys);
    let spans = said.iter().map(|row| row.shows).unzip();
    let columns = identity.put_together(spans, columns, (panes, revisions), row_ids);
    let mark = |row: &&Said| if row.pane == "on_time" { row.before } else { Timing::CORRECTION };
    let made = Timing {
        times: said.iter().map(|row| row.of.1.saturating_sub(1)).collect::<Vec<_>>().into(),
        marks: said.iter().map(mark).collect::<Vec<_>>().into(),
    };
    Rows { columns, origin: None, made: Some(made) }
}

/// The order in which rows are said: what stands no longer before what replaces it.
fn order(said: &[Said], keys: &Keys) -> UInt32Array {
    let long = |value: &dyn Fn(&Said) -> i64| -> ArrayRef { Arc::new(said.iter().map(value).collect::<Int64Array>()) };
    let ids: Vec<KeyId> = said.iter().map(|row| row.key).collect();
    let mut columns = vec![long(&|row| row.moment.into()), long(&|row| row.of.1), long(&|row| row.of.0)];
    columns.extend(keys.columns(&ids));
    columns.push(long(&|row| i64::from(row.parts.is_some())));
    columns.push(long(&|row| row.shows.0));
    sort_rows(&columns, said.len())
}
