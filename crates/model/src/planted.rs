//! Bugs on purpose, for the simulator to find: what finds none of them proves nothing. There is nothing of this in a build
//! without the feature `planted`, which only the simulator turns on; there one is chosen when it runs.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Which bug there is, as its index in [`Planted::ALL`]; anything else is none.
static CHOSEN: AtomicUsize = AtomicUsize::new(usize::MAX);

macro_rules! bugs {
    ($($bug:ident = $name:literal: $what:literal,)*) => {
        /// A bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Planted {
            $(#[doc = $what] $bug,)*
        }

        impl Planted {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$bug,)*];

            /// What it is called.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$bug => $name,)* }
            }

            /// What is wrong.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$bug => $what,)* }
            }
        }
    };
}

bugs! {
    AckBeforeSync = "ack-before-sync": "the log acknowledges records before they are synced",
    UnsyncedLeft = "unsynced-left": "records whose sync has failed stay in the log for the next process",
    SyncRetried = "sync-retried": "a failed sync of the log is tried again, and then believed",
    SegmentNameNotSynced = "segment-name-not-synced": "the folder of a new segment of the log is not synced",
    TornTailKept = "torn-tail-kept": "the torn end of a log is not cut off, and what comes next is written behind it",
    TailCutUnchecked = "tail-cut-unchecked": "a log is cut at its first damaged record, also when sound ones follow",
    RecoveredTailNotSynced = "recovered-tail-not-synced": "records found after a kill are shown before they are synced",
    HalfAppendTaken = "half-append-taken": "a torn append counts as far as it is whole",
    HalfWriteLeft = "half-write-left": "what a full disk took of an append stays in the log",
    KeysNotRecovered = "keys-not-recovered": "the keys of appends are not remembered across restarts",
    RetainsUnread = "retains-unread": "retention deletes what is not committed yet",
    ResumeOneFurther = "resume-one-further": "reading resumes one record behind the committed position",
    PositionsForgotten = "positions-forgotten": "a restart reads from the beginning",
    PublishNotSynced = "publish-not-synced": "a file is given its name before its content is synced",
    PublishNameNotSynced = "publish-name-not-synced": "the folder is not synced after a file was published",
    SnapshotUnchecked = "snapshot-unchecked": "the pieces of a snapshot are not compared with their checksums",
    SnapshotNameReused = "snapshot-name-reused": "a snapshot is named after its epoch alone",
    SnapshotCollectedEarly = "snapshot-collected-early": "the snapshot before is removed before the commit",
    SnapshotOfBefore = "snapshot-of-before": "the commit names the snapshot of the epoch before",
    CountersNotRestored = "counters-not-restored": "without runs in the snapshot the engine begins anew",
    StageNotSynced = "stage-not-synced": "staged rows are not synced before the commit",
    StageNameNotSynced = "stage-name-not-synced": "the name of a staged file is not synced before the commit",
    CopyNotSynced = "copy-not-synced": "staged rows are removed before what they were copied to is synced",
    NotRolledForward = "not-rolled-forward": "a restart does not show what the last commit prepared",
    CommitTwice = "commit-twice": "rolling forward appends to what an earlier attempt left",
    AbortRemovesCommitted = "abort-removes-committed": "a restart also removes the staged rows of the last commit",
    FullDiskSwallowed = "full-disk-swallowed": "rows that a full disk did not take are forgotten",
    TableCommittedEmpty = "table-committed-empty": "a commit leaves out the last segment of a table",
    DeadLettersAtOnce = "dead-letters-at-once": "dead letters are shown before the commit",
    DuplicatesForgotten = "duplicates-forgotten": "the keys of rows that went on are not in the snapshot",
    WindowEndIncluded = "window-end-included": "a window is closed only when the watermark is beyond its end, not at it",
    WatermarkPerBatch = "watermark-per-batch": "the watermark advances with batches instead of records",
    WatermarkNotRestored = "watermark-not-restored": "a restart forgets how far its partitions had come",
    RedeliveredTaken = "redelivered-taken": "a worker takes a record that its client yields once more",
    BundleRemovedEarly = "bundle-removed-early": "a worker removes its last bundle before the commit that replaces it",
    BundleIgnored = "bundle-ignored": "the owner of a key group begins with nothing instead of the state that is committed",
    PartialsForgotten = "partials-forgotten": "a worker commits what owners have made of partials, and not up to where they have read",
    UndecidedRead = "undecided-read": "workers read records whose transaction is not decided",
    StableNotRequired = "stable-not-required": "a worker begins at offsets that a transaction is about to replace",
    MembershipNotSaid = "membership-not-said": "a worker commits without saying which member of which generation it is",
    NotAborted = "not-aborted": "a transaction whose offsets were refused is not aborted, and the next one goes on with it",
    SlowProducerKept = "slow-producer-kept": "a producer whose commit may have been sent twice is used again",
    GivenUpKept = "given-up-kept": "a transaction that is given up is made again by the same producer, which has not aborted it",
    CommitMadeAgain = "commit-made-again": "a transaction is made again although the brokers were asked to commit it, as nobody has answered",
    OffsetsBeside = "offsets-beside": "a worker commits its offsets after its transaction instead of in it",
    CommitNotConfirmed = "commit-not-confirmed": "a worker waits for ever for a commit of its own that brokers have granted and not marked",
}

/// Plants a bug, or none.
pub fn plant(bug: Option<Planted>) {
    let index = bug.and_then(|bug| Planted::ALL.iter().position(|other| *other == bug));
    CHOSEN.store(index.unwrap_or(usize::MAX), Ordering::SeqCst);
}

/// Whether this one is planted.
pub fn is_planted(bug: Planted) -> bool {
    Planted::ALL.get(CHOSEN.load(Ordering::Relaxed)) == Some(&bug)
}
