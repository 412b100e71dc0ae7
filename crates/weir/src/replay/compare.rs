//! What is shown compared with what the same records give again: row by row, each by what it says. Changes nothing.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use serde_json::{Map, Value};
use weir_model::{EventTime, SeamError, SeamResult};
use weir_store::{Store, TimeSpan, as_shown, digests, union_of};

use super::moment::Moment;
use super::record::{Example, OtherOutput, Record, TableRecord};
use super::rerun::{DEAD_LETTERS, Run};
use super::rows::{RowsWriter, shown};
use super::scope::Scope;
use super::{Folder, refused};
use crate::plan::Job;

/// Different rows of one table that are told apart in memory, at some 40 bytes each.
const ROWS_MAX: usize = 50_000_000;
/// Rows that are only shown that are remembered as text, to be set beside what the replay gives.
const REMEMBERED_MAX: usize = 10_000;

/// Compares every table.
pub(super) fn all(
    job: &Job,
    scope: &Scope,
    (moment, run): (&Moment, &Run),
    (folder, span): (&Folder, TimeSpan),
    examples: usize,
) -> SeamResult<Record> {
    let pipeline = job.plan.pipeline.clone();
    let id = format!("{pipeline}-{}", chrono::Utc::now().format("%Y%m%dT%H%M%S%3fZ"));
    let mut record = Record::new(id, pipeline, span, moment.commit.epoch.0);
    let mut dependent = None;
    for (table, &has_sessions) in &scope.tables {
        let comparison =
            Comparison::new(&record.pipeline, table, span, (&moment.tables, &run.tables), (has_sessions, examples))?;
        let compared = comparison.make(folder, run.gone.as_ref().and_then(|gone| gone.until))?;
        dependent = dependent.into_iter().chain(compared.dependent).max();
        record.refusal = record.refusal.take().or(compared.refusal);
        record.tables.push(compared.record);
    }
    record.refusal = run.gone.as_ref().and_then(|gone| gone.refusal(span, dependent)).or(record.refusal);
    let shadow = run.tables.snapshot()?;
    let rows = |table: &str| shadow.tables.get(table).map_or(0, |table| table.rows());
    record.dead_letters = rows(DEAD_LETTERS);
    let other = |(table, output): (&String, &String)| OtherOutput {
        output: output.clone(),
        table: table.clone(),
        rows: rows(table),
    };
    record.others = run.others.iter().map(other).collect();
    Ok(record)
}

/// Two versions of a table.
struct Comparison<'a> {
    pipeline: &'a str,
    table: &'a str,
    span: TimeSpan,
    live: &'a Store,
    replay: &'a Store,
    schema: SchemaRef,
    time: Option<String>,
    has_sessions: bool,
    examples: usize,
}

/// What a comparison found.
struct Compared {
    record: TableRecord,
    /// When the last row ends that may depend on records that are gone.
    dependent: Option<i64>,
    refusal: Option<String>,
}

/// Windows across the ends of the span, among the rows that differ.
#[derive(Default)]
struct Edges {
    /// How long they are.
    live: HashSet<i64>,
    replay: HashSet<i64>,
    /// From where to where they reach.
    reach: Option<(i64, i64)>,
}

impl<'a> Comparison<'a> {
    fn new(
        pipeline: &'a str,
        table: &'a str,
        span: TimeSpan,
        (live, replay): (&'a Store, &'a Store),
        (has_sessions, examples): (bool, usize),
    ) -> SeamResult<Self> {
        let (of_live, of_replay) = (live.snapshot()?, replay.snapshot()?);
        let (of_live, of_replay) = (of_live.tables.get(table), of_replay.tables.get(table));
        let none = Schema::empty();
        let schema = |table: Option<&'_ weir_store::TableSnapshot>| table.map(|table| table.schema.as_ref().clone());
        let schema = union_of(&schema(of_live).unwrap_or(none.clone()), &schema(of_replay).unwrap_or(none));
        let time = of_live.or(of_replay).and_then(|table| table.time_column.clone());
        if time.is_none() && !schema.fields().is_empty() {
            return Err(refused(format!(
                "the rows of the table {table} have no event time: nobody can tell which of them belong to a span of time; \
                 name a column with `time:` at its output"
            )));
        }
        Ok(Self { pipeline, table, span, live, replay, schema, time, has_sessions, examples })
    }

