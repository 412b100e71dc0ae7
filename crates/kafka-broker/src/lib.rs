//! A real Apache Kafka for tests: brokers in KRaft mode on loopback, in a temporary folder, that can be killed, frozen and
//! started again. Refuses to be a mock: what it says is what Kafka says.
//!
//! ```no_run
//! let kafka = weir_kafka_broker::Cluster::start(1)?;
//! println!("{}", kafka.bootstrap());          // topics and records: with the feature `clients`
//! kafka.node(1).kill();                       // like a power cut
//! kafka.node(1).start()?;
//! # Ok::<(), weir_kafka_broker::BrokerError>(())
//! ```
//!
//! The jars come from Maven Central through `mvn`, once, and are kept in the user's cache folder; their checksums are in
//! `broker/jars.sha256`. No broker outlives the process that started it, also when that one is killed.

mod cluster;
mod detour;
mod freeze;
mod jars;
mod java;
mod node;
#[cfg(feature = "clients")]
mod records;
mod secured;
mod segments;
#[cfg(feature = "clients")]
mod topics;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

pub use cluster::Cluster;
pub use detour::Detour;
pub use freeze::freeze;
pub use jars::fetch;
pub use node::Node;
#[cfg(feature = "clients")]
pub use records::{Isolation, Record, Tail};
pub use secured::{PASSWORD, Secured, USER};
pub use segments::Batch;

/// How long brokers may take for anything. They need milliseconds, and 3 s until they are up; a machine that does other things
/// beside may need many times that, and a test that is impatient there tells of the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A program that is needed is not installed.
    #[error("{program} could not be started ({error}); on Debian: apt-get install -y {package}")]
    Program {
        /// The program.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// The jars are not in the cache, and could not be fetched.
    #[error(
        "the jars of Apache Kafka are not in {} and could not be fetched from Maven Central; \
         with a network, `cargo xtask kafka fetch` puts them there; mvn said:\n{said}",
        cache.display()
    )]
    Fetch {
        /// Where they belong.
        cache: PathBuf,
        /// The end of what Maven said.
        said: String,
    },
    /// A jar is not the one that was written down.
    #[error("the jars of Apache Kafka that Maven fetched are not those of broker/jars.sha256:\n{said}")]
    Checksum {
        /// What differs.
        said: String,
    },
    /// A broker ended, or said nothing, before it was up.
    #[error("broker {id} did not come up within {waited_s} s; the end of its log:\n{log}")]
    Start {
        /// Which one.
        id: usize,
        /// How long it was given.
        waited_s: u64,
        /// What it said last.
        log: String,
    },
    /// A file could not be written or read.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The broker refused what a client asked for.
    #[error("{0}")]
    Refused(String),
}

impl BrokerError {
    fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File { path: path.into(), error }
    }
}
