//! Rows on disk for as long as a replay is kept: an Arrow stream with its size and checksum. Knows nothing of what differs.

use std::fs;
use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};
use weir_disk::{ChecksummedWriter, Disk, checksum_of};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::record::RowsFile;
use super::{Folder, failed};

/// Writes rows to a file.
pub(super) struct RowsWriter {
    name: String,
    writer: StreamWriter<ChecksummedWriter>,
    rows: u64,
}

fn broken(name: &str, error: arrow::error::ArrowError) -> SeamError {
    SeamError::caused(ErrorKind::Closed, format!("cannot write {name}"), error)
}

impl RowsWriter {
    pub(super) fn create(folder: &Folder, name: String, schema: &SchemaRef) -> SeamResult<Self> {
        let file = ChecksummedWriter::create(&Disk, &folder.inside(&name))?;
        let writer = StreamWriter::try_new(file, schema).map_err(|error| broken(&name, error))?;
        Ok(Self { name, writer, rows: 0 })
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> SeamResult<()> {
        self.rows += rows.num_rows() as u64;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.writer.write(rows).map_err(|error| broken(&self.name, error))
    }

    pub(super) fn finish(self) -> SeamResult<RowsFile> {
        let Self { name, writer, rows } = self;
        let mut file = writer.into_inner().map_err(|error| broken(&name, error))?;
        file.flush().map_err(|error| failed("write", std::path::Path::new(&name), error))?;
        let published = file.publish(&Disk)?;
        Ok(RowsFile { name, rows, bytes: published.bytes, checksum: published.checksum })
    }
}

/// The rows of a file, after comparing it with its size and checksum.
pub(super) fn read(
    folder: &Folder,
    file: &RowsFile,
) -> SeamResult<impl Iterator<Item = SeamResult<RecordBatch>> + use<>> {
    read_with_schema(folder, file).map(|(_, rows)| rows)
}

/// The same, with their columns.
pub(super) fn read_with_schema(
    folder: &Folder,
    file: &RowsFile,
) -> SeamResult<(SchemaRef, impl Iterator<Item = SeamResult<RecordBatch>> + use<>)> {
    let path = folder.inside(&file.name);
    let damaged = |why: String| {
        let message = format!("{} {why}: make the replay again", path.display());
        SeamError::new(ErrorKind::Corrupt, message)
    };
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(damaged("is missing".to_owned())),
        read => read.map_err(|error| failed("read", &path, error))?,
    };
    if bytes.len() as u64 != file.bytes || checksum_of(&bytes) != file.checksum {
        return Err(damaged("does not match its checksum".to_owned()));
    }
    let reader = StreamReader::try_new(std::io::Cursor::new(bytes), None);
    let reader = reader.map_err(|error| damaged(format!("cannot be read: {error}")))?;
    let unreadable =
        move |error| SeamError::caused(ErrorKind::Corrupt, format!("cannot read {}", path.display()), error);
    Ok((reader.schema(), reader.map(move |batch| batch.map_err(&unreadable))))
}

/// A row as people read it; nulls are left out.
pub(super) fn shown(batch: &RecordBatch, row: usize) -> Map<String, Value> {
    let fields = batch.schema_ref().fields().iter().zip(batch.columns());
    let there = fields.filter(|(_, column)| column.is_valid(row));
    there.map(|(field, column)| (field.name().clone(), value(column, row))).collect()
}

fn value(column: &ArrayRef, row: usize) -> Value {
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        _ => {
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(column, &options);
            formatter.map_or(Value::Null, |formatter| formatter.value(row).to_string().into())
        }
    }
}
