//! The nouns that every other crate speaks in, and the seams between them; no I/O, no clock, no async runtime.
//!
//! # Glossary
//!
//! One word per idea, everywhere: in code, in metrics, in the pages and in the guide.
//!
//! | word | meaning |
//! |---|---|
//! | *source* | something replayable that yields records in order per partition: a folder of files, a log topic, a Kafka topic |
//! | *receiver* | something that is pushed to (HTTP) and makes records durable in a log topic before it acknowledges |
//! | *partition* | one ordered sequence of records of a source: one file, one log partition |
//! | *offset* | where a record begins inside its partition: bytes for files, a count for logs |
//! | *position* | where to go on reading a partition: the offset after the last record that was taken |
//! | *record* | one piece of input before decoding: the bytes between two offsets |
//! | *row* | one decoded record inside a batch of columns |
//! | *event time* | when a thing happened, as the record says |
//! | *processing time* | when Weir looked at it |
//! | *watermark* | the event time up to which a partition is believed to be complete |
//! | *pane* | the smallest slice of event time that windows are made of |
//! | *window* | a span of event time over which an aggregate is computed |
//! | *run* | an immutable batch of keys and aggregate states of one pane |
//! | *epoch* | one round of: seal, snapshot, prepare, commit |
//! | *late* | a row whose windows are all gone: it goes to the late output with how late it was |
//! | *rejected* | a record that cannot be decoded or processed: it goes to the dead letters with the reason |
//! | *table* | a named set of columns in the store; a *segment* is one immutable file of it |

mod batch;
mod clock;
mod commit;
mod decode;
mod error;
mod expression;
mod laws;
mod outcome;
#[cfg(feature = "planted")]
mod planted;
mod position;
mod pressure;
mod raw;
mod retry;
mod schema;
mod secret;
mod sink;
mod source;
mod text;
mod time;
mod vfs;
mod zone;

pub use batch::{Batch, VALUE_BYTES_SHOWN, Value};
pub use clock::{Clock, SystemClock};
pub use commit::{CommitPoint, Committed, EpochCommit, KeptCommit, NewSegment};
pub use decode::{Decoded, Decoder, FieldKind, Fields, Framer, Remembers, Wanted, WantedField};
pub use error::{ErrorKind, SeamError, SeamResult};
pub use expression::{Accumulator, Compiler, Expression};
pub use laws::{Laws, same_bytes};
pub use outcome::{Balance, Rejected};
#[cfg(feature = "planted")]
pub use planted::{Planted, is_planted, plant};
pub use position::{Epoch, Offset, PartitionId, Position, Positions};
pub use pressure::{Pressure, PressureLevel};
pub use raw::{Framed, Raw, RecordSpan};
pub use retry::{Backoff, BackoffConfig, Breaker, BreakerConfig, BreakerState, FailureRate, Permit};
pub use schema::{KnownSchema, ReferencedSchema, SchemaId, SchemaLanguage};
pub use secret::Secret;
pub use sink::{Delivered, Guarantee, Prepared, RejectedRow, Sink};
pub use source::{KnownEnds, Source, SourceEvent};
pub use text::{ByteSize, DurationText};
pub use time::{EventTime, ProcessingTime, TimeDelta, Watermark};
pub use vfs::{FileKind, Vfs, VfsFile};
pub use zone::TimeZone;

/// Whether the bug of that name is planted, see [`Planted`].
#[cfg(feature = "planted")]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        $crate::is_planted($crate::Planted::$bug)
    };
}

/// Whether the bug of that name is planted: never, without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {
        false
    };
}
