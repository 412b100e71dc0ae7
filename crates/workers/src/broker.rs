//! What a worker needs of Kafka, and nothing more: so that the same protocol runs on brokers and in a simulation. Every call
//! blocks; the worker has a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use weir_collect::LastRecord;
use weir_model::SeamResult;

/// One partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic.
    pub topic: Arc<str>,
    /// The number of the partition.
    pub partition: i32,
}

impl Place {
    /// The partition of that number of that topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.topic, self.partition)
    }
}

/// What happens at a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The group gave this worker these partitions, all that it has from now on. Answered by [`Broker::read`].
    Assigned(Vec<Place>),
    /// The group takes everything back. Answered by [`Broker::let_go`], which others wait for.
    Revoked {
        /// Others may have the partitions already: nothing of them can be committed any more.
        lost: bool,
    },
    /// A committed record came.
    Record {
        /// Where it lies.
        place: Place,
        /// Its offset.
        offset: u64,
        /// Its value; nothing for a tombstone.
        value: Option<Vec<u8>>,
        /// By what it is known again, if it says when it was written.
        last: Option<LastRecord>,
    },
    /// Everything that is there of a partition has come.
    End(Place),
    /// Something cannot be read, and others go on: what people should know.
    Trouble(String),
}

/// What was committed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The offset of the next record.
    pub offset: u64,
    /// What was said beside it.
    pub metadata: String,
}

/// The records that a partition holds: from the first to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first record.
    pub start: u64,
    /// After the last record that is committed.
    pub end: u64,
}

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// Into which topic.
    pub topic: Arc<str>,
    /// Into which partition; if not said, that of its key.
    pub partition: Option<i32>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Its headers.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What becomes true together, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Records, in order.
    pub records: Vec<Outgoing>,
    /// Where reading goes on, and what is to be said beside it.
    pub offsets: Vec<(Place, Committed)>,
}

/// Says where partitions end, as far as was heard. Never waits.
pub type PlaceEnds = Arc<dyn Fn() -> Vec<(Place, u64)> + Send + Sync>;

/// The brokers, and the group that shares partitions.
pub trait Broker {
    /// The topics that are read and there, with how many partitions each has.
    ///
    /// # Errors
    /// `Config` when one that is named is not there; `Retry` when no broker answers.
    fn topics(&mut self) -> SeamResult<BTreeMap<Arc<str>, i32>>;

    /// What a partition holds now.
    ///
    /// # Errors
    /// `Retry` when no broker answers.
    fn extent(&mut self, place: &Place) -> SeamResult<Extent>;

    /// The first record that the brokers say is not older than so many milliseconds since 1970; nothing where none is.
    ///
    /// # Errors
    /// `Retry` when no broker answers.
    fn offset_at(&mut self, place: &Place, millis: i64) -> SeamResult<Option<u64>>;

    /// What this group, or another one, has committed of these partitions. Waits until transactions that are about to say it
    /// are decided.
    ///
    /// # Errors
    /// `Retry` when no broker answers.
    fn committed(&mut self, group: Option<&str>, places: &[Place]) -> SeamResult<BTreeMap<Place, Committed>>;

    /// Those of these partitions in which another record lies now where one was read: their topic was made anew. Each holds
    /// records there. What was found to be as it was may be believed to stay so as long as these clients do not hear of another
    /// topic.
    ///
    /// # Errors
    /// `Retry` when no broker answers.
    fn differing(&mut self, last: &BTreeMap<Place, LastRecord>) -> SeamResult<BTreeSet<Place>>;

    /// Reads these partitions from these offsets on, and `watched` from its end, whatever was read before. An assignment is
    /// answered by it.
    ///
    /// # Errors
    /// `Retry` when the client cannot.
    fn read(&mut self, from: &[(Place, u64)], watched: Option<&Place>) -> SeamResult<()>;

    /// Reads nothing any more, and lets others have the partitions.
    ///
    /// # Errors
    /// `Retry` when the client cannot.
    fn let_go(&mut self) -> SeamResult<()>;

    /// Waits so long at most for something to happen.
    ///
    /// # Errors
    /// `Closed` when another worker has this one's name; `Retry` or `Corrupt` when it cannot go on.
    fn next(&mut self, wait: Duration) -> SeamResult<Option<Event>>;

    /// Makes everything in `transaction` true at once, as the member that was given the partitions last.
    ///
    /// # Errors
    /// `Retry` when nothing of it happened and the next one may succeed: go back to what is committed. `Unknown` when nobody
    /// knows: begin anew. Everything else as it says.
    fn commit(&mut self, transaction: &Transaction) -> SeamResult<()>;

    /// Who says where the partitions end that are read, if anybody does.
    fn ends(&self) -> Option<PlaceEnds> {
        None
    }

    /// Deletes records before these offsets, which everybody has read. Best effort.
    fn delete_before(&mut self, offsets: &[(Place, u64)]);
}
