//! Going back: rows of epochs that recovery has to undo are cut off the file. Refuses to cut what others wrote.

use std::path::Path;

use weir_disk::disk_error;
use weir_model::{ErrorKind, SeamError, SeamResult, Vfs};

use super::super::note::{self, LinesNote};
use super::super::staged::length;
use super::LinesFile;

impl LinesFile {
    /// The note of a commit that goes back behind `undone`; `None` when the rows of these do not lie one after the other
    /// at the end of this file.
    pub(in super::super) fn take_back(&self, kept: Option<&str>, undone: &[String]) -> SeamResult<Option<String>> {
        let file = self.path.to_string_lossy();
        let read = |note: &String| note::read::<LinesNote>(&file, note);
        let undone = undone.iter().map(read).collect::<SeamResult<Vec<_>>>()?;
        let kept = kept.map(|note| note::read::<LinesNote>(&file, note)).transpose()?;
        let Some(first) = undone.first() else { return Ok(None) };
        let in_this_file = undone.iter().chain(&kept).all(|note| note.file == file);
        let together = undone.windows(2).all(|notes| notes[1].length_before <= notes[0].length_most());
        let most = undone.iter().map(LinesNote::length_most).max().unwrap_or(0);
        let wrote = most > first.length_before;
        let found = length(&*self.vfs, &self.path)?.unwrap_or(0);
        if !in_this_file || !together || (wrote && found > most) {
            return Ok(None);
        }
        let note = LinesNote {
            length_before: first.length_before,
            columns: kept.and_then(|note| note.columns),
            cut_from: wrote.then_some(most),
            ..self.nothing()
        };
        Ok(Some(note::write(&note)))
    }

    /// The note of a commit that leaves the file as it is.
    pub(in super::super) fn let_stand(&self) -> SeamResult<String> {
        let length_before = length(&*self.vfs, &self.path)?.unwrap_or(0);
        Ok(note::write(&LinesNote { length_before, columns: self.standing().columns.clone(), ..self.nothing() }))
    }

    /// The note of an epoch without rows, of which the rest remains to be said.
    fn nothing(&self) -> LinesNote {
        LinesNote {
            file: self.path.to_string_lossy().into_owned(),
            staged: String::new(),
            format: self.format_name().to_owned(),
            length_before: 0,
            bytes: 0,
            checksum: 0,
            columns: None,
            cut_from: None,
        }
    }
}

/// Cuts the file of a note that goes back, if that was not done yet; returns its length.
pub(super) fn cut(vfs: &dyn Vfs, note: &LinesNote, found: u64, cut_from: u64) -> SeamResult<u64> {
    let file = Path::new(&note.file);
    if found > cut_from {
        let message = format!(
            "{} was to be cut to its first {} bytes, but it grew from {cut_from} to {found} bytes meanwhile: move what \
             someone else wrote to it away",
            file.display(),
            note.length_before
        );
        return Err(SeamError::new(ErrorKind::Config, message));
    }
    if found > note.length_before {
        vfs.truncate(file, note.length_before).map_err(|error| disk_error("truncate", file, error))?;
    }
    Ok(note.length_before)
}
