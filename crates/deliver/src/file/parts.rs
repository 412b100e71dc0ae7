//! A folder of Parquet files, at least one for every epoch that has rows. Refuses to change a file once it is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tracing::warn;
use weir_disk::disk_error;
use weir_model::{Epoch, ErrorKind, FileKind, SeamError, SeamResult, Vfs};

use super::note::{self, Part, PartsNote};
use super::staged::{StagedFile, length, remove, sync_folder};
use crate::{FileMode, FileOutput};

/// A file is closed when it has so many rows, ...
const PART_ROWS_MAX: usize = 131_072 * 4;
/// ... or so many bytes: it is built in memory.
const PART_BYTES_MAX: usize = 64 << 20;
const ROW_GROUP_ROWS: usize = 131_072;
const ZSTD_LEVEL: i32 = 3;

const STAGED: &str = ".staged";
const PARQUET: &str = ".parquet";

/// A folder of Parquet files.
#[derive(Debug)]
pub(super) struct PartsFolder {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    /// The file that is being built.
    writer: Option<Building>,
    /// Files of this epoch that are on the disk, under the names of [`building`].
    written: Vec<(u64, u64)>,
    /// A file that waits for a full disk.
    pending: Vec<u8>,
    stage: Option<StagedFile>,
    /// The first start replaces what is there, when the first epoch commits.
    overwrite: bool,
}

struct Building {
    schema: SchemaRef,
    rows: usize,
    writer: ArrowWriter<Vec<u8>>,
}

impl std::fmt::Debug for Building {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Building").field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn building(number: usize) -> String {
    format!("building-{number}{STAGED}")
}

impl PartsFolder {
    pub(super) fn open(vfs: Arc<dyn Vfs>, config: &FileOutput, committed: Option<&str>) -> SeamResult<Self> {
        let path = PathBuf::from(&config.path);
        vfs.create_folder(&path).map_err(|error| disk_error("create", &path, error))?;
        let note = committed.map(|note| note::read::<PartsNote>(&config.path, note)).transpose()?;
        let first_start = note.is_none_or(|note| note.folder != config.path);
        let folder = Self {
            vfs,
            path,
            writer: None,
            written: Vec::new(),
            pending: Vec::new(),
            stage: None,
            overwrite: first_start && config.mode == FileMode::Overwrite,
        };
        if first_start && config.mode == FileMode::New && !folder.files(PARQUET)?.is_empty() {
            let message = format!(
                "{} holds Parquet files that were not written by this pipeline: move them away, choose another path, \
                 or say mode: append or mode: overwrite",
                folder.path.display()
            );
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        Ok(folder)
    }

    /// The files of the folder whose names end in `suffix`.
    fn files(&self, suffix: &str) -> SeamResult<Vec<PathBuf>> {
        let entries = self.vfs.list(&self.path).map_err(|error| disk_error("list", &self.path, error))?;
        let is_one = |(path, kind): &(PathBuf, FileKind)| {
            *kind == FileKind::File && path.to_str().is_some_and(|path| path.ends_with(suffix))
        };
        Ok(entries.into_iter().filter(is_one).map(|(path, _)| path).collect())
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> SeamResult<()> {
        // What waits for a full disk goes first, or memory would fill with it.
        self.drain()?;
        let other_schema = self.writer.as_ref().is_some_and(|building| building.schema != rows.schema());
        if other_schema {
            self.close()?;
        }
        let building = match &mut self.writer {
            Some(building) => building,
            empty => empty.insert(begin(rows.schema())?),
        };
        building.writer.write(rows).map_err(|error| encoding(&self.path, error))?;
        building.rows += rows.num_rows();
        let bytes = building.writer.bytes_written() + building.writer.in_progress_size();
        if building.rows >= PART_ROWS_MAX || bytes >= PART_BYTES_MAX {
            self.close()?;
        }
        Ok(())
    }

    /// Ends the file that is being built. A full disk is no error here: the file waits in memory.
    fn close(&mut self) -> SeamResult<()> {
        let Some(building) = self.writer.take() else { return Ok(()) };
        self.pending = building.writer.into_inner().map_err(|error| encoding(&self.path, error))?;
        match self.drain() {
            Err(error) if error.kind == ErrorKind::Retry => warn!("{}", error.full()),
            result => return result,
        }
        Ok(())
    }

    fn drain(&mut self) -> SeamResult<()> {
        if self.pending.is_empty() && self.stage.is_none() {
            return Ok(());
        }
        let path = self.path.join(building(self.written.len()));
        let stage = match &mut self.stage {
            Some(stage) => stage,
            empty => empty.insert(StagedFile::create(&*self.vfs, &path)?),
        };
        stage.drain(&mut self.pending)?;
        let checksum = stage.sync()?;
        self.written.push((stage.bytes, checksum));
        self.stage = None;
        self.pending = Vec::new();
        Ok(())
    }

    pub(super) fn prepare(&mut self, epoch: Epoch) -> SeamResult<String> {
        self.close()?;
        self.drain()?;
        let mut parts = Vec::with_capacity(self.written.len());
        for (number, &(bytes, checksum)) in self.written.iter().enumerate() {
            let name = format!("part-{epoch}-{number}{PARQUET}");
            let (from, to) = (self.path.join(building(number)), self.path.join(format!("{name}{STAGED}")));
            // A call before this one may have come so far already.
            if length(&*self.vfs, &from)?.is_some() {
                self.vfs.rename(&from, &to).map_err(|error| disk_error("name", &to, error))?;
            }
            parts.push(Part { name, bytes, checksum });
        }
        if !parts.is_empty() {
            sync_folder(&*self.vfs, &self.path)?;
        }
        self.written.clear();
        let replaces = if self.overwrite && !parts.is_empty() { self.replaced(&parts)? } else { Vec::new() };
        Ok(note::write(&PartsNote { folder: self.path.to_string_lossy().into_owned(), parts, replaces }))
    }

    /// The files that are there and are none of `parts`.
    fn replaced(&self, parts: &[Part]) -> SeamResult<Vec<String>> {
        let names = self.files(PARQUET)?.into_iter();
        let names = names.filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()));
        Ok(names.filter(|name| parts.iter().all(|part| part.name != *name)).collect())
    }

