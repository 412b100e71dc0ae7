//! What a snapshot consists of, and where it lies.

use serde::{Deserialize, Serialize};
use weir_model::EventTime;

/// The version of the layout that this program writes and reads.
pub(crate) const VERSION: u32 = 1;

/// A piece of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    /// The object's name; objects of one pipeline lie in one folder.
    pub(crate) object: String,
    /// Where the piece begins in it.
    pub(crate) offset: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// XXH3-64 of it.
    pub(crate) checksum: u64,
}

/// One run of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredRun {
    pub(crate) id: u64,
    pub(crate) node: usize,
    /// Where the pane begins, in microseconds.
    pub(crate) pane: i64,
    /// Its rows as an Arrow IPC stream.
    #[serde(flatten)]
    pub(crate) piece: Piece,
}

impl StoredRun {
    pub(crate) fn pane(&self) -> EventTime {
        EventTime::from_micros(self.pane)
    }
}

/// Everything that belongs to one snapshot. It says itself what it is, so that an object in the place of another is
/// noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    pub(crate) pipeline: String,
    /// The snapshot's name, which is its object's too.
    pub(crate) name: String,
    pub(crate) plan_fingerprint: String,
    pub(crate) meta: Piece,
    pub(crate) runs: Vec<StoredRun>,
}