    /// Gives `take` the rows of the span that are shown, a batch at a time.
    fn each_live(&self, mut take: impl FnMut(&RecordBatch) -> SeamResult<()>) -> SeamResult<()> {
        self.live.each_of_pipeline(self.table, self.pipeline, |batch| take(&self.in_span(batch)?))
    }

    /// Gives `take` the rows of the span that the replay gives.
    fn each_replay(&self, mut take: impl FnMut(&RecordBatch) -> SeamResult<()>) -> SeamResult<()> {
        self.replay.each_of_pipeline(self.table, self.pipeline, |batch| take(&self.in_span(batch)?))
    }

    fn in_span(&self, batch: &RecordBatch) -> SeamResult<RecordBatch> {
        let batch = as_shown(batch, &self.schema)?;
        filtered(&batch, &self.span.holds(&batch, self.time.as_deref()))
    }

    /// Rows that begin before `gone` may depend on records that are gone.
    fn make(&self, folder: &Folder, gone: Option<i64>) -> SeamResult<Compared> {
        // How much more often each row is shown than it is given again.
        let mut more: HashMap<u128, i64> = HashMap::new();
        let (mut shown, mut dependent) = (0, None);
        let mut count = |batch: &RecordBatch, by: i64| {
            let before = |at| TimeSpan::end_of_those_before(at, batch, self.time.as_deref());
            dependent = dependent.into_iter().chain(gone.and_then(before)).max();
            digests(batch)?.into_iter().for_each(|digest| *more.entry(digest).or_default() += by);
            if more.len() > ROWS_MAX {
                let table = self.table;
                return Err(refused(format!(
                    "{table} has more than {ROWS_MAX} rows in this span: choose a shorter one"
                )));
            }
            Ok(())
        };
        self.each_live(|batch| {
            shown += batch.num_rows() as u64;
            count(batch, 1)
        })?;
        self.each_replay(|batch| count(batch, -1))?;
        more.retain(|_, count| *count != 0);

        let mut differing = Differing::new(self.examples);
        let mut gone = RowsWriter::create(folder, format!("{}.gone", self.table), &self.schema)?;
        self.each_live(|batch| {
            let batch = filtered(batch, &take_while_left(&mut more, batch, -1)?)?;
            differing.live(&batch, self);
            gone.write(&batch)
        })?;
        let mut come = RowsWriter::create(folder, format!("{}.come", self.table), &self.schema)?;
        self.each_replay(|batch| {
            let batch = filtered(batch, &take_while_left(&mut more, batch, 1)?)?;
            differing.replay(&batch, self);
            come.write(&batch)
        })?;
        let (gone, come) = (gone.finish()?, come.finish()?);
        let (changed, refusal) = (differing.changed, differing.edges.refusal(self));
        let record = TableRecord {
            table: self.table.to_owned(),
            time: self.time.clone(),
            equal: shown - gone.rows,
            changed,
            only_live: gone.rows - changed,
            only_replay: come.rows - changed,
            examples: differing.examples(),
            gone,
            come,
        };
        Ok(Compared { record, dependent, refusal })
    }
}

fn filtered(batch: &RecordBatch, keep: &BooleanArray) -> SeamResult<RecordBatch> {
    filter_record_batch(batch, keep)
        .map_err(|error| SeamError::caused(weir_model::ErrorKind::Closed, "cannot filter rows", error))
}

/// Which rows of `batch` there are too many of (`step` -1) or too few (1); each of them counts as taken.
fn take_while_left(more: &mut HashMap<u128, i64>, batch: &RecordBatch, step: i64) -> SeamResult<BooleanArray> {
    let mut take = |digest| match more.get_mut(&digest) {
        Some(left) if left.signum() == -step => {
            *left += step;
            true
        }
        _ => false,
    };
    Ok(digests(batch)?.into_iter().map(|digest| Some(take(digest))).collect())
}

