//! Batches of columns as Flight sends and takes them: each as an Arrow IPC message, head and body apart.

use std::collections::VecDeque;
use std::io;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{
    DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use bytes::{BufMut, Bytes, BytesMut};
use weir_query::encode::Plain;

use super::grpc::{Code, Failure, framed};
use super::message::{FlightData, Given};

/// Bytes of a message; only a single row may have more. Clients written in Go take 4 MiB unless told otherwise.
const MESSAGE_BYTES: usize = 2 << 20;
/// Rows of parameters of one execution.
const PARAMETER_ROWS_MAX: usize = 1;

/// Writes the batches of one answer.
pub(super) struct Writer {
    plain: Plain,
    dictionaries: DictionaryTracker,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl Writer {
    /// A writer of batches that have these columns in their plain form, and its first message.
    pub(super) fn new(plain: Plain) -> (Self, Bytes) {
        let (mut dictionaries, options) = (DictionaryTracker::new(false), IpcWriteOptions::default());
        let generator = IpcDataGenerator {};
        let head = generator.schema_to_bytes_with_dictionary_tracker(plain.schema(), &mut dictionaries, &options);
        let first = framed(&flight_data(head));
        (Self { plain, dictionaries, options, context: IpcWriteContext::default() }, first)
    }

    /// The messages of a batch.
    pub(super) fn batch(&mut self, batch: &RecordBatch, out: &mut VecDeque<Bytes>) -> Result<(), Failure> {
        let batch = self.plain.batch(batch).map_err(|error| internal(&error))?;
        self.pieces(&batch, out)
    }

    fn pieces(&mut self, batch: &RecordBatch, out: &mut VecDeque<Bytes>) -> Result<(), Failure> {
        let generator = IpcDataGenerator {};
        let encoded = generator.encode(batch, &mut self.dictionaries, &self.options, &mut self.context);
        let (dictionaries, rows) = encoded.map_err(|error| internal(&io::Error::other(error)))?;
        if rows.arrow_data.len() > MESSAGE_BYTES && batch.num_rows() > 1 {
            let half = batch.num_rows() / 2;
            self.pieces(&batch.slice(0, half), out)?;
            return self.pieces(&batch.slice(half, batch.num_rows() - half), out);
        }
        out.extend(dictionaries.into_iter().chain([rows]).map(|encoded| framed(&flight_data(encoded))));
        Ok(())
    }
}

fn flight_data(encoded: EncodedData) -> FlightData {
    FlightData { descriptor: None, head: encoded.ipc_message.into(), body: encoded.arrow_data.into() }
}

fn internal(error: &io::Error) -> Failure {
    Failure::new(Code::Internal, format!("the answer cannot be written: {error}"))
}

/// A schema as it stands in messages about answers: an IPC message with its prefix.
pub(super) fn schema_message(schema: &Schema) -> Bytes {
    let (mut dictionaries, options) = (DictionaryTracker::new(false), IpcWriteOptions::default());
    let generator = IpcDataGenerator {};
    let encoded = generator.schema_to_bytes_with_dictionary_tracker(schema, &mut dictionaries, &options);
    let mut bytes = Vec::new();
    write_message(&mut bytes, encoded, &options).expect("a vector takes everything");
    bytes.into()
}

/// The columns of an answer, in their plain form.
pub(super) fn plain_schema(schema: &SchemaRef) -> Bytes {
    schema_message(Plain::of(schema).schema())
}

/// The values of placeholders, which come as one row, column by column.
pub(super) fn parameters(sent: &[FlightData]) -> Result<Vec<Given>, Failure> {
    let mut decoder = StreamDecoder::new();
    let mut rows = Vec::new();
    for data in sent.iter().filter(|data| !data.head.is_empty()) {
        let mut bytes = Buffer::from(whole(data));
        while !bytes.is_empty() {
            let decoded = decoder.decode(&mut bytes);
            let decoded = decoded.map_err(|error| Failure::invalid(format!("the parameters are no Arrow: {error}")))?;
            rows.extend(decoded);
        }
    }
    let count: usize = rows.iter().map(RecordBatch::num_rows).sum();
    if count > PARAMETER_ROWS_MAX {
        let message = format!("{count} rows of parameters are sent; a question takes one, so ask it once for each");
        return Err(Failure::unimplemented(message));
    }
    match rows.iter().find(|rows| rows.num_rows() > 0) {
        Some(row) => row.columns().iter().enumerate().map(given).collect(),
        None => Ok(Vec::new()),
    }
}

/// The IPC message with the prefix that it has in files and streams.
fn whole(data: &FlightData) -> Bytes {
    const CONTINUES: u32 = 0xffff_ffff;
    const ALIGNMENT: usize = 8;
    let padded = data.head.len().next_multiple_of(ALIGNMENT);
    let mut bytes = BytesMut::with_capacity(ALIGNMENT + padded + data.body.len());
    bytes.put_u32_le(CONTINUES);
    bytes.put_u32_le(u32::try_from(padded).unwrap_or(u32::MAX));
    bytes.put_slice(&data.head);
    bytes.put_bytes(0, padded - data.head.len());
    bytes.put_slice(&data.body);
    bytes.freeze()
}

fn given((index, column): (usize, &ArrayRef)) -> Result<Given, Failure> {
    if column.is_null(0) || column.data_type() == &DataType::Null {
        return Ok(Given { value: None });
    }
    let text = cast(&column.slice(0, 1), &DataType::Utf8).map_err(|_| {
        let message = format!("${} is a {}; parameters are single values", index + 1, column.data_type());
        Failure::invalid(message)
    })?;
    use arrow::array::AsArray;
    Ok(Given { value: Some(text.as_string::<i32>().value(0).to_owned()) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Int32Type;
    use prost::Message;

    use super::*;

    fn sent(batch: &RecordBatch) -> (Vec<FlightData>, Vec<usize>) {
        let (mut writer, first) = Writer::new(Plain::of(&batch.schema()));
        let mut frames = VecDeque::from([first]);
        writer.batch(batch, &mut frames).expect("it can be written");
        let sizes = frames.iter().map(Bytes::len).collect();
        let data = frames.into_iter().map(|frame| FlightData::decode(frame.slice(5..)).expect("it is ours"));
        (data.collect(), sizes)
    }

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("the columns are equally long")
    }

    #[test]
    fn a_row_of_parameters_is_read_as_it_was_sent() {
        let (data, _) = sent(&batch(vec![
            ("a", Arc::new(StringViewArray::from(vec!["it's"]))),
            ("b", Arc::new(Int64Array::from(vec![i64::MIN]))),
            ("c", Arc::new(StringArray::from(vec![None::<&str>]))),
        ]));
        let values: Vec<_> = parameters(&data).expect("they are right").into_iter().map(|given| given.value).collect();
        assert_eq!(values, [Some("it's".to_owned()), Some("-9223372036854775808".to_owned()), None]);
    }

    #[test]
    fn lists_several_rows_and_what_is_no_arrow_are_refused() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1)])]);
        let (two, _) = sent(&batch(vec![("a", Arc::new(Int64Array::from(vec![1, 2])))]));
        assert_eq!(parameters(&two).expect_err("two rows").code, Code::Unimplemented);
        let (data, _) = sent(&batch(vec![("a", Arc::new(list))]));
        let told = parameters(&data).map(|given| given.into_iter().map(|given| given.value).collect::<Vec<_>>());
        assert!(told.as_ref().is_err() || told == Ok(vec![Some("[1]".to_owned())]), "{told:?}");
        let noise = FlightData { descriptor: None, head: Bytes::from_static(&[7; 64]), body: Bytes::new() };
        assert!(parameters(&[noise]).expect_err("noise").message.contains("no Arrow"));
    }

    #[test]
    fn large_batches_are_sent_in_pieces_that_every_client_takes() {
        let text = "x".repeat(1 << 10);
        let rows = batch(vec![("a", Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&text, 20_000))))]);
        let (_, sizes) = sent(&rows);
        assert!(sizes.len() > 8 && sizes.iter().all(|size| *size < 3 << 20), "{sizes:?}");
    }
}
