//! A run, and where its rows are: in memory, or where a snapshot left them. Reads nothing itself: that is the store's.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use weir_model::{EventTime, SeamResult};

/// Where the rows of runs lie that an engine does not hold in memory: those that the last snapshot named.
pub trait RunStore: Send + Sync + Debug {
    /// The rows of the run `id`, after a check that they are what was stored.
    ///
    /// # Errors
    /// What is wrong with which file: `Corrupt` when it is not what was stored.
    fn load(&self, id: u64) -> SeamResult<RecordBatch>;
}

/// An immutable part of a pane: keys and aggregate states as columns.
#[derive(Clone, Debug)]
pub struct Run {
    /// Names the run: the same id means the same content, for ever, also across restarts.
    pub id: u64,
    /// The index of its node.
    pub node: usize,
    /// Where its pane begins.
    pub pane: EventTime,
    /// The keys, then the states.
    pub rows: RunRows,
}

/// Where the rows of a run are.
#[derive(Clone, Debug)]
pub enum RunRows {
    /// In memory.
    Held(RecordBatch),
    /// Where the last snapshot has them.
    Stored {
        /// What reads them.
        store: Arc<dyn RunStore>,
        /// About how many bytes they take there.
        bytes: u64,
    },
}

impl Run {
    /// The rows, of a run that is in memory.
    ///
    /// # Panics
    /// When it is not.
    pub fn batch(&self) -> &RecordBatch {
        self.rows.held()
    }

    /// The same run in memory.
    ///
    /// # Errors
    /// As [`RunStore::load`].
    pub fn loaded(&self) -> SeamResult<Self> {
        Ok(Self { rows: RunRows::Held(self.rows.load(self.id)?), ..self.clone() })
    }
}

impl RunRows {
    /// The rows of the run `id`, wherever they are.
    ///
    /// # Errors
    /// As [`RunStore::load`].
    pub fn load(&self, id: u64) -> SeamResult<RecordBatch> {
        match self {
            Self::Held(batch) => Ok(batch.clone()),
            Self::Stored { store, .. } => store.load(id),
        }
    }

    /// The rows, if they are in memory.
    pub fn in_memory(&self) -> Option<&RecordBatch> {
        match self {
            Self::Held(batch) => Some(batch),
            Self::Stored { .. } => None,
        }
    }

    /// The rows.
    ///
    /// # Panics
    /// When they are not in memory.
    pub(crate) fn held(&self) -> &RecordBatch {
        self.in_memory().expect("a run is loaded before it is used")
    }

    /// About how many bytes the rows take, wherever they are.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Held(batch) => batch_bytes(batch) as u64,
            Self::Stored { bytes, .. } => *bytes,
        }
    }

    /// About how many bytes they take in memory.
    pub(crate) fn size(&self) -> usize {
        self.in_memory().map_or(0, batch_bytes)
    }

    /// Lets go of the rows, which `store` has; returns about how many bytes that frees.
    pub(crate) fn release(&mut self, store: &Arc<dyn RunStore>) -> usize {
        let size = self.size();
        if size > 0 {
            *self = Self::Stored { store: Arc::clone(store), bytes: size as u64 };
        }
        size
    }
}

/// Lets go of the rows of one run after the other, all of which `store` has, until about `wanted` bytes are free; returns about
/// how many are.
pub(crate) fn release_in_turn<'a>(
    runs: impl Iterator<Item = &'a mut RunRows>,
    wanted: usize,
    store: &Arc<dyn RunStore>,
) -> usize {
    let mut freed = 0;
    for rows in runs {
        if freed >= wanted {
            break;
        }
        freed += rows.release(store);
    }
    freed
}

/// About how many bytes the columns take. Those of a run that was loaded are parts of one piece of memory, so that their own
/// capacity says nothing.
fn batch_bytes(batch: &RecordBatch) -> usize {
    let bytes = |column: &ArrayRef| {
        let data = column.to_data();
        data.get_slice_memory_size().unwrap_or_else(|_| data.get_array_memory_size())
    };
    batch.columns().iter().map(bytes).sum()
}
