//! `join_lines`: rows that continue the one before become part of it. What belongs together is told by the rows of one
//! partition alone, so neither a batch's end nor a barrier nor a crash cuts a record in two.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use weir_model::{Compiler, EventTime, PartitionId, TimeDelta};

use super::row_hash::row_hashes;
use super::{News, Operator, Outcome, PlanFault, regexes};
use crate::compiled::{Compiled, Trouble};
use crate::rows::{Origin, Rows};
use crate::snapshot::run_id;
use crate::{Effect, Run, RunRows};

/// Records of one partition that are open at a time, each of another key; the oldest makes room.
const OPEN_PER_PARTITION_MAX: usize = 10_000;
/// How long the texts of these may be together, for they stay in memory whatever its budget; the oldest makes room.
const OPEN_BYTES_PER_PARTITION_MAX: usize = 64 << 20;

/// Joins rows whose texts are lines of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinLinesPlan {
    /// The column with the lines. The other columns of a record are those of its first row.
    pub column: String,
    /// Where a record begins.
    pub begin: Begin,
    /// The keys, as expressions: only rows of the same keys (and the same partition) belong together.
    pub by: Vec<String>,
    /// How many lines a record may have; the next one begins another.
    pub lines_max: usize,
    /// How long its text may be; a line that would make it longer begins another.
    pub bytes_max: usize,
    /// A line so much later (event time) than the first of the record begins another.
    pub max_wait: Option<TimeDelta>,
}

/// Where a record begins. The expression must match at the beginning of the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With a line that looks like this.
    StartsWith(String),
    /// With a line that does not look like this.
    Continues(String),
}

impl JoinLinesPlan {
    pub(super) fn check(&self) -> Result<(), PlanFault> {
        if self.column.is_empty() {
            return Err(PlanFault::new("column", "the name of the column is empty"));
        }
        for (key, value) in [("max_lines", self.lines_max), ("max_bytes", self.bytes_max)] {
            if value == 0 {
                return Err(PlanFault::new(key, "0 is too little: at least 1"));
            }
        }
        if let Some(wait) = self.max_wait.filter(|wait| *wait <= TimeDelta::ZERO) {
            return Err(PlanFault::new(
                "max_wait",
                format!("{wait} is no span of time: it must be longer than nothing"),
            ));
        }
        self.begin.compile().map(|_| ())
    }
}

impl Begin {
    fn compile(&self) -> Result<Regex, PlanFault> {
        let (key, text) = match self {
            Self::StartsWith(text) => ("starts_with", text),
            Self::Continues(text) => ("continues", text),
        };
        regexes::compile(key, text)?;
        regexes::compile(key, &format!("^(?:{text})"))
    }
}

#[derive(Debug)]
pub(crate) struct JoinLines {
    plan: JoinLinesPlan,
    begin: Regex,
    by: Compiled,
    /// Whether a window follows: then no record is held longer than until the watermark has passed its event time.
    before_window: bool,
    /// By partition and then by key.
    open: BTreeMap<PartitionId, BTreeMap<u128, Open>>,
    node: usize,
    /// The runs of the last snapshot, while they are still right.
    sealed: Option<Vec<Run>>,
}

/// A record that may go on.
#[derive(Debug)]
struct Open {
    /// Its first row.
    first: First,
    /// The event time of the first row, if there is one.
    time: Option<i64>,
    /// Where it begins.
    offset: u64,
    text: String,
    lines: usize,
}

/// Where the first row of a record is.
#[derive(Debug)]
enum First {
    /// In the batch that is being taken, at this index.
    Here(u32),
    /// On its own, from an earlier batch.
    Kept(Box<Rows>),
}

/// What a snapshot keeps of a record besides its columns.
#[derive(Serialize, Deserialize)]
struct OpenMeta {
    partition: PartitionId,
    key: String,
    source: usize,
    name: Arc<str>,
    offset: u64,
    time: Option<i64>,
    mark: Option<i64>,
    /// As [`Origin::held`] was when its first line came.
    held: Vec<i64>,
    lines: usize,
    run: u64,
    row: usize,
}

/// The records that are done while a batch is taken.
#[derive(Default)]
struct Done {
    /// In order: those of earlier batches whole, those of this one by their first row and their text.
    records: Vec<Record>,
}

enum Record {
    Kept(Rows),
    Here(u32, Option<String>),
}

impl Done {
    fn push(&mut self, open: Open, column: &str) {
        self.records.push(match open.first {
            First::Here(row) => Record::Here(row, Some(open.text)),
            First::Kept(rows) => Record::Kept(with_text(&rows, column, vec![Some(open.text)])),
        });
    }