/// Rows that differ, as they are found: first those that are shown, then those of the replay.
struct Differing {
    wanted: usize,
    /// By row_id and revision, those that are shown; as text as long as there are not too many.
    live: HashMap<(String, i64), Option<Map<String, Value>>>,
    changed: u64,
    pairs: Vec<Example>,
    only_replay: Vec<Example>,
    only_live: Vec<Example>,
    remembered: usize,
    edges: Edges,
}

impl Differing {
    fn new(wanted: usize) -> Self {
        Self {
            wanted,
            live: HashMap::new(),
            changed: 0,
            pairs: Vec::new(),
            only_replay: Vec::new(),
            only_live: Vec::new(),
            remembered: 0,
            edges: Edges::default(),
        }
    }

    fn live(&mut self, batch: &RecordBatch, of: &Comparison<'_>) {
        self.edges.note(batch, of, true);
        for row in 0..batch.num_rows() {
            match key(batch, row) {
                Some(key) => {
                    self.remembered += 1;
                    let text = (self.remembered <= REMEMBERED_MAX).then(|| shown(batch, row));
                    self.live.insert(key, text);
                }
                None if self.only_live.len() < self.wanted => {
                    self.only_live.push(Example { live: Some(shown(batch, row)), replay: None });
                }
                None => {}
            }
        }
    }

    fn replay(&mut self, batch: &RecordBatch, of: &Comparison<'_>) {
        self.edges.note(batch, of, false);
        for row in 0..batch.num_rows() {
            let before = key(batch, row).and_then(|key| self.live.remove(&key));
            self.changed += u64::from(before.is_some());
            let (list, live) = match before {
                Some(live) => (&mut self.pairs, live),
                None => (&mut self.only_replay, None),
            };
            if list.len() < self.wanted {
                list.push(Example { live, replay: Some(shown(batch, row)) });
            }
        }
    }

    /// Some of each kind.
    fn examples(self) -> Vec<Example> {
        let mut rest: Vec<_> = self.live.into_iter().filter_map(|(key, text)| Some((key, text?))).collect();
        rest.sort_by(|one, other| one.0.cmp(&other.0));
        let rest = rest.into_iter().map(|(_, live)| Example { live: Some(live), replay: None });
        let only_live = self.only_live.into_iter().chain(rest).take(self.wanted);
        self.pairs.into_iter().chain(only_live).chain(self.only_replay).collect()
    }
}

/// By what a result is the same although it says something else.
fn key(batch: &RecordBatch, row: usize) -> Option<(String, i64)> {
    let id = batch.column_by_name("row_id")?.as_string_view_opt()?;
    let revision = batch.column_by_name("revision")?.as_primitive_opt::<Int64Type>()?;
    (id.is_valid(row) && revision.is_valid(row)).then(|| (id.value(row).to_owned(), revision.value(row)))
}

impl Edges {
    fn note(&mut self, batch: &RecordBatch, of: &Comparison<'_>, is_live: bool) {
        let crosses = of.span.crosses(batch, of.time.as_deref());
        let column = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<TimestampMicrosecondType>();
        let (Some(starts), Some(ends)) = (column("window_start"), column("window_end")) else { return };
        let lengths = if is_live { &mut self.live } else { &mut self.replay };
        for row in (0..batch.num_rows()).filter(|row| crosses.value(*row)) {
            let (start, end) = (starts.value(row), ends.value(row));
            lengths.insert(end - start);
            let (low, high) = self.reach.unwrap_or((start, end));
            self.reach = Some((low.min(start), high.max(end)));
        }
    }

    /// Why what differs at the ends of the span must not be exchanged, if that is so: a window that lies across an end and
    /// has become another one there may have parts of it outside, which would stay, or be missing.
    fn refusal(&self, of: &Comparison<'_>) -> Option<String> {
        let (low, high) = self.reach?;
        let both = !self.live.is_empty() && !self.replay.is_empty();
        if !of.has_sessions && (!both || self.live == self.replay) {
            return None;
        }
        let at = |micros: i64| EventTime::from_micros(micros).to_string();
        Some(format!(
            "in the table {} windows that lie across an end of the span have become others: begin at {} or earlier and end at \
             {} or later, where nothing that differs lies across",
            of.table,
            at(low.min(of.span.from)),
            at(high.max(of.span.to))
        ))
    }
}
