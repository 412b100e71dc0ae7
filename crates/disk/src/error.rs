//! Turns an I/O error into what the caller does about it. Decides nothing else.

use std::io;
use std::path::Path;

use rustix::io::Errno;
use weir_model::{ErrorKind, SeamError};

/// The error of doing `what` to `path`: a full disk is worth a retry, damage is damage, a place that cannot be used is
/// a matter of configuration, and everything else means that this disk can no longer be trusted.
pub fn disk_error(what: &str, path: &Path, error: io::Error) -> SeamError {
    let (kind, hint) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (ErrorKind::Retry, "disk is full: free some space, the work goes on by itself; ")
        }
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => (ErrorKind::Retry, ""),
        io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => (ErrorKind::Corrupt, ""),
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidFilename => (ErrorKind::Config, ""),
        // A symbolic link where a file should be (ELOOP, because links are not followed).
        _ if Errno::from_io_error(&error) == Some(Errno::LOOP) => (ErrorKind::Config, "symbolic links are refused; "),
        _ => (ErrorKind::Closed, ""),
    };
    SeamError::caused(kind, format!("{hint}cannot {what} {}", path.display()), error)
}

/// The error of a failed sync. Always `Closed`, a full disk included: what of the file is on disk is unknown, and
/// asking again would claim what is not so (the kernel forgets the pages it could not write).
pub fn sync_error(path: &Path, error: io::Error) -> SeamError {
    SeamError::caused(
        ErrorKind::Closed,
        format!("cannot make {} durable: what of it is on disk is unknown; stop and recover", path.display()),
        error,
    )
}
