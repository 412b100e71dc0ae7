//! The part of the disk that new data may not take, so that commits, deletes and compaction can still run.

use std::io;
use std::path::Path;

use weir_model::Vfs;

/// When a disk counts as full for new data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve {
    /// Bytes that must stay free. The default is 256 MiB.
    pub bytes: u64,
}

impl Default for Reserve {
    fn default() -> Self {
        Self { bytes: 256 << 20 }
    }
}

impl Reserve {
    /// 5% of a disk of `disk_bytes`, and never more than the default: a small disk is not all reserve.
    pub fn for_disk(disk_bytes: u64) -> Self {
        Self { bytes: Self::default().bytes.min(disk_bytes / 20) }
    }

    /// Nothing is kept free.
    pub const fn none() -> Self {
        Self { bytes: 0 }
    }

    /// Whether `incoming` bytes may be written to the disk that holds `path`.
    ///
    /// # Errors
    /// As the disk says.
    pub fn allows(&self, vfs: &dyn Vfs, path: &Path, incoming: u64) -> io::Result<bool> {
        Ok(vfs.free_bytes(path)? >= self.bytes.saturating_add(incoming))
    }
}
