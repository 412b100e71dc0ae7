//! How anything becomes durable: the real disk, one way to publish a file, locks on files and on a data folder, and
//! a disk for tests that loses power. Knows nothing of what is in the files.

mod blocking;
mod disk;
mod error;
mod folder;
mod lock;
mod publish;
mod reserve;
mod sim;
#[cfg(test)]
mod tests;

/// What every [`weir_model::Vfs`] must do, as a test suite that panics with the sentence that does not hold.
pub mod conformance;

pub use blocking::{Blocking, blocking};
pub use disk::Disk;
pub use error::{disk_error, sync_error};
pub use folder::{DataFolder, LOCK_FILE, Occupant};
pub use lock::FileLock;
pub use publish::{ChecksummedWriter, Published, checksum_of, publish, read_file, remove_leftovers, temporary};
pub use reserve::Reserve;
pub use sim::{Fault, SimDisk};
