//! A bit that flips while nobody looks. It must be noticed, or not matter; then it is put right again.

use std::path::{Path, PathBuf};

use weir_disk::read_file;
use weir_model::{ErrorKind, SeamError, Vfs};

use crate::client::Client;
use crate::world::World;

/// At least so much of the end of a segment of the log stays whole: what a torn end looks like is cut off as one, and
/// whether it was acknowledged nobody can tell.
const END_BYTES: usize = 1200;

/// A flipped bit.
pub(crate) struct Damage {
    path: PathBuf,
    byte: usize,
    bit: u8,
    /// What the file had before.
    content: Vec<u8>,
}

impl Damage {
    /// Flips a bit of a file that `numbers` choose; `None` if there is none that may be damaged.
    pub(crate) fn inflict(world: &World, client: &Client, (file, byte, bit): (u64, u64, u8)) -> Option<Self> {
        let files = world.disk.files();
        let has_posts = client.next().is_some();
        let candidates: Vec<_> =
            files.iter().filter(|(path, content)| has_posts && breadth(path, content) > 0).collect();
        let (path, content) = candidates.get(usize::try_from(file).ok()? % candidates.len().max(1))?;
        let byte = usize::try_from(byte).ok()? % breadth(path, content);
        world.disk.damage(path, |content| content[byte] ^= 1 << bit);
        Some(Self { path: path.clone(), byte, bit, content: content.clone() })
    }

    /// Whether `error` says that this is damaged.
    pub(crate) fn is_named_by(&self, error: &SeamError) -> bool {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        error.kind == ErrorKind::Corrupt && error.full().contains(&name)
    }

    /// Puts the bit right again.
    pub(crate) fn undo(&self, world: &World) -> Result<(), String> {
        let Ok(now) = read_file(&world.disk, &self.path) else { return Ok(()) };
        let kept = now.len().min(self.content.len());
        let differs = |at: usize| now[at] != self.content[at];
        if (0..kept).any(|at| differs(at) && at != self.byte) || world.disk.len(&self.path).is_err() {
            return Ok(());
        }
        if kept > self.byte && differs(self.byte) {
            world.disk.damage(&self.path, |content| content[self.byte] ^= 1 << self.bit);
        }
        Ok(())
    }
}

/// How many bytes of a file, from its beginning, may be damaged.
fn breadth(path: &Path, content: &[u8]) -> usize {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("snap") => content.len(),
        Some("log") => content.len().saturating_sub(END_BYTES),
        _ => 0,
    }
}
