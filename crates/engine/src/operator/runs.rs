//! The runs of one bucket of an operator that remembers rows: immutable, oldest first.
//!
//! A new run is merged with the one before it as long as that one is at most twice as long (a size-tiered log-structured
//! merge): n rows are in about log2(n) runs, each row was rewritten about as often, and a snapshot finds nearly all of
//! them where the last one left them.

use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, SchemaRef};
use weir_model::EventTime;

use crate::Run;
use crate::snapshot::run_id;

/// The runs of one bucket.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    runs: Vec<(Option<u64>, RecordBatch)>,
}

impl Runs {
    /// Adds rows; their columns are always the same.
    pub(crate) fn push(&mut self, rows: RecordBatch) {
        self.runs.push((None, rows));
        while let [.., (_, before), (_, last)] = &self.runs[..]
            && before.num_rows() <= 2 * last.num_rows()
        {
            let merged = concat_batches(&last.schema(), [before, last]).expect("the runs of a bucket are of one kind");
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push((None, merged));
        }
    }

    /// Gives every run the columns of `schema`; those that it does not have are null.
    pub(crate) fn widen(&mut self, schema: &SchemaRef) {
        for (id, batch) in &mut self.runs {
            let column = |field: &Arc<Field>| match batch.column_by_name(field.name()) {
                Some(values) => values.clone(),
                None => new_null_array(field.data_type(), batch.num_rows()),
            };
            let columns = schema.fields().iter().map(column).collect();
            *batch = RecordBatch::try_new(schema.clone(), columns).expect("the columns are of the fields' types");
            *id = None;
        }
    }

    /// Every run, named.
    pub(crate) fn seal(&mut self, (node, pane): (usize, i64), next_run: &mut u64) -> impl Iterator<Item = Run> {
        self.runs.iter_mut().map(move |(id, batch)| {
            let id = *id.get_or_insert_with(|| {
                *next_run += 1;
                run_id(*next_run, node, pane, batch)
            });
            Run { id, node, pane: EventTime::from_micros(pane), batch: batch.clone() }
        })
    }

    /// The names of the runs; they were sealed before.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.runs.iter().map(|(id, _)| id.expect("runs are named when they are sealed")).collect()
    }

    /// The runs with these names, out of all that a snapshot holds.
    ///
    /// # Errors
    /// When one is missing.
    pub(crate) fn restore(ids: &[u64], all: &[Run]) -> Result<Self, String> {
        let found = |id: &u64| {
            let run = all.iter().find(|run| run.id == *id).ok_or_else(|| format!("the run {id} is missing"))?;
            Ok((Some(*id), run.batch.clone()))
        };
        Ok(Self { runs: ids.iter().map(found).collect::<Result<_, String>>()? })
    }

    /// What is in them.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.runs.iter().map(|(_, batch)| batch)
    }

    /// About how many bytes they take.
    pub(crate) fn size(&self) -> usize {
        self.runs.iter().map(|(_, batch)| batch.get_array_memory_size()).sum()
    }
}
