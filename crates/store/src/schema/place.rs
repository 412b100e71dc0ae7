//! Puts batches into a table's columns: for writing, where a value that fits nowhere goes to `_rest`, and for reading,
//! where everything is known to fit.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Fields, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::rest::{Misfit, into_rest};
use super::{REST_COLUMN, fits, grow, plain_fields, schema_of};

/// The same rows with the types that tables have: strings as `Utf8View`, integers as `Int64`, times as microseconds
/// UTC; columns of nulls are left out.
pub(crate) fn plain(batch: &RecordBatch) -> SeamResult<RecordBatch> {
    let schema = batch.schema();
    let fields = plain_fields(schema.fields());
    if &fields == schema.fields() && schema.metadata().is_empty() {
        return Ok(batch.clone());
    }
    adapt(batch, &schema_of(fields))
}

/// Makes `batch` fit `schema`: columns by name in its order, missing ones null, `Int64` as `Float64` and strings of
/// any kind as the schema says. Columns that the schema does not have are left out.
///
/// # Errors
/// `Corrupt` when a column cannot be made to fit.
pub fn adapt(batch: &RecordBatch, schema: &SchemaRef) -> SeamResult<RecordBatch> {
    if batch.schema_ref() == schema {
        return Ok(batch.clone());
    }
    let rows = batch.num_rows();
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => fitted(column, field.data_type()).map_err(|error| {
            let (name, to, from) = (field.name(), field.data_type(), column.data_type());
            SeamError::caused(ErrorKind::Corrupt, format!("column \"{name}\" should be {to} and is {from}"), error)
        }),
        None => Ok(new_null_array(field.data_type(), rows)),
    });
    let columns = columns.collect::<SeamResult<Vec<_>>>()?;
    with_rows(schema, columns, rows)
}

fn with_rows(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> SeamResult<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| SeamError::caused(ErrorKind::Corrupt, "columns do not make a batch", error))
}

/// `array` as `to`, where no value may be lost on the way.
fn fitted(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), to) {
        (from, to) if from == to => Ok(Arc::clone(array)),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let rows = array.as_struct();
            let children = fields.iter().map(|field| match rows.column_by_name(field.name()) {
                Some(child) => fitted(child, field.data_type()),
                None => Ok(new_null_array(field.data_type(), rows.len())),
            });
            struct_of(fields, children.collect::<Result<_, _>>()?, rows)
        }
        (DataType::List(_), DataType::List(item)) => {
            let lists = array.as_list::<i32>();
            let values = fitted(lists.values(), item.data_type())?;
            let lists = ListArray::try_new(Arc::clone(item), lists.offsets().clone(), values, lists.nulls().cloned())?;
            Ok(Arc::new(lists))
        }
        (DataType::Timestamp(_, zone), DataType::Timestamp(unit, Some(to_zone))) => {
            let same_zone = DataType::Timestamp(*unit, zone.clone());
            let micros = cast_with_options(array, &same_zone, &CastOptions { safe: false, ..CastOptions::default() })?;
            Ok(in_zone(&micros, to_zone))
        }
        _ => cast_with_options(array, to, &CastOptions { safe: false, ..CastOptions::default() }),
    }
}

/// The same microseconds under the name of another zone. A timestamp is an instant whatever its zone, and one without
/// a zone is taken to be UTC; a cast would want to look the zone up.
pub(super) fn in_zone(array: &ArrayRef, zone: &str) -> ArrayRef {
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => Arc::new(times.clone().with_timezone(zone)),
        None => Arc::clone(array),
    }
}

fn struct_of(fields: &Fields, children: Vec<ArrayRef>, like: &StructArray) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), children, like.nulls().cloned(), like.len())?))
}

/// Puts the plain `batch` into a table that has the columns `table`: returns it with the columns it has now, and the
/// table's columns as they must be to hold it. Values of a type that their column cannot take go to `_rest`.
pub(crate) fn place(batch: RecordBatch, table: &Fields) -> SeamResult<(RecordBatch, Fields)> {
    let grown = grow(table, batch.schema_ref().fields());
    if batch.schema_ref().fields().iter().all(|field| holds(&grown, field.name(), field.data_type())) {
        return Ok((batch, grown));
    }
    let grown = grow(&grown, &Fields::from(vec![super::Field::new(REST_COLUMN, DataType::Utf8View, true)]));
    let rows = batch.num_rows();
    let mut misfits = Vec::new();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    let mut rest: Option<ArrayRef> = None;
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if field.name() == REST_COLUMN {
            rest = Some(Arc::clone(column));
        } else if let Some((_, to)) = grown.find(field.name())
            && let Some(kept) = separate(column, to.data_type(), &[field.name()], &mut misfits).map_err(unplaced)?
        {
            fields.push(super::Field::new(field.name(), kept.data_type().clone(), true));
            columns.push(kept);
        }
    }
    fields.push(super::Field::new(REST_COLUMN, DataType::Utf8View, true));
    columns.push(into_rest(rest.as_ref(), &misfits, rows)?);
    Ok((with_rows(&schema_of(fields.into()), columns, rows)?, grown))
}

fn unplaced(error: ArrowError) -> SeamError {
    SeamError::caused(ErrorKind::Closed, "cannot put rows into their table's columns", error)
}

fn holds(table: &Fields, name: &str, seen: &DataType) -> bool {
    table.find(name).is_some_and(|(_, field)| fits(seen, field.data_type()))
}

/// The part of `column` that fits `to`; the rest of it, by its path, goes to `misfits`.
fn separate(
    column: &ArrayRef,
    to: &DataType,
    path: &[&str],
    misfits: &mut Vec<Misfit>,
) -> Result<Option<ArrayRef>, ArrowError> {
    if fits(column.data_type(), to) {
        return Ok(Some(Arc::clone(column)));
    }
    if let (DataType::Struct(from), DataType::Struct(to)) = (column.data_type(), to) {
        let rows = column.as_struct();
        let (mut fields, mut children) = (Vec::new(), Vec::new());
        for (field, child) in from.iter().zip(rows.columns()) {
            let Some((_, to)) = to.find(field.name()) else { continue };
            let path = [path, &[field.name().as_str()]].concat();
            // A null struct's children may hold anything: only what is visible counts.
            let visible = arrow::compute::nullif(child, &not_valid(rows)?)?;
            if let Some(kept) = separate(&visible, to.data_type(), &path, misfits)? {
                fields.push(super::Field::new(field.name(), kept.data_type().clone(), true));
                children.push(kept);
            }
        }
        return struct_of(&fields.into(), children, rows).map(Some);
    }
    let path = path.iter().map(|&part| part.to_owned()).collect();
    misfits.push(Misfit { path, values: Arc::clone(column) });
    Ok(None)
}

fn not_valid(array: &StructArray) -> Result<arrow::array::BooleanArray, ArrowError> {
    arrow::compute::is_null(array)
}
