//! What a window emits: its span, the keys, the aggregates, and what makes every row recognisable.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::compute::take_arrays;
use arrow::datatypes::{Field, Schema, SchemaRef};
use xxhash_rust::xxh3::xxh3_128;

use super::shape::Shape;
use super::table::Table;
use crate::keys::{KeyId, Keys, sort_rows};
use crate::plan::{EmitMode, WindowPlan};

/// The columns of every window's results besides keys and aggregates.
pub(crate) const RESULT_COLUMNS: [&str; 5] = ["window_start", "window_end", "pane", "revision", "row_id"];

/// Who emits: part of every row's id.
#[derive(Debug)]
pub(crate) struct Identity {
    node: String,
    /// What the hashes of all its rows begin with.
    common: Vec<u8>,
    names: Vec<String>,
    /// Whether results add up, so that each has an id of its own.
    adds: bool,
    schema: SchemaRef,
}

/// What a group of a global window tells besides its aggregates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) key: KeyId,
    /// The earliest and the latest event time of its rows.
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) revision: i64,
    /// Tells it from an earlier group of the same key.
    pub(crate) born: i64,
}

impl Identity {
    /// Of the pipeline and the node of these names.
    pub(crate) fn new((pipeline, node): (&str, &str), plan: &WindowPlan) -> Self {
        let keys = plan.by.iter().map(String::as_str);
        let columns = keys.chain(plan.compute.iter().map(|aggregate| aggregate.name.as_str()));
        let names = RESULT_COLUMNS[..2].iter().copied().chain(columns).chain(RESULT_COLUMNS[2..].iter().copied());
        let mut common = Vec::new();
        for name in [pipeline, node] {
            common.extend_from_slice(&(name.len() as u64).to_le_bytes());
            common.extend_from_slice(name.as_bytes());
        }
        Self {
            node: node.to_owned(),
            common,
            names: names.map(str::to_owned).collect(),
            adds: plan.emit.mode == EmitMode::Discarding,
            schema: Arc::new(Schema::empty()),
        }
    }

    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// The groups of `table` as rows, sorted by their keys.
    pub(crate) fn results(
        &mut self,
        span: (i64, i64),
        (pane, revision): (&str, i64),
        mut table: Table,
        keys: &Keys,
        shape: &Shape,
    ) -> RecordBatch {
        let ids = table.groups.keys().to_vec();
        let mut columns = keys.columns(&ids);
        let order = sort_rows(&columns, ids.len());
        columns.extend(table.evaluate(shape));
        let sorted = take_arrays(&columns, &order, None).expect("the order is of these rows");
        let ids: Vec<KeyId> = order.values().iter().map(|row| ids[*row as usize]).collect();

        let rows = ids.len();
        let spans = (vec![span.0; rows], vec![span.1; rows]);
        let row_ids = self.row_ids(ids.iter().map(|id| (span, revision, *id)), keys);
        let panes = StringArray::from_iter_values(std::iter::repeat_n(pane, rows));
        self.put_together(spans, sorted, (panes, vec![revision; rows]), row_ids)
    }

    /// The groups of `table`, which tell each of its own, as rows in its order.
    pub(crate) fn told(
        &mut self,
        told: &[Told],
        pane: &str,
        mut table: Table,
        keys: &Keys,
        shape: &Shape,
    ) -> RecordBatch {
        let mut columns = keys.columns(table.groups.keys());
        columns.extend(table.evaluate(shape));
        let spans = told.iter().map(|told| (told.start, told.end)).unzip();
        let revisions = told.iter().map(|told| told.revision).collect();
        let row_ids = self.row_ids(told.iter().map(|told| ((told.born, i64::MAX), told.revision, told.key)), keys);
        let panes = StringArray::from_iter_values(std::iter::repeat_n(pane, told.len()));
        self.put_together(spans, columns, (panes, revisions), row_ids)
    }

    /// Rows of these spans, keys and aggregates, and what makes them recognisable.
    pub(super) fn put_together(
        &mut self,
        (starts, ends): (Vec<i64>, Vec<i64>),
        groups: Vec<ArrayRef>,
        (panes, revisions): (StringArray, Vec<i64>),
        row_ids: StringArray,
    ) -> RecordBatch {
        let mut columns = vec![instants(starts), instants(ends)];
        columns.extend(groups);
        columns.push(Arc::new(panes));
        columns.push(Arc::new(Int64Array::from(revisions)));
        columns.push(Arc::new(row_ids));
        RecordBatch::try_new(self.schema_of(&columns), columns).expect("the schema is made of the columns")
    }

    /// For each row, of this span, revision and key, the hash of the pipeline, the node, the span and the key, in
    /// hexadecimal: the same for every revision of a result, for ever. Where results add up none is a revision of another,
    /// and the number is hashed too.
    pub(super) fn row_ids(
        &self,
        rows: impl ExactSizeIterator<Item = ((i64, i64), i64, KeyId)>,
        keys: &Keys,
    ) -> StringArray {
        let ends = OffsetBuffer::from_repeated_length(HEX_DIGITS, rows.len());
        let mut digits = Vec::with_capacity(HEX_DIGITS * rows.len());
        let mut bytes = self.common.clone();
        for ((start, end), revision, key) in rows {
            bytes.truncate(self.common.len());
            bytes.extend_from_slice(&start.to_le_bytes());
            bytes.extend_from_slice(&end.to_le_bytes());
            if self.adds {
                bytes.extend_from_slice(&revision.to_le_bytes());
            }
            keys.write(key, &mut bytes);
            write_hex(xxh3_128(&bytes), &mut digits);
        }
        StringArray::new(ends, Buffer::from_vec(digits), None)
    }

    /// The schema of `columns`; equal ones share it.
    fn schema_of(&mut self, columns: &[ArrayRef]) -> SchemaRef {
        let fields =
            self.names.iter().zip(columns).map(|(name, column)| Field::new(name, column.data_type().clone(), true));
        let schema = Schema::new(fields.collect::<Vec<_>>());
        if *self.schema != schema {
            self.schema = Arc::new(schema);
        }
        self.schema.clone()
    }
}

/// Digits of a hash.
const HEX_DIGITS: usize = 32;

fn write_hex(hash: u128, digits: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in hash.to_be_bytes() {
        digits.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// A column of instants.
pub(crate) fn instants(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}
