//! What must be true of every [`Accumulator`], as a check that whoever writes one runs over values of theirs. Computes
//! nothing of its own, and finds values nowhere.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::{concat, take_arrays};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::Accumulator;

/// An aggregate under test.
pub struct Laws<'a> {
    /// Makes a new accumulator of it.
    pub make: &'a dyn Fn() -> Box<dyn Accumulator>,
    /// Which of its arguments are values: it must pass over rows in which one of these is null.
    pub values: usize,
    /// Whether two results are the same; [`same_bytes`] unless rounding is allowed for.
    pub same: &'a dyn Fn(&ArrayRef, &ArrayRef) -> bool,
}

/// Whether two results are the same to the bit.
pub fn same_bytes(left: &ArrayRef, right: &ArrayRef) -> bool {
    left.to_data() == right.to_data()
}

impl Laws<'_> {
    /// Checks that parts of a whole, each a list of arguments of one length, give what the whole gives however they are
    /// merged: in any order (commutative), in any nesting (associative), with their states written and read back; that a
    /// filter takes rows out, that nulls are passed over, that groups do not touch each other, and that an accumulator
    /// starts anew once its states or results were taken out.
    ///
    /// # Errors
    /// Which law does not hold, with both results.
    pub fn check(&self, parts: &[Vec<ArrayRef>]) -> Result<(), String> {
        let whole = joined(parts)?;
        let rows = whole.first().map_or(0, |column| column.len());
        let expected = self.result(&whole, rows, None);
        let agree = |law: &str, found: &ArrayRef| match (self.same)(found, &expected) {
            true => Ok(()),
            false => Err(format!("{law}: {found:?} where {expected:?} was expected")),
        };
        agree("a second accumulator computes the same", &self.result(&whole, rows, None))?;
        for (law, order, nested) in [
            ("parts one after the other are the whole", false, false),
            ("merging is commutative", true, false),
            ("merging is associative", false, true),
            ("merging is associative and commutative", true, true),
        ] {
            agree(law, &self.merged(parts, order, nested)?)?;
        }
        self.check_filter_and_nulls(&whole, rows, &agree)?;
        self.check_groups(&whole, rows, &expected)?;
        let mut again = (self.make)();
        again.update_batch(&whole, &vec![0; rows], None, 1);
        drop(again.state(1));
        again.update_batch(&whole, &vec![0; rows], None, 1);
        agree("it starts anew when its states were taken out", &again.evaluate(1))?;
        again.update_batch(&whole, &vec![0; rows], None, 1);
        agree("it starts anew when its results were taken out", &again.evaluate(1))?;
        let empty = (self.make)().evaluate(0);
        if empty.data_type() != expected.data_type() {
            return Err(format!("results are {} without groups, {} with", empty.data_type(), expected.data_type()));
        }
        Ok(())
    }

    fn result(&self, arguments: &[ArrayRef], rows: usize, filter: Option<&BooleanArray>) -> ArrayRef {
        let mut accumulator = (self.make)();
        accumulator.update_batch(arguments, &vec![0; rows], filter, 1);
        accumulator.evaluate(1)
    }

    fn merged(&self, parts: &[Vec<ArrayRef>], reverse: bool, nested: bool) -> Result<ArrayRef, String> {
        let state = |arguments: &Vec<ArrayRef>| {
            let mut accumulator = (self.make)();
            accumulator.update_batch(arguments, &vec![0; arguments.first().map_or(0, |one| one.len())], None, 1);
            through_bytes(&accumulator.state(1))
        };
        let merge = |states: &[Vec<ArrayRef>]| -> Result<Box<dyn Accumulator>, String> {
            let mut accumulator = (self.make)();
            states.iter().try_for_each(|state| accumulator.merge_batch(state, &[0], 1))?;
            Ok(accumulator)
        };
        let mut states = parts.iter().map(state).collect::<Result<Vec<_>, _>>()?;
        if reverse {
            states.reverse();
        }
        while nested && states.len() > 2 {
            let pairs = states.chunks(2).map(|pair| through_bytes(&merge(pair)?.state(1)));
            states = pairs.collect::<Result<_, _>>()?;
        }
        Ok(merge(&states)?.evaluate(1))
    }

    fn check_filter_and_nulls(
        &self,
        whole: &[ArrayRef],
        rows: usize,
        agree: &dyn Fn(&str, &ArrayRef) -> Result<(), String>,
    ) -> Result<(), String> {
        // Every row twice, of which the filter takes one.
        let twice: UInt32Array = (0..rows as u32 * 2).map(|row| row / 2).collect();
        let filter: BooleanArray = (0..rows * 2).map(|row| Some(row % 2 == 1)).collect();
        let doubled = take_arrays(whole, &twice, None).map_err(|error| error.to_string())?;
        agree("a filter takes rows out", &self.result(&doubled, rows * 2, Some(&filter)))?;
        if whole.is_empty() {
            return Ok(());
        }
        // The same rows, and as many in which one of the values is null.
        for index in 0..self.values {
            let nulls = whole.iter().enumerate().map(|(column, values)| match column == index {
                true => new_null_array(values.data_type(), rows),
                false => values.clone(),
            });
            let joined = joined(&[nulls.collect(), whole.to_vec()])?;
            agree("nulls are passed over", &self.result(&joined, rows * 2, None))?;
        }
        Ok(())
    }

    fn check_groups(&self, whole: &[ArrayRef], rows: usize, expected: &ArrayRef) -> Result<(), String> {
        let groups: Vec<u32> = (0..rows as u32 * 2).map(|row| if row % 2 == 0 { 2 } else { 0 }).collect();
        let twice: UInt32Array = (0..rows as u32 * 2).map(|row| row / 2).collect();
        let doubled = take_arrays(whole, &twice, None).map_err(|error| error.to_string())?;
        let nothing = (self.make)().evaluate(1);
        let mut accumulator = (self.make)();
        accumulator.update_batch(&doubled, &groups, None, 3);
        let mut merged = (self.make)();
        // Groups have other numbers where they are merged.
        merged.merge_batch(&through_bytes(&accumulator.state(3))?, &[1, 2, 0], 3)?;
        let results = merged.evaluate(3);
        for (group, wanted) in [(0, expected), (1, expected), (2, &nothing)] {
            let found = results.slice(group, 1);
            let found = concat(&[found.as_ref()]).map_err(|error| error.to_string())?;
            if !(self.same)(&found, wanted) {
                return Err(format!("group {group} of three is {found:?}, not {wanted:?}"));
            }
        }
        Ok(())
    }
}

fn joined(parts: &[Vec<ArrayRef>]) -> Result<Vec<ArrayRef>, String> {
    let columns = parts.first().map_or(0, Vec::len);
    let join = |column: usize| {
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part[column].as_ref()).collect();
        concat(&parts).map_err(|error| error.to_string())
    };
    (0..columns).map(join).collect()
}

/// Columns as they come back from where snapshots are kept.
fn through_bytes(columns: &[ArrayRef]) -> Result<Vec<ArrayRef>, String> {
    let fields = columns.iter().enumerate();
    let fields: Vec<Field> =
        fields.map(|(index, column)| Field::new(format!("s{index}"), column.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(columns.first().map_or(0, |column| column.len())));
    let through = || -> Result<Vec<ArrayRef>, ArrowError> {
        let batch = RecordBatch::try_new_with_options(schema.clone(), columns.to_vec(), &options)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        writer.write(&batch)?;
        let bytes = writer.into_inner()?;
        let read = StreamReader::try_new(Cursor::new(bytes), None)?.collect::<Result<Vec<_>, _>>()?;
        Ok(read.into_iter().flat_map(|batch| batch.columns().to_vec()).collect())
    };
    through().map_err(|error| error.to_string())
}
