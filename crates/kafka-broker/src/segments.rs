//! The batches of a partition as they lie in the files of a broker. Refuses to look into their records.

use std::fs;

use crate::{BrokerError, Cluster};

/// A batch of records (KIP-98, magic 2) as a producer sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// How many records it has.
    pub records: u32,
    /// How many bytes it takes, with its head.
    pub bytes: u32,
    /// How it is compressed: 0 not at all, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
    pub codec: u8,
    /// Whether it is a marker of a transaction rather than records.
    pub is_marker: bool,
}

/// What stands before `batchLength` counts: the offset and the length itself.
const BEFORE_LENGTH: usize = 12;
const HEAD_BYTES: usize = 61;
const CODEC: u16 = 0b111;
const IS_MARKER: u16 = 1 << 5;

impl Cluster {
    /// The batches of a partition on a broker, oldest first.
    ///
    /// # Errors
    /// `File` when its files cannot be read.
    pub fn batches(&self, node: usize, topic: &str, partition: i32) -> Result<Vec<Batch>, BrokerError> {
        let folder = self.node(node).data().join(format!("{topic}-{partition}"));
        let mut segments = Vec::new();
        for entry in fs::read_dir(&folder).map_err(BrokerError::file(&folder))? {
            let path = entry.map_err(BrokerError::file(&folder))?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                segments.push(path);
            }
        }
        // Their names are the offsets that they begin with.
        segments.sort();
        let mut batches = Vec::new();
        for segment in segments {
            batches.extend(batches_in(&fs::read(&segment).map_err(BrokerError::file(&segment))?));
        }
        Ok(batches)
    }
}

/// The batches in a segment; one that is not whole yet is none.
fn batches_in(mut bytes: &[u8]) -> Vec<Batch> {
    let mut batches = Vec::new();
    while bytes.len() >= HEAD_BYTES {
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let attributes = u16::from_be_bytes([bytes[21], bytes[22]]);
        let whole = BEFORE_LENGTH + number(8) as usize;
        let Some(rest) = bytes.get(whole..).filter(|_| whole >= HEAD_BYTES) else { break };
        batches.push(Batch {
            records: number(57),
            bytes: whole as u32,
            codec: (attributes & CODEC) as u8,
            is_marker: attributes & IS_MARKER != 0,
        });
        bytes = rest;
    }
    batches
}
