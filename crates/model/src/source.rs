//! The seam where bytes come in.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Offset, PartitionId, Positions, Raw, SeamResult};

/// What a source tells its reader.
#[derive(Debug)]
pub enum SourceEvent {
    /// A partition exists. It may not have been read yet, and holds event time back until it has.
    PartitionAdded(PartitionId),
    /// Records of a partition, in order.
    Records(Raw),
    /// Everything that is there now of this partition has been yielded. Only a partition that is caught up may be
    /// called idle; more records may follow.
    CaughtUp(PartitionId),
    /// Nothing more will ever come from this partition.
    PartitionFinished(PartitionId),
    /// Something is wrong with a part of the source, and reading goes on without it: a file that cannot be opened,
    /// an archive that ends in the middle. Counted and shown; makes a bounded run end with a failure.
    Trouble {
        /// What is wrong, where, and what would be right.
        message: String,
        /// The partition, if it is one.
        partition: Option<PartitionId>,
    },
    /// The source is bounded and has ended.
    End,
}

/// Says where partitions end, as far as was heard: the offset after the last record. Never waits, so that it may be asked at any
/// time, from anywhere, also when nobody reads.
pub type KnownEnds = Arc<dyn Fn() -> Vec<(PartitionId, Offset)> + Send + Sync>;

/// Yields records in order per partition. Its only memory is positions: after a [`Source::seek`] it yields exactly the
/// records that it yielded before from there on.
#[async_trait]
pub trait Source: Send {
    /// Goes to `positions`, once, before the first [`Source::next`]. Partitions that are not named start at their beginning.
    ///
    /// # Errors
    /// `Config` when the source cannot be found or opened at all, `Corrupt` when a position does not lie in its
    /// partition any more.
    async fn seek(&mut self, positions: &Positions) -> SeamResult<()>;

    /// The next thing that happens; waits for it. Cancel-safe: when the future is dropped nothing is lost, and work that
    /// was begun goes on, so that whoever asks again and again, each time until something else comes first, gets there.
    ///
    /// # Errors
    /// `Retry` when it is worth asking again, `Closed` when the source is gone.
    async fn next(&mut self) -> SeamResult<SourceEvent>;

    /// Yields nothing more of `partition` until [`Source::resume`]: it is too far ahead of the others, or a sink is slow.
    fn pause(&mut self, partition: &PartitionId);

    /// Undoes [`Source::pause`].
    fn resume(&mut self, partition: &PartitionId);

    /// How many bytes there are to read in all, if that is known: for a progress bar.
    fn bytes_total(&self) -> Option<u64>;

    /// Who says where partitions end now, if that is known: to see how far behind their reading is. Asked for after
    /// [`Source::seek`].
    fn ends(&self) -> Option<KnownEnds> {
        None
    }
}
