//! What travels from where a partition is read to the owner of some keys. Knows how rows are spread over key groups, and
//! nothing of what becomes of them.

use std::fmt;

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use weir_model::{Offset, PartitionId, Watermark};

use crate::PartitionState;
use crate::rows::Rows;

/// A part of all keys, which has one owner at a time: those whose hash, modulo the number of key groups, is this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(pub u16);

impl fmt::Display for KeyGroup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key group {}", self.0)
    }
}

/// What was read of one partition since the last partial, for one key group.
#[derive(Clone, Debug)]
pub struct Partial {
    /// Which plan made it, cut into how many key groups; owners take no other.
    pub plan_fingerprint: String,
    /// For whom it is.
    pub key_group: KeyGroup,
    /// The index of the source.
    pub source: usize,
    /// Which partition.
    pub partition: PartitionId,
    /// Counts the readers of the partition, and how often it began to hold time back again. What an older one sends is
    /// taken no longer.
    pub generation: u64,
    /// Counts, from 0, what this generation has sent to this key group.
    pub sequence: u64,
    /// The watermark of the partition after these rows.
    pub watermark: Watermark,
    /// What the partition is doing after them. Idle and finished ones hold nobody back.
    pub state: PartitionState,
    /// Rows ever read of it.
    pub rows: u64,
    /// Where the last of them begins.
    pub offset: Option<Offset>,
    /// Whether the reader wants to know how far event time was when this came ([`Held`]).
    pub asks: bool,
    pub(crate) parts: Vec<Part>,
}

impl Partial {
    /// About how many bytes its rows and groups take in memory.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.body.columns().get_array_memory_size()).sum()
    }

    /// How many rows of the source are in it, folded or as they are.
    pub fn contains(&self) -> u64 {
        self.parts.iter().map(|part| part.body.rows()).sum()
    }
}

/// What an owner of a key group says of a partition that it has just heard of: since then the partition holds back its event
/// time, which was here. Where nothing comes of it, the reader sends rows as they are, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose event time.
    pub key_group: KeyGroup,
    /// Which partition.
    pub partition: PartitionId,
    /// The generation that asked.
    pub generation: u64,
    /// How far event time was.
    pub watermark: Watermark,
}

/// What a partial has for one node.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) node: usize,
    pub(crate) port: usize,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Groups(Groups),
    Rows(Rows),
}

/// Rows that were folded. The columns are `pane`, `from` and `rows` (a pane and the first window that takes the rows, as
/// microseconds, and how many rows), then the keys and the states, as in runs.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    /// The watermark before the first of the rows.
    pub(crate) mark: i64,
    /// The types of the aggregates' inputs, as far as they are known.
    pub(crate) kinds: Vec<Option<String>>,
    pub(crate) batch: RecordBatch,
}

/// What a node has for the owners of keys: with the hash of each row's keys.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) port: usize,
    pub(crate) hashes: Vec<u64>,
    /// Whether owners who get no row of it hear of its columns.
    pub(crate) to_all: bool,
    pub(crate) body: Body,
}

impl Body {
    pub(crate) fn columns(&self) -> &RecordBatch {
        match self {
            Self::Groups(groups) => &groups.batch,
            Self::Rows(rows) => &rows.columns,
        }
    }

    /// How many rows of a source are in it.
    pub(crate) fn rows(&self) -> u64 {
        match self {
            Self::Groups(groups) => {
                let rows = groups.batch.column(2).to_data();
                rows.buffer::<i64>(0)[..rows.len()].iter().sum::<i64>() as u64
            }
            Self::Rows(rows) => rows.len() as u64,
        }
    }

    fn take(&self, order: &UInt32Array) -> Self {
        match self {
            Self::Groups(groups) => {
                let batch = take_record_batch(&groups.batch, order).expect("the order is of these groups");
                Self::Groups(Groups { batch, ..groups.clone() })
            }
            Self::Rows(rows) => Self::Rows(rows.take(order)),
        }
    }

    fn slice(&self, from: usize, rows: usize) -> Self {
        match self {
            Self::Groups(groups) => Self::Groups(Groups { batch: groups.batch.slice(from, rows), ..groups.clone() }),
            Self::Rows(all) => Self::Rows(all.slice(from, rows)),
        }
    }
}

impl Sent {
    /// Spreads it over key groups, each with its rows in the order in which they were. Of those that have none only those
    /// are there that are to hear of the columns.
    pub(crate) fn spread(self, node: usize, key_groups: u16) -> Vec<(KeyGroup, Part)> {
        let part = |body: Body| Part { node, port: self.port, body };
        if key_groups == 1 {
            return vec![(KeyGroup(0), part(self.body))];
        }
        let group = |hash: &u64| (hash % u64::from(key_groups)) as u16;
        let mut order: Vec<u32> = (0..self.hashes.len() as u32).collect();
        order.sort_by_key(|row| group(&self.hashes[*row as usize]));
        let mut spread = Vec::new();
        let mut from = 0;
        let sorted = self.body.take(&UInt32Array::from(order.clone()));
        for alike in
            order.chunk_by(|left, right| group(&self.hashes[*left as usize]) == group(&self.hashes[*right as usize]))
        {
            let own = group(&self.hashes[alike[0] as usize]);
            spread.push((KeyGroup(own), part(sorted.slice(from, alike.len()))));
            from += alike.len();
        }
        if self.to_all {
            let without = (0..key_groups).filter(|own| spread.iter().all(|(group, _)| group.0 != *own));
            let empty = without.map(|own| (KeyGroup(own), part(sorted.slice(0, 0)))).collect::<Vec<_>>();
            spread.extend(empty);
        }
        spread
    }
}
