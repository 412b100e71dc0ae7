//! Names for rows that are no results: late rows and dead letters. The same record gives the same name whenever it is read, so
//! that whoever gets it twice (from an output that delivers at least once) can tell. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use xxhash_rust::xxh3::xxh3_128;

use crate::encode::ndjson;

/// The column that names a row for ever.
pub(crate) const ROW_ID: &str = "row_id";
/// The column that says how late a row was: by the watermark, which may stand elsewhere the next time.
const LATE_BY: &str = "late_by_ms";

/// Names what it is told, and tells apart what is said twice at a time.
#[derive(Default)]
pub(crate) struct Names {
    seen: HashMap<u128, u64>,
}

impl Names {
    /// The name of what `parts` say.
    pub(crate) fn name(&mut self, parts: &[&[u8]]) -> String {
        let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        let times = self.seen.entry(xxh3_128(&bytes)).or_default();
        bytes.extend_from_slice(&times.to_le_bytes());
        *times += 1;
        format!("{:032x}", xxh3_128(&bytes))
    }
}

/// Late rows of the step `step` of `pipeline` with a column `row_id`: a hash of the pipeline, the step, where the record
/// begins and what the row says. Rows that were made by a step come from no record, and have none.
pub fn with_row_ids(rows: &RecordBatch, pipeline: &str, step: &str) -> RecordBatch {
    if rows.column_by_name(ROW_ID).is_some() {
        return rows.clone();
    }
    let schema = rows.schema_ref();
    let said: Vec<usize> = (0..rows.num_columns()).filter(|index| schema.field(*index).name() != LATE_BY).collect();
    let mut text = Vec::new();
    if let Ok(said) = rows.project(&said) {
        ndjson(&said, &mut text);
    }
    let offsets = rows.column_by_name("source_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
    let mut names = Names::default();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let name = |(row, line): (usize, &[u8])| {
        let offset = offsets.filter(|offsets| offsets.is_valid(row))?.value(row);
        Some(names.name(&[b"late", pipeline.as_bytes(), step.as_bytes(), &offset.to_le_bytes(), line]))
    };
    let ids: StringArray = lines.enumerate().map(name).collect();
    if ids.len() != rows.num_rows() {
        return rows.clone();
    }
    let fields = schema.fields().iter().cloned().chain([Arc::new(Field::new(ROW_ID, DataType::Utf8, true))]);
    let columns = rows.columns().iter().cloned().chain([Arc::new(ids) as ArrayRef]).collect();
    let named = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns);
    named.unwrap_or_else(|_| rows.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    fn late(rows: &[(&str, Option<i64>, i64)]) -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)));
        let offsets: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>());
        let late_by: ArrayRef = Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Int64Array>());
        RecordBatch::try_from_iter([("text", texts), ("source_offset", offsets), ("late_by_ms", late_by)])
            .expect("a batch")
    }

    fn ids(rows: &RecordBatch, step: &str) -> Vec<Option<String>> {
        let named = with_row_ids(rows, "p", step);
        let ids = named.column_by_name(ROW_ID).expect("named").as_string::<i32>().clone();
        ids.iter().map(|id| id.map(str::to_owned)).collect()
    }

    #[test]
    fn a_late_row_has_the_same_name_however_batches_are_cut_and_however_late_it_was() {
        let all = ids(&late(&[("a", Some(1), 5), ("b", Some(1), 5), ("a", Some(2), 5)]), "w");
        let apart = [ids(&late(&[("a", Some(1), 9)]), "w"), ids(&late(&[("b", Some(1), 1), ("a", Some(2), 7)]), "w")];
        assert_eq!(all, apart.concat());
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "three rows, three names");
        assert_ne!(all[..1], ids(&late(&[("a", Some(1), 5)]), "another step"));
    }

    #[test]
    fn rows_of_one_record_that_say_the_same_are_told_apart_and_rows_of_no_record_have_no_name() {
        let twice = ids(&late(&[("a", Some(1), 5), ("a", Some(1), 5)]), "w");
        assert!(twice[0].is_some() && twice[0] != twice[1]);
        assert_eq!(ids(&late(&[("a", None, 5)]), "w"), [None]);
    }
}
