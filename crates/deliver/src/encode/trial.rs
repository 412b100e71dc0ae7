//! What tests of formats with schemas share: rows of every type, and rows read back by the decoder of the same format.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
    Float32Array, Float64Array, Int32Array, Int64Array, ListArray, MapArray, NullArray, StringArray, StructArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, i256};
use arrow::record_batch::RecordBatch;
use weir_decode::FormatConfig;
use weir_model::{Decoded, EventTime, Fields as Wants, Offset, PartitionId, Position, Raw, RecordSpan, Wanted};

use super::ndjson;

/// Two rows: one with a value of every type, one that is null throughout.
pub(super) fn rows() -> RecordBatch {
    let struct_fields =
        Fields::from(vec![Field::new("name", DataType::Utf8, true), Field::new("born", DataType::Date32, true)]);
    let name: ArrayRef = Arc::new(StringArray::from(vec![Some("Żaneta"), None]));
    let born: ArrayRef = Arc::new(Date32Array::from(vec![Some(-1), None]));
    let customer = StructArray::new(struct_fields, vec![name, born], Some(vec![true, false].into()));
    let items: ArrayRef = Arc::new(Int64Array::from(vec![1, -2, 3]));
    let item = Arc::new(Field::new("item", DataType::Int64, true));
    let list = ListArray::new(item, OffsetBuffer::from_lengths([3, 0]), items, Some(vec![true, false].into()));
    let entry =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Float64, true)]);
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![0.5, -1.0]));
    let entries = StructArray::new(entry.clone(), vec![keys, values], None);
    let entries_field = Arc::new(Field::new("entries", DataType::Struct(entry), false));
    let map = MapArray::new(
        entries_field,
        OffsetBuffer::from_lengths([2, 0]),
        entries,
        Some(vec![true, false].into()),
        false,
    );
    let status: DictionaryArray<Int32Type> = vec![Some("paid"), None].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("small", Arc::new(Int32Array::from(vec![Some(i32::MIN), None]))),
        ("whole", Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        ("large", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("short", Arc::new(Float32Array::from(vec![Some(0.5), None]))),
        ("float", Arc::new(Float64Array::from(vec![Some(1e300), None]))),
        ("text", Arc::new(StringArray::from(vec![Some("漢\n"), None]))),
        ("status", Arc::new(status)),
        ("bytes", Arc::new(BinaryViewArray::from(vec![Some(&b"\xff\x00"[..]), None]))),
        ("day", Arc::new(Date32Array::from(vec![Some(20_000), None]))),
        ("clock", Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), None]))),
        ("millis", Arc::new(TimestampMillisecondArray::from(vec![Some(-1), None]).with_timezone("UTC"))),
        ("micros", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None]).with_timezone("UTC"))),
        ("nanos", Arc::new(TimestampNanosecondArray::from(vec![Some(-1), None]).with_timezone("UTC"))),
        ("local", Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None]))),
        (
            "price",
            Arc::new(Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(9, 2).expect("it fits")),
        ),
        (
            "huge",
            Arc::new(
                Decimal256Array::from(vec![Some(i256::from_i128(i128::MAX)), None])
                    .with_precision_and_scale(60, 10)
                    .expect("it fits"),
            ),
        ),
        ("customer", Arc::new(customer)),
        ("items", Arc::new(list)),
        ("tags.of it", Arc::new(map)),
        ("nothing", Arc::new(NullArray::new(2))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// What came of writing rows: the bytes of each, or why it does not fit, or why none can.
pub(super) fn told(records: Result<Vec<Result<Vec<u8>, String>>, String>) -> String {
    match records {
        Err(reason) => format!("none: {reason}"),
        Ok(records) => {
            let shown = records.into_iter().map(|record| match record {
                Ok(bytes) => format!("{bytes:?}"),
                Err(reason) => reason,
            });
            shown.collect::<Vec<_>>().join("\n")
        }
    }
}

/// Records as their decoder reads them, as JSON lines; then why others were rejected.
pub(super) fn read_back(format: &FormatConfig, records: &[Vec<u8>]) -> String {
    let (mut bytes, mut spans) = (Vec::new(), Vec::new());
    for (offset, record) in records.iter().enumerate() {
        let (start, end) = (bytes.len() as u32, (bytes.len() + record.len()) as u32);
        bytes.extend_from_slice(record);
        spans.push(RecordSpan { start, end, offset: Offset(offset as u64), original_bytes: record.len() as u64 });
    }
    let raw = Raw {
        partition: PartitionId::new("p"),
        origin: "p".into(),
        bytes: bytes.into(),
        records: spans,
        next: Position::default(),
        fallback_time: None,
    };
    let not_before = EventTime::from_micros(0);
    let wanted = Wanted { time_field: None, not_before, fields: Wants::All, declared: Vec::new() };
    let decoded: Decoded = format.decoder(wanted).expect("a decoder").decode(&raw);
    let mut out = Vec::new();
    for batch in &decoded.batches {
        ndjson(&batch.columns, &mut out);
    }
    let rejected: String = decoded.rejected.iter().map(|rejected| format!("{}\n", rejected.reason)).collect();
    String::from_utf8(out).expect("JSON is text") + &rejected
}

/// One column of text.
pub(super) fn texts(name: &str, texts: &[Option<&str>]) -> RecordBatch {
    let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    RecordBatch::try_from_iter([(name, column)]).expect("a column")
}

/// One column of whole numbers.
pub(super) fn wholes(name: &str, numbers: &[Option<i64>]) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
    assert!(column.as_primitive_opt::<arrow::datatypes::Int64Type>().is_some());
    RecordBatch::try_from_iter([(name, column)]).expect("a column")
}