    /// As rows that go on: those of this batch that follow each other together.
    fn rows(self, batch: &Rows, column: &str) -> Vec<Rows> {
        let (mut out, mut indices, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        let flush = |indices: &mut Vec<u32>, texts: &mut Vec<Option<String>>, out: &mut Vec<Rows>| {
            if !indices.is_empty() {
                let taken = batch.take(&UInt32Array::from(std::mem::take(indices)));
                out.push(with_text(&taken, column, std::mem::take(texts)));
            }
        };
        for record in self.records {
            match record {
                Record::Here(row, text) => {
                    indices.push(row);
                    texts.push(text);
                }
                Record::Kept(rows) => {
                    flush(&mut indices, &mut texts, &mut out);
                    out.push(rows);
                }
            }
        }
        flush(&mut indices, &mut texts, &mut out);
        out
    }
}

/// `rows` with these texts in the column, which is text then.
fn with_text(rows: &Rows, column: &str, texts: Vec<Option<String>>) -> Rows {
    let schema = rows.columns.schema();
    let Some((place, _)) = schema.column_with_name(column) else { return rows.clone() };
    let mut columns = rows.columns.columns().to_vec();
    columns[place] = Arc::new(texts.into_iter().collect::<StringArray>());
    let fields = schema.fields().iter().enumerate().map(|(index, field)| {
        if index == place { Arc::new(Field::new(column, DataType::Utf8, true)) } else { field.clone() }
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = RecordBatch::try_new(schema, columns).expect("only the text has changed, and its field with it");
    rows.with_columns(columns)
}

impl JoinLines {
    pub(crate) fn new(plan: &JoinLinesPlan, node: usize, before_window: bool, compiler: Arc<dyn Compiler>) -> Self {
        let begin = plan.begin.compile().expect("the plan was checked");
        let by = Compiled::new(plan.by.clone(), compiler);
        Self { plan: plan.clone(), begin, by, before_window, open: BTreeMap::new(), node, sealed: None }
    }

    fn continues(&self, line: &str) -> bool {
        match self.plan.begin {
            Begin::StartsWith(_) => !self.begin.is_match(line),
            Begin::Continues(_) => self.begin.is_match(line),
        }
    }

    /// Whether a line of this event time still belongs to `open`.
    fn takes(&self, open: &Open, line: &str, time: Option<i64>) -> bool {
        let in_time = match (self.plan.max_wait, open.time, time) {
            (Some(wait), Some(first), Some(time)) => time.saturating_sub(first) <= wait.micros(),
            _ => true,
        };
        in_time && open.lines < self.plan.lines_max && open.text.len() + 1 + line.len() <= self.plan.bytes_max
    }

    /// The event time of the earliest record, if the watermark lets records go.
    fn earliest(&self, open: &BTreeMap<u128, Open>) -> i64 {
        let times = open.values().filter_map(|open| open.time).filter(|_| self.before_window);
        times.min().unwrap_or(i64::MAX)
    }

    /// Lets the oldest records of a partition go while it has too many, or too long ones.
    fn make_room(&self, open: &mut BTreeMap<u128, Open>, bytes: &mut usize, done: &mut Done) {
        while open.len() > OPEN_PER_PARTITION_MAX || *bytes > OPEN_BYTES_PER_PARTITION_MAX {
            let oldest = open.iter().min_by_key(|(_, open)| open.offset).map(|(key, _)| *key);
            let oldest = oldest.and_then(|oldest| open.remove(&oldest));
            let oldest = oldest.expect("what takes up room is a record");
            *bytes -= oldest.text.len();
            done.push(oldest, &self.plan.column);
        }
    }

    /// Lets the records of partitions go that `wanted` wants.
    fn release(&mut self, wanted: impl Fn(&PartitionId, &Open) -> bool) -> Outcome {
        let mut outcome = Outcome::default();
        for (partition, records) in &mut self.open {
            let keys: Vec<u128> =
                records.iter().filter(|(_, open)| wanted(partition, open)).map(|(key, _)| *key).collect();
            let mut released: Vec<Open> = keys.iter().filter_map(|key| records.remove(key)).collect();
            released.sort_by_key(|open| open.offset);
            let mut done = Done::default();
            released.into_iter().for_each(|open| done.push(open, &self.plan.column));
            outcome.rows.extend(done.records.into_iter().filter_map(|record| match record {
                Record::Kept(rows) => Some(rows),
                Record::Here(..) => None,
            }));
        }
        if !outcome.rows.is_empty() {
            self.open.retain(|_, records| !records.is_empty());
            self.sealed = None;
        }
        outcome
    }
}

/// How long the texts of records are together.
fn text_bytes(open: &BTreeMap<u128, Open>) -> usize {
    open.values().map(|open| open.text.len()).sum()
}

/// Takes the records out that the watermark has passed, in the order of their beginning.
fn passed(open: &mut BTreeMap<u128, Open>, mark: i64) -> Vec<Open> {
    let gone = open.iter().filter(|(_, open)| open.time.is_some_and(|time| time < mark));
    let keys: Vec<u128> = gone.map(|(key, _)| *key).collect();
    let mut passed: Vec<Open> = keys.iter().filter_map(|key| open.remove(key)).collect();
    passed.sort_by_key(|open| open.offset);
    passed
}

/// The lines of a batch.
fn lines(rows: &Rows, column: &str) -> Result<StringArray, Trouble> {
    match rows.columns.column_by_name(column) {
        None => Ok(StringArray::new_null(rows.len())),
        Some(values) if *values.data_type() == DataType::Null => Ok(StringArray::new_null(rows.len())),
        Some(values) => {
            let is_text = match values.data_type() {
                DataType::Dictionary(_, values) => values.is_string(),
                other => other.is_string(),
            };
            if !is_text {
                let problem = format!("the column `{column}` is {} where text is needed", values.data_type());
                return Err(Trouble::Types(problem));
            }
            let texts = cast(values, &DataType::Utf8).map_err(|error| Trouble::Types(error.to_string()))?;
            Ok(texts.as_string::<i32>().clone())
        }
    }
}

impl Operator for JoinLines {
    fn take(&mut self, _port: usize, rows: &Rows, _effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let origin = rows.origin.as_ref();
        let origin =
            origin.ok_or_else(|| Trouble::Types("results of a window are no lines to be joined".to_owned()))?;
        let lines = lines(rows, &self.plan.column)?;
        let keys = row_hashes(&self.by.evaluate(&rows.columns)?, rows.len())?;
        self.sealed = None;
        let mut open = self.open.remove(&origin.partition).unwrap_or_default();
        let (mut outcome, mut done) = (Outcome::default(), Done::default());
        let mut earliest = self.earliest(&open);
        let mut bytes = text_bytes(&open);
        for (row, key) in keys.into_iter().enumerate() {
            let time = origin.times.get(row).copied();
            if let Some(mark) = origin.marks.get(row).filter(|mark| earliest < **mark) {
                for passed in passed(&mut open, *mark) {
                    done.push(passed, &self.plan.column);
                }
                earliest = self.earliest(&open);
                bytes = text_bytes(&open);
            }
            let index = u32::try_from(row).expect("a batch has fewer rows");
            if lines.is_null(row) {
                done.records.push(Record::Here(index, None));
                continue;
            }
            let line = lines.value(row);
            if let Some(before) = open.get_mut(&key)
                && self.continues(line)
                && self.takes(before, line, time)
            {
                before.text.push('\n');
                before.text.push_str(line);
                before.lines += 1;
                outcome.merged += 1;
                bytes += 1 + line.len();
                self.make_room(&mut open, &mut bytes, &mut done);
                continue;
            }
            let begun =
                Open { first: First::Here(index), time, offset: origin.offsets[row], text: line.to_owned(), lines: 1 };
            if self.before_window {
                earliest = earliest.min(time.unwrap_or(i64::MAX));
            }
            bytes += line.len();
            if let Some(before) = open.insert(key, begun) {
                bytes -= before.text.len();
                done.push(before, &self.plan.column);
            }
            self.make_room(&mut open, &mut bytes, &mut done);
        }
        outcome.rows = done.rows(rows, &self.plan.column);
        for record in open.values_mut() {
            if let First::Here(row) = record.first {
                record.first = First::Kept(Box::new(kept(rows, row, &self.plan.column)));
            }
        }
        if !open.is_empty() {
            self.open.insert(origin.partition.clone(), open);
        }
        Ok(outcome)
    }

    fn next_stop(&self, _reached: i64) -> i64 {
        let earliest = self.open.values().map(|records| self.earliest(records)).min();
        earliest.map_or(i64::MAX, |time| time.saturating_add(1))
    }

    fn hear(&mut self, news: News) -> Outcome {
        match news {
            News::Reached(reached) if self.before_window => {
                self.release(|_, open| open.time.is_some_and(|time| time < reached))
            }
            News::Reached(_) | News::Tick(..) => Outcome::default(),
            News::Quiet | News::End(_) => self.release(|_, _| true),
        }
    }

    fn partition_ends(&mut self, partition: &PartitionId) -> Outcome {
        if !self.open.contains_key(partition) {
            return Outcome::default();
        }
        self.release(|own, _| own == partition)
    }

    fn open_rows(&self) -> u64 {
        self.open.values().map(|records| records.len() as u64).sum()
    }

    fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        if self.sealed.is_none() {
            let mut alike: Vec<Vec<RecordBatch>> = Vec::new();
            for open in self.open.values().flat_map(|records| records.values()) {
                let columns = open.columns(&self.plan.column);
                match alike.iter_mut().find(|batches| batches[0].schema() == columns.schema()) {
                    Some(batches) => batches.push(columns),
                    None => alike.push(vec![columns]),
                }
            }
            let runs = alike.into_iter().map(|batches| {
                let batch = concat_batches(&batches[0].schema(), &batches).expect("the schemas are equal");
                *next_run += 1;
                let pane = EventTime::from_micros(0);
                Run {
                    id: run_id(*next_run, self.node, pane.micros(), &batch),
                    node: self.node,
                    pane,
                    rows: RunRows::Held(batch),
                }
            });
            self.sealed = Some(runs.collect());
        }
        self.sealed.clone().unwrap_or_default()
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        let runs = self.sealed.as_ref().expect("a snapshot seals first");
        let mut next_rows = vec![0; runs.len()];
        let mut metas = Vec::new();
        for (partition, records) in &self.open {
            for (key, open) in records {
                let schema = open.columns(&self.plan.column).schema();
                let place = runs.iter().position(|run| run.batch().schema() == schema);
                let place = place.expect("there is a run of each schema");
                let origin = open.origin();
                metas.push(OpenMeta {
                    partition: partition.clone(),
                    key: format!("{key:x}"),
                    source: origin.source,
                    name: origin.name.clone(),
                    offset: open.offset,
                    time: open.time,
                    mark: origin.marks.first().copied(),
                    held: origin.held.to_vec(),
                    lines: open.lines,
                    run: runs[place].id,
                    row: next_rows[place],
                });
                next_rows[place] += 1;
            }
        }
        Some(to_raw_value(&metas).expect("numbers and names are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, runs: &[Run]) -> Result<(), String> {
        let metas: Vec<OpenMeta> = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        for meta in metas {
            let run = runs.iter().find(|run| run.id == meta.run && run.node == self.node);
            let run = run.filter(|run| meta.row < run.batch().num_rows());
            let run = run.ok_or_else(|| format!("the lines of an open record of {} are missing", meta.partition))?;
            let columns = run.batch().slice(meta.row, 1);
            let text = columns.column_by_name(&self.plan.column).and_then(|column| column.as_string_opt::<i32>());
            let text = text.filter(|text| text.is_valid(0)).map(|text| text.value(0).to_owned());
            let text = text.ok_or_else(|| format!("an open record of {} has no text", meta.partition))?;
            let key = u128::from_str_radix(&meta.key, 16).map_err(|_| format!("the key {} of a record", meta.key))?;
            let origin = Origin {
                source: meta.source,
                partition: meta.partition.clone(),
                name: meta.name,
                offsets: vec![meta.offset].into(),
                times: meta.time.into_iter().collect::<Vec<_>>().into(),
                marks: meta.mark.into_iter().collect::<Vec<_>>().into(),
                held: meta.held.into(),
            };
            let first = First::Kept(Box::new(Rows { columns, origin: Some(origin), made: None }));
            let open = Open { first, time: meta.time, offset: meta.offset, text, lines: meta.lines };
            self.open.entry(meta.partition).or_default().insert(key, open);
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let records = self.open.values().flat_map(|records| records.values());
        records.map(|open| open.text.len() + open.columns_size()).sum()
    }
}

impl Open {
    fn kept(&self) -> &Rows {
        match &self.first {
            First::Kept(rows) => rows,
            First::Here(_) => unreachable!("between batches every first row is kept on its own"),
        }
    }

    fn origin(&self) -> &Origin {
        self.kept().origin.as_ref().expect("only rows of a partition are joined")
    }

    fn columns(&self, column: &str) -> RecordBatch {
        with_text(self.kept(), column, vec![Some(self.text.clone())]).columns
    }

    fn columns_size(&self) -> usize {
        self.kept().columns.get_array_memory_size()
    }
}

/// One row on its own, which does not hold on to the batch that it comes from; without its text, which is kept elsewhere.
fn kept(rows: &Rows, row: u32, column: &str) -> Rows {
    let mut one = with_text(&rows.take(&UInt32Array::from(vec![row])), column, vec![None]);
    let columns = one.columns.columns().iter().map(|column| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()),
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
            _ => column.clone(),
        }
    });
    let columns = columns.collect();
    one.columns = RecordBatch::try_new(one.columns.schema(), columns).expect("the types are the same");
    one
}
