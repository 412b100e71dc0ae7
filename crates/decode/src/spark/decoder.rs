//! Makes rows of Spark's log events: reads each record, adds what its partition has said before, dates the undated.

use hashbrown::HashMap;

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::record_batch::RecordBatchOptions;
use weir_model::{
    Batch, Decoded, Decoder, ErrorKind, EventTime, PartitionId, Raw, RecordSpan, Remembers, SeamError, SeamResult,
    Wanted,
};

use super::columns::{Row, SparkColumns};
use super::cri::{unwrap, unwrap_all};
use super::event::Event;
use super::memory::Memory;
use super::record::read;
use crate::reject::{rejected, too_long, without_mark};
use crate::utf8::Utf8;
use crate::{SparkLogConfig, Zone};

/// Decodes Spark's logs. Remembers a few words of each partition.
#[derive(Debug)]
pub(crate) struct SparkDecoder {
    zone: Zone,
    is_timed: bool,
    not_before: EventTime,
    columns: SparkColumns,
    memories: HashMap<PartitionId, Memory>,
    times: Vec<i64>,
    offsets: Vec<u64>,
}

impl SparkDecoder {
    pub(crate) fn new(config: &SparkLogConfig, wanted: &Wanted) -> SeamResult<Self> {
        if let Some(field) = wanted.time_field.as_deref().filter(|field| *field != "ts") {
            let message = format!("the time of a spark_log is in the field ts, not in \"{field}\"");
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        Ok(Self {
            zone: config.zone,
            is_timed: wanted.time_field.is_some(),
            not_before: wanted.not_before,
            columns: SparkColumns::new(&wanted.fields)?,
            memories: HashMap::new(),
            times: Vec::new(),
            offsets: Vec::new(),
        })
    }

    /// The time of the first dated record of `raw`, for the undated ones before it.
    fn first_time(&self, raw: &Raw, utf8: Utf8) -> Option<i64> {
        let times =
            raw.records.iter().filter(|span| !span.is_truncated() && utf8.fault(raw, span).is_none()).filter_map(
                |span| {
                    let (record, _) = without_mark(raw.record(span));
                    let made = unwrap(first_line(record)).map(|_| unwrap_all(record));
                    read(made.as_deref().unwrap_or(record), self.zone).micros
                },
            );
        { times }.find(|micros| *micros >= self.not_before.micros())
    }

    /// Reads one record and appends its row, or says why not.
    fn row(&mut self, raw: &Raw, span: &RecordSpan, memory: &mut Memory, ahead: Option<i64>) -> Result<(), String> {
        let (record, _) = without_mark(raw.record(span));
        let wrapped = unwrap(first_line(record));
        let made = wrapped.map(|_| unwrap_all(record));
        let event: Event<'_> = read(made.as_deref().unwrap_or(record), self.zone);
        let undated =
            || memory.micros.or(ahead).or(wrapped.map(|line| line.micros)).or(raw.fallback_time.map(EventTime::micros));
        let micros = event.micros.or_else(undated);
        match micros {
            None if self.is_timed => {
                return Err("the record has no date, none of its partition was dated before or after it, and the source knows no time for it".to_owned());
            }
            Some(micros) if self.is_timed && micros < self.not_before.micros() => {
                let time = EventTime::from_micros(micros);
                return Err(format!("time field \"ts\" is {time}, which is before not_before {}", self.not_before));
            }
            Some(_) | None => {}
        }
        memory.learn(&event);
        memory.micros = event.micros.or(memory.micros);
        let row = Row { event: &event, micros, memory, origin: &raw.origin, offset: span.offset.0 };
        self.columns.push(row, &raw.bytes);
        self.times.extend(micros.filter(|_| self.is_timed));
        self.offsets.push(span.offset.0);
        Ok(())
    }

    fn finish(&mut self, raw: &Raw) -> Batch {
        let offsets = ScalarBuffer::from(std::mem::take(&mut self.offsets));
        let times = ScalarBuffer::from(std::mem::take(&mut self.times));
        let arrays = self.columns.finish(&Buffer::from(raw.bytes.clone()));
        let options = RecordBatchOptions::new().with_row_count(Some(offsets.len()));
        let columns = RecordBatch::try_new_with_options(self.columns.schema.clone(), arrays, &options)
            .expect("columns are built for this schema, one entry per row");
        Batch { partition: raw.partition.clone(), origin: raw.origin.clone(), columns, times, offsets }
    }
}

/// The first line of `record` that is not blank.
fn first_line(record: &[u8]) -> &[u8] {
    let is_blank = |line: &[u8]| match unwrap(line) {
        Some(wrapped) => wrapped.text.trim_ascii().is_empty(),
        None => line.trim_ascii().is_empty(),
    };
    let lines = record.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    { lines }.find(|line| !is_blank(line)).unwrap_or_default()
}

impl Decoder for SparkDecoder {
    fn remembers(&self) -> Remembers {
        Remembers::Partition
    }

    fn decode(&mut self, raw: &Raw) -> Decoded {
        let mut decoded = Decoded::default();
        let utf8 = Utf8::of(&raw.bytes);
        let mut memory = self.memories.remove(&raw.partition).unwrap_or_default().with_path(&raw.origin);
        let ahead = if memory.micros.is_none() { self.first_time(raw, utf8) } else { None };
        for span in &raw.records {
            let row = if span.is_truncated() {
                Err(too_long(span))
            } else {
                match utf8.fault(raw, span) {
                    Some(fault) => Err(fault),
                    None => self.row(raw, span, &mut memory, ahead),
                }
            };
            if let Err(reason) = row {
                decoded.rejected.push(rejected(raw, span, reason));
            }
        }
        self.memories.insert(raw.partition.clone(), memory);
        if !self.offsets.is_empty() {
            decoded.batches.push(self.finish(raw));
        }
        decoded
    }

    fn carry(&self, partition: &PartitionId) -> Option<String> {
        let memory = self.memories.get(partition)?;
        Some(serde_json::to_string(memory).expect("numbers and strings are always JSON"))
    }

    fn restore(&mut self, partition: &PartitionId, carried: &str) {
        if let Ok(memory) = serde_json::from_str::<Memory>(carried) {
            self.memories.insert(partition.clone(), memory);
        }
    }
}
