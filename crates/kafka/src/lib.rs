//! How Weir speaks to Kafka, whichever way the data goes: connections, what an error means, what topics there are and
//! what they hold. Refuses to read or write a record: that is for sources and sinks.

mod ahead;
mod client;
mod connection;
mod direction;
mod ends;
mod error;
mod extents;
mod flush;
mod hearing;
mod leftovers;
mod offsets;
mod outage;
#[cfg(test)]
mod tests;
mod token;
mod topics;
mod transactional;

pub use ahead::{cannot_unpack, fetch_ahead};
pub use client::client_of;
pub use connection::{
    Connection, Introduction, KafkaConnection, Login, SaslConfig, Speaker, TlsConfig, is_broker, is_topic_name,
    read_committed_only,
};
pub use direction::{for_reading, for_writing};
pub use ends::{Asking, Ends, TopicPartition};
pub use error::{kind_of, seam_error};
pub use extents::{Extent, committed_within, extents, group_offsets};
pub use flush::flush;
pub use hearing::{Hearing, Partitions};
pub use leftovers::{Leftovers, Progress, decide};
pub(crate) use offsets::send_offsets;
pub use offsets::{TransactionOffsets, let_go};
pub use outage::Leaders;
pub use token::{TokenLogin, token_in};
pub use topics::{TopicConfig, TopicOutcome, TopicsFile};
pub use transactional::Transactional;