    pub(super) fn commit(&mut self, note: &str) -> SeamResult<()> {
        let note: PartsNote = note::read(&self.path.to_string_lossy(), note)?;
        let folder = Path::new(&note.folder);
        for name in &note.replaces {
            remove(&*self.vfs, &folder.join(name))?;
        }
        self.overwrite &= note.parts.is_empty();
        for part in &note.parts {
            publish(&*self.vfs, folder, part)?;
        }
        let changed = !note.parts.is_empty() || !note.replaces.is_empty();
        if changed { sync_folder(&*self.vfs, folder) } else { Ok(()) }
    }

    /// The note of a commit that goes back behind `undone`; `None` when these filled another folder.
    pub(super) fn take_back(&self, undone: &[String]) -> SeamResult<Option<String>> {
        let folder = self.path.to_string_lossy();
        let mut replaces = Vec::new();
        for note in undone {
            let note: PartsNote = note::read(&folder, note)?;
            if note.folder != folder {
                return Ok(None);
            }
            replaces.extend(note.parts.into_iter().map(|part| part.name));
        }
        Ok(Some(note::write(&PartsNote { folder: folder.into_owned(), parts: Vec::new(), replaces })))
    }

    /// The note of a commit that leaves the folder as it is.
    pub(super) fn let_stand(&self) -> String {
        let folder = self.path.to_string_lossy().into_owned();
        note::write(&PartsNote { folder, parts: Vec::new(), replaces: Vec::new() })
    }

    pub(super) fn abort(&mut self, last: Epoch) -> SeamResult<()> {
        (self.writer, self.stage) = (None, None);
        self.pending.clear();
        self.written.clear();
        let of_last = format!("part-{last}-");
        for path in self.files(STAGED)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_ours = name.starts_with("building-") || name.starts_with("part-");
            if is_ours && !name.starts_with(&of_last) {
                remove(&*self.vfs, &path)?;
            }
        }
        Ok(())
    }
}

fn begin(schema: SchemaRef) -> SeamResult<Building> {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|error| encoding(Path::new(""), error))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties));
    Ok(Building { schema, rows: 0, writer: writer.map_err(|error| encoding(Path::new(""), error))? })
}

fn encoding(path: &Path, error: parquet::errors::ParquetError) -> SeamError {
    SeamError::caused(ErrorKind::Closed, format!("rows for {} cannot be encoded as Parquet", path.display()), error)
}

/// Gives a staged file its name, if it has not got it yet.
fn publish(vfs: &dyn Vfs, folder: &Path, part: &Part) -> SeamResult<()> {
    let (staged, path) = (folder.join(format!("{}{STAGED}", part.name)), folder.join(&part.name));
    match length(vfs, &staged)? {
        Some(bytes) if bytes == part.bytes => {
            vfs.rename(&staged, &path).map_err(|error| disk_error("name", &path, error))
        }
        Some(bytes) => {
            let message = format!("{} has {bytes} bytes, but {} were committed", staged.display(), part.bytes);
            Err(SeamError::new(ErrorKind::Corrupt, message))
        }
        None if length(vfs, &path)?.is_some() => Ok(()),
        None => {
            let message = format!("{} was committed and is gone: put it back", path.display());
            Err(SeamError::new(ErrorKind::Config, message))
        }
    }
}
