//! JSON when a plan needs certain fields: one walk over each line, in which everything else is checked and skipped.
//! Builds no value that is not asked for, and no tree.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::{Buffer, ScalarBuffer};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use weir_model::{Batch, Decoded, Decoder, Raw, Remembers, SeamResult, Wanted, WantedField};

use super::clock::RecordClock;
use super::column::Column;
use super::fault::{Misfit, explain};
use super::paths::Paths;
use super::scan::Scanner;
use crate::reject::{rejected, too_long};
use crate::utf8::Utf8;
use crate::{JsonConfig, JsonFraming, Zone};

/// Decodes the fields of a plan. All buffers are kept from batch to batch.
#[derive(Debug)]
pub(crate) struct ProjectedDecoder {
    paths: Paths,
    clock: Option<(RecordClock, u32)>,
    fields: Vec<ProjectedField>,
    schema: SchemaRef,
    zone: Zone,
    framing: Option<JsonFraming>,
    times: Vec<i64>,
    offsets: Vec<u64>,
}

#[derive(Debug)]
struct ProjectedField {
    name: Arc<str>,
    /// Which of the paths it is.
    path: u32,
    /// `None` for the time field itself, whose values are in `times`.
    column: Option<Column>,
}

impl ProjectedDecoder {
    pub(crate) fn new(config: &JsonConfig, wanted: &Wanted, these: &[WantedField]) -> SeamResult<Self> {
        let JsonConfig { zone, framing } = *config;
        let mut paths = Paths::default();
        let clock = wanted
            .time_field
            .as_ref()
            .map(|name| (RecordClock::new(name.clone(), wanted.not_before, zone), paths.add(name)));
        let mut fields = Vec::with_capacity(these.len());
        let mut schema = Vec::with_capacity(these.len());
        for field in these {
            let column = Column::new(&field.name, &field.kind)?;
            schema.push(arrow::datatypes::Field::new(&*field.name, column.data_type(), true));
            let path = paths.add(&field.name);
            let is_clock = matches!(column, Column::Time(_)) && clock.as_ref().is_some_and(|(_, time)| *time == path);
            fields.push(ProjectedField { name: field.name.clone(), path, column: (!is_clock).then_some(column) });
        }
        Ok(Self {
            paths,
            clock,
            fields,
            schema: Arc::new(Schema::new(schema)),
            zone,
            framing,
            times: Vec::new(),
            offsets: Vec::new(),
        })
    }

    /// Walks over one record and appends its row, or says what is wrong with it and appends nothing.
    #[inline]
    fn row(&mut self, record: &[u8], base: u32) -> Result<(), String> {
        self.paths.read(&mut Scanner::new(record, 0)).map_err(|fault| explain(record, fault))?;
        let time = match &mut self.clock {
            Some((clock, path)) => Some(clock.read(record, self.paths.found(*path))?),
            None => None,
        };
        for i in 0..self.fields.len() {
            let field = &mut self.fields[i];
            let Some(column) = &mut field.column else { continue };
            let found = self.paths.found(field.path);
            if let Err(misfit) = column.push(record, base, found, self.zone) {
                return Err(self.take_back(i, record, misfit));
            }
        }
        self.times.extend(time);
        Ok(())
    }

    /// Cuts off what the fields before `failed` have already got of the bad row.
    #[cold]
    fn take_back(&mut self, failed: usize, record: &[u8], misfit: Misfit) -> String {
        let rows = self.offsets.len();
        for column in self.fields[..failed].iter_mut().filter_map(|field| field.column.as_mut()) {
            column.truncate(rows);
        }
        misfit.explain(&self.fields[failed].name, record)
    }

    fn finish(&mut self, raw: &Raw) -> Batch {
        let rows = self.offsets.len();
        let times = ScalarBuffer::from(std::mem::replace(&mut self.times, Vec::with_capacity(rows)));
        let offsets = ScalarBuffer::from(std::mem::replace(&mut self.offsets, Vec::with_capacity(rows)));
        let buffer = Buffer::from(raw.bytes.clone());
        let arrays: Vec<ArrayRef> = self
            .fields
            .iter_mut()
            .map(|field| match &mut field.column {
                Some(column) => column.finish(&buffer),
                None => crate::columns::time_array(times.clone(), None),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let columns = RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .expect("columns are built for this schema, one entry per row");
        Batch { partition: raw.partition.clone(), origin: raw.origin.clone(), columns, times, offsets }
    }
}

impl Decoder for ProjectedDecoder {
    fn remembers(&self) -> Remembers {
        Remembers::Nothing
    }

    fn decode(&mut self, raw: &Raw) -> Decoded {
        let mut decoded = Decoded::default();
        let utf8 = Utf8::of(&raw.bytes);
        for span in &raw.records {
            let row = if span.is_truncated() {
                Err(too_long(span))
            } else {
                JsonConfig::payload(self.framing, raw.record(span)).and_then(|(record, before)| {
                    match utf8.fault_in(record) {
                        Some(fault) => Err(fault),
                        None => self.row(record, span.start + before as u32),
                    }
                })
            };
            match row {
                Ok(()) => self.offsets.push(span.offset.0),
                Err(reason) => decoded.rejected.push(rejected(raw, span, reason)),
            }
        }
        if !self.offsets.is_empty() {
            decoded.batches.push(self.finish(raw));
        }
        decoded
    }
}
