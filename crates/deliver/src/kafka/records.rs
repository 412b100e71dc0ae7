//! Rows as records, for whoever writes them in a transaction of his own. Sends nothing.

use arrow::array::RecordBatch;
use weir_model::{RejectedRow, SeamResult};

use super::config::KafkaOutput;
use super::frame::{Frame, ROW_ID, frames};
use super::values::Values;

/// A row as a record of Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KafkaRecord {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; nothing for a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Turns rows into the records that an output writes. Blocks where schemas have to be registered first.
pub struct KafkaRecords {
    config: KafkaOutput,
    values: Values,
}

impl KafkaRecords {
    /// Reads the schemas that `config` gives.
    ///
    /// # Errors
    /// `Config` when a schema cannot be read.
    pub fn open(config: &KafkaOutput) -> SeamResult<Self> {
        Ok(Self { config: config.clone(), values: Values::open(config)? })
    }

    /// The records of `rows`, in their order, and the rows that have none.
    ///
    /// # Errors
    /// `Config` when a column that keys or headers come from is not there, `Retry` when a registry does not answer.
    pub fn of(&mut self, rows: &RecordBatch) -> SeamResult<(Vec<KafkaRecord>, Vec<RejectedRow>)> {
        let (mut bytes, mut records) = (Vec::new(), Vec::with_capacity(rows.num_rows()));
        if rows.num_rows() == 0 {
            return Ok((records, Vec::new()));
        }
        let values = self.values.encode(rows)?;
        let rejected = frames(rows, &self.config, values, &mut bytes)?;
        let mut rest = bytes.as_slice();
        while let Some((frame, after)) = Frame::read(rest) {
            let own = |part: Option<&[u8]>| part.map(<[u8]>::to_vec);
            let id = frame.row_id.map(|id| (ROW_ID.to_owned(), id.to_vec()));
            let others = frame.headers().map(|(name, value)| (name.to_owned(), value.to_vec()));
            let headers = id.into_iter().chain(others).collect();
            records.push(KafkaRecord { key: own(frame.key), value: own(frame.value), headers });
            rest = after;
        }
        Ok((records, rejected))
    }
}
