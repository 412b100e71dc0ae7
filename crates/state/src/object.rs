//! An object: the new runs of one snapshot and its manifest, in one file that is written once.

use weir_disk::checksum_of;
use weir_model::{Epoch, ErrorKind, SeamError, SeamResult, Vfs, planted};

use crate::manifest::{Manifest, Piece, VERSION};
use crate::objects::Objects;

const MAGIC: &[u8; 8] = b"WEIRSNAP";
const TRAILER_BYTES: u64 = 24;
/// A manifest longer than this is damage, not a manifest.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// A snapshot's name: `<epoch, 20 digits>-<ULID>`. It sorts by epoch and is never used again.
pub(crate) fn new_name(vfs: &dyn Vfs, epoch: Epoch) -> String {
    if planted!(SnapshotNameReused) {
        return format!("{:020}-{:026}", epoch.0, 0);
    }
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
pub(crate) fn damaged(shown: &str, why: impl std::fmt::Display) -> SeamError {
    SeamError::new(ErrorKind::Corrupt, format!("{shown} is damaged: {why}"))
}

/// Reads again where what was damaged was only a copy.
fn twice<T>(objects: &dyn Objects, name: &str, read: impl Fn() -> SeamResult<T>) -> SeamResult<T> {
    match read() {
        Err(error) if error.kind == ErrorKind::Corrupt && objects.forget_copy(name)? => read(),
        result => result,
    }
}

/// The piece's bytes, compared with its checksum.
pub(crate) fn read_piece(objects: &dyn Objects, piece: &Piece) -> SeamResult<Vec<u8>> {
    twice(objects, &piece.object, || piece_once(objects, piece))
}

/// The same, for whoever needs to know only that it is whole.
pub(crate) fn check_piece(objects: &dyn Objects, piece: &Piece) -> SeamResult<()> {
    read_piece(objects, piece).map(drop)
}

fn piece_once(objects: &dyn Objects, piece: &Piece) -> SeamResult<Vec<u8>> {
    let shown = objects.shown(&piece.object);
    let length = objects.len(&piece.object)?;
    if !is_name(&piece.object) || piece.offset.checked_add(piece.bytes).is_none_or(|end| end > length) {
        return Err(damaged(&shown, format!("it has {length} bytes and should have more than {}", piece.offset)));
    }
    let bytes = objects.read(&piece.object, piece.offset, piece.bytes)?;
    if checksum_of(&bytes) == piece.checksum || planted!(SnapshotUnchecked) {
        return Ok(bytes);
    }
    let end = piece.offset + piece.bytes;
    Err(damaged(&shown, format!("bytes {} to {end} do not match their checksum", piece.offset)))
}

/// The manifest of the snapshot `name` of `pipeline`.
pub(crate) fn read_manifest(objects: &dyn Objects, pipeline: &str, name: &str) -> SeamResult<Manifest> {
    if !is_name(name) {
        return Err(SeamError::new(
            ErrorKind::Corrupt,
            format!("\"{}\" is not the name of a snapshot", name.escape_debug()),
        ));
    }
    twice(objects, name, || manifest_once(objects, pipeline, name))
}

fn manifest_once(objects: &dyn Objects, pipeline: &str, name: &str) -> SeamResult<Manifest> {
    let shown = objects.shown(name);
    let length = objects.len(name)?;
    let Some(body) = length.checked_sub(TRAILER_BYTES) else {
        return Err(damaged(&shown, format!("it has only {length} bytes")));
    };
    let trailer = objects.read(name, body, TRAILER_BYTES)?;
    let word = |at: usize| u64::from_le_bytes(trailer[at..at + 8].try_into().expect("eight bytes"));
    if &trailer[16..] != MAGIC {
        return Err(damaged(&shown, format!("bytes {body} to {length} are not how a snapshot ends")));
    }
    let (bytes, checksum) = (word(0), word(8));
    if bytes > body.min(MANIFEST_BYTES_MAX) {
        return Err(damaged(&shown, format!("byte {body}: its manifest cannot have {bytes} bytes")));
    }
    let text = objects.read(name, body - bytes, bytes)?;
    if checksum_of(&text) != checksum {
        let why = format!("bytes {} to {body} (its manifest) do not match their checksum", body - bytes);
        return Err(damaged(&shown, why));
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| damaged(&shown, error))?;
    if manifest.version != VERSION {
        let why = format!("{shown} has layout {} and this weir reads {VERSION}", manifest.version);
        return Err(SeamError::new(ErrorKind::Config, why));
    }
    if (manifest.pipeline.as_str(), manifest.name.as_str()) != (pipeline, name) {
        let why = format!("it is snapshot {} of pipeline {}", manifest.name, manifest.pipeline);
        return Err(damaged(&shown, why));
    }
    Ok(manifest)
}
