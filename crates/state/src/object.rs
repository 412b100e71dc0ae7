//! An object: the new runs of one snapshot and its manifest, in one file that is written once.

use std::io::Read;
use std::path::{Path, PathBuf};

use weir_disk::{checksum_of, disk_error};
use weir_model::{Epoch, ErrorKind, SeamError, SeamResult, Vfs};

use crate::manifest::{Manifest, Piece, VERSION};

const MAGIC: &[u8; 8] = b"WEIRSNAP";
const TRAILER_BYTES: u64 = 24;
/// A manifest longer than this is damage, not a manifest.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// What the names of objects end in.
const SUFFIX: &str = ".snap";

/// A snapshot's name: `<epoch, 20 digits>-<ULID>`. It sorts by epoch and is never used again.
pub(crate) fn new_name(vfs: &dyn Vfs, epoch: Epoch) -> String {
    format!("{:020}-{}", epoch.0, vfs.unused_name())
}

/// Whether `name` is one that [`new_name`] makes: it becomes part of a path.
pub(crate) fn is_name(name: &str) -> bool {
    let parts = name.split_once('-').map(|(epoch, ulid)| {
        let digits = epoch.len() == 20 && epoch.bytes().all(|byte| byte.is_ascii_digit());
        digits && ulid.len() == 26 && ulid.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    parts.unwrap_or(false)
}

/// The file of an object.
pub(crate) fn object_path(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{SUFFIX}"))
}

/// The object's name that a file has.
pub(crate) fn object_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    is_name(name).then_some(name)
}

/// An object being put together. Its bytes are:
///
/// | bytes | what |
/// |---|---|
/// | 8 | `WEIRSNAP` |
/// | any | pieces, one after the other: Arrow IPC streams and the snapshot's meta, named by the manifest |
/// | any | the manifest as JSON ([`Manifest`]) |
/// | 8 | length of the manifest, little endian |
/// | 8 | XXH3-64 of the manifest, little endian |
/// | 8 | `WEIRSNAP` |
#[derive(Debug)]
pub(crate) struct ObjectBuilder {
    name: String,
    bytes: Vec<u8>,
}

impl ObjectBuilder {
    pub(crate) fn new(name: String) -> Self {
        Self { name, bytes: MAGIC.to_vec() }
    }

    /// Adds what `write` appends as a piece.
    pub(crate) fn piece(&mut self, write: impl FnOnce(&mut Vec<u8>) -> SeamResult<()>) -> SeamResult<Piece> {
        let offset = self.bytes.len();
        write(&mut self.bytes)?;
        let added = &self.bytes[offset..];
        let (bytes, checksum) = (added.len() as u64, checksum_of(added));
        Ok(Piece { object: self.name.clone(), offset: offset as u64, bytes, checksum })
    }

    /// The whole object.
    pub(crate) fn finish(mut self, manifest: &Manifest) -> SeamResult<Vec<u8>> {
        let text = serde_json::to_vec(manifest)
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot write a manifest as JSON", error))?;
        self.bytes.extend_from_slice(&text);
        self.bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(&checksum_of(&text).to_le_bytes());
        self.bytes.extend_from_slice(MAGIC);
        Ok(self.bytes)
    }
}

/// Says what is wrong with which file.
pub(crate) fn damaged(path: &Path, why: impl std::fmt::Display) -> SeamError {
    SeamError::new(ErrorKind::Corrupt, format!("{} is damaged: {why}", path.display()))
}

/// Reads `bytes` bytes of a file from `offset`.
fn read_range(vfs: &dyn Vfs, path: &Path, offset: u64, bytes: u64) -> SeamResult<Vec<u8>> {
    let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
    let read = vfs.open(path, offset).and_then(|file| file.take(bytes).read_to_end(&mut content));
    let read = read.map_err(|error| disk_error("read", path, error))?;
    if read as u64 == bytes {
        Ok(content)
    } else {
        Err(damaged(path, format!("it ends before byte {}", offset + bytes)))
    }
}

/// The piece's bytes, compared with its checksum.
pub(crate) fn read_piece(vfs: &dyn Vfs, folder: &Path, piece: &Piece) -> SeamResult<Vec<u8>> {
    let path = object_path(folder, &piece.object);
    let length = vfs.len(&path).map_err(|error| disk_error("read", &path, error))?;
    if !is_name(&piece.object) || piece.offset.checked_add(piece.bytes).is_none_or(|end| end > length) {
        return Err(damaged(&path, format!("it has {length} bytes and should have more than {}", piece.offset)));
    }
    let bytes = read_range(vfs, &path, piece.offset, piece.bytes)?;
    if checksum_of(&bytes) == piece.checksum {
        return Ok(bytes);
    }
    Err(damaged(&path, format!("bytes {} to {} do not match their checksum", piece.offset, piece.offset + piece.bytes)))
}

/// The manifest of the snapshot `name` of `pipeline`.
pub(crate) fn read_manifest(vfs: &dyn Vfs, folder: &Path, pipeline: &str, name: &str) -> SeamResult<Manifest> {
    let path = object_path(folder, name);
    if !is_name(name) {
        return Err(SeamError::new(
            ErrorKind::Corrupt,
            format!("\"{}\" is not the name of a snapshot", name.escape_debug()),
        ));
    }
    let length = vfs.len(&path).map_err(|error| disk_error("read", &path, error))?;
    let Some(body) = length.checked_sub(TRAILER_BYTES) else {
        return Err(damaged(&path, format!("it has only {length} bytes")));
    };
    let trailer = read_range(vfs, &path, body, TRAILER_BYTES)?;
    let word = |at: usize| u64::from_le_bytes(trailer[at..at + 8].try_into().expect("eight bytes"));
    if &trailer[16..] != MAGIC {
        let why = format!("bytes {body} to {length} are not how a snapshot ends");
        return Err(damaged(&path, why));
    }
    let (bytes, checksum) = (word(0), word(8));
    if bytes > body.min(MANIFEST_BYTES_MAX) {
        let why = format!("byte {body}: its manifest cannot have {bytes} bytes");
        return Err(damaged(&path, why));
    }
    let text = read_range(vfs, &path, body - bytes, bytes)?;
    if checksum_of(&text) != checksum {
        let why = format!("bytes {} to {body} (its manifest) do not match their checksum", body - bytes);
        return Err(damaged(&path, why));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(&path, error))?;
    if manifest.version != VERSION {
        let why = format!("{} has layout {} and this weir reads {VERSION}", path.display(), manifest.version);
        return Err(SeamError::new(ErrorKind::Config, why));
    }
    if (manifest.pipeline.as_str(), manifest.name.as_str()) != (pipeline, name) {
        return Err(damaged(&path, format!("it is snapshot {} of pipeline {}", manifest.name, manifest.pipeline)));
    }
    Ok(manifest)
}
