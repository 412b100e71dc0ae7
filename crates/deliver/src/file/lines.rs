//! One growing file: of lines, or of the blocks of an Avro container. Refuses rows that its header has no column for.

mod back;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use tracing::warn;
use weir_disk::{disk_error, sync_error};
use weir_model::{Epoch, ErrorKind, FileKind, SeamError, SeamResult, Vfs, VfsFile, planted};
use xxhash_rust::xxh3::Xxh3;

use self::back::cut;
use super::note::{self, LinesNote};
use super::staged::{StagedFile, folder_of, length, remove, sync_folder};
use crate::encode::{avro_schema, container_block, container_header, csv_header, csv_rows, ndjson, plain};
use crate::{FileFormat, FileMode, FileOutput};

/// How many encoded bytes gather before they are written.
const WRITE_BYTES: usize = 256 << 10;
/// How many may wait for a full disk before rows are refused.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// How much is copied at once.
const COPY_BYTES: usize = 256 << 10;

/// A file of lines.
#[derive(Debug)]
pub(super) struct LinesFile {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    format: FileFormat,
    /// How the file is as of the last commit that is known.
    committed: Standing,
    /// Prepared epochs that are not committed yet, and how the file is after each.
    prepared: Vec<(Epoch, Standing)>,
    /// Encoded rows that are not on the disk yet.
    pending: Vec<u8>,
    stage: Option<StagedFile>,
    /// The header of the epoch that is being built, if it has rows.
    columns: Option<Vec<String>>,
    /// The length at which the file lacks a newline at its end, so that the first row begins with one.
    newline_missing_at: Option<u64>,
}

/// How long the file is, and which columns its header has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Standing {
    length: u64,
    columns: Option<Vec<String>>,
}

impl LinesFile {
    pub(super) fn open(vfs: Arc<dyn Vfs>, config: &FileOutput, committed: Option<&str>) -> SeamResult<Self> {
        let path = PathBuf::from(&config.path);
        vfs.create_folder(folder_of(&path)).map_err(|error| disk_error("create", folder_of(&path), error))?;
        let mut file = Self {
            vfs,
            path,
            format: config.format,
            committed: Standing::default(),
            prepared: Vec::new(),
            pending: Vec::new(),
            stage: None,
            columns: None,
            newline_missing_at: None,
        };
        let note = committed.map(|note| note::read::<LinesNote>(&config.path, note)).transpose()?;
        file.committed = match note.filter(|note| note.file == config.path) {
            Some(note) if note.format != file.format_name() => return Err(file.other_format(&note.format)),
            Some(note) => Standing { length: note.length_after(), columns: note.columns },
            None => Standing { length: file.length_at_first_start(config.mode)?, columns: None },
        };
        let length = file.committed.length;
        if length > 0
            && length == self::length(&*file.vfs, &file.path)?.unwrap_or(0)
            && !file.ends_in_newline(length)?
        {
            file.newline_missing_at = Some(length);
        }
        Ok(file)
    }

    fn format_name(&self) -> &'static str {
        match self.format {
            FileFormat::Ndjson => "ndjson",
            FileFormat::Csv => "csv",
            FileFormat::Avro => "avro",
            FileFormat::Parquet => "parquet",
        }
    }

    fn other_format(&self, format: &str) -> SeamError {
        let message = format!(
            "{} was written as {format} by this pipeline: choose another path for {}",
            self.path.display(),
            self.format_name()
        );
        SeamError::new(ErrorKind::Config, message)
    }

    fn length_at_first_start(&self, mode: FileMode) -> SeamResult<u64> {
        let length = length(&*self.vfs, &self.path)?.unwrap_or(0);
        match mode {
            FileMode::New if length > 0 => Err(SeamError::new(
                ErrorKind::Config,
                format!(
                    "{} exists and was not written by this pipeline: move it away, choose another path, or say \
                     mode: append or mode: overwrite",
                    self.path.display()
                ),
            )),
            FileMode::New | FileMode::Overwrite => Ok(0),
            FileMode::Append => Ok(length),
        }
    }

    fn ends_in_newline(&self, length: u64) -> SeamResult<bool> {
        let mut last = Vec::new();
        let read = self.vfs.open(&self.path, length - 1).and_then(|mut file| file.read_to_end(&mut last));
        read.map_err(|error| disk_error("read", &self.path, error))?;
        Ok(last.ends_with(b"\n"))
    }

    /// How the file will be when everything that is prepared is committed.
    fn standing(&self) -> &Standing {
        self.prepared.last().map_or(&self.committed, |(_, standing)| standing)
    }

    pub(super) fn write(&mut self, rows: &RecordBatch) -> SeamResult<()> {
        if self.pending.len() >= WAITING_BYTES_MAX {
            self.drain()?;
        }
        let begins = self.stage.is_none() && self.pending.is_empty();
        let is_text = self.format != FileFormat::Avro;
        if begins && is_text && self.newline_missing_at == Some(self.standing().length) {
            self.pending.push(b'\n');
        }
        match self.format {
            FileFormat::Csv => self.encode_csv(rows)?,
            FileFormat::Avro => self.encode_avro(rows)?,
            FileFormat::Ndjson | FileFormat::Parquet => ndjson(rows, &mut self.pending),
        }
        if self.pending.len() >= WRITE_BYTES {
            match self.drain() {
                // The rows are taken and wait; the next call or the end of the epoch tries again.
                Err(error) if error.kind == ErrorKind::Retry => warn!("{}", error.full()),
                result => return result,
            }
        }
        Ok(())
    }

    fn encode_csv(&mut self, rows: &RecordBatch) -> SeamResult<()> {
        let names = || rows.schema_ref().fields().iter().map(|field| field.name().clone());
        let columns = match self.columns.clone().or_else(|| self.standing().columns.clone()) {
            Some(columns) => columns,
            None => {
                let columns: Vec<String> = names().collect();
                if self.standing().length == 0 {
                    csv_header(&columns, &mut self.pending);
                }
                columns
            }
        };
        if let Some(new) = names().find(|name| !columns.contains(name)) {
            let message = format!(
                "column {new} appeared after the header of {} was written: list the columns in a select step, or \
                 write ndjson",
                self.path.display()
            );
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        csv_rows(rows, &columns, &mut self.pending);
        self.columns = Some(columns);
        Ok(())
    }

    /// The schema of a container stands where the columns of CSV do.
    fn encode_avro(&mut self, rows: &RecordBatch) -> SeamResult<()> {
        let wrong = |path: &Path, reason: &str| {
            let message = format!(
                "rows do not fit the schema in the header of {}: {reason}: list the columns in a select step, or write ndjson",
                path.display()
            );
            SeamError::new(ErrorKind::Config, message)
        };
        let known = self.columns.clone().or_else(|| self.standing().columns.clone());
        let schema = match known.as_deref() {
            Some([schema]) => schema.clone(),
            Some(_) => return Err(wrong(&self.path, "there is none")),
            None if self.standing().length > 0 => {
                return Err(wrong(&self.path, "it was written by someone else, and is not read"));
            }
            None => {
                let stem = self.path.file_stem().map(|stem| stem.to_string_lossy()).unwrap_or_default();
                let schema = avro_schema(&plain(&stem), rows.schema_ref().fields()).to_string();
                container_header(&schema, &mut self.pending);
                schema
            }
        };
        let known = |name: &String| schema.contains(&format!("\"name\":\"{}\"", plain(name)));
        if let Some(new) = rows.schema_ref().fields().iter().map(|field| field.name()).find(|name| !known(name)) {
            return Err(wrong(&self.path, &format!("column {new} appeared after it was written")));
        }
        container_block(&schema, rows, &mut self.pending).map_err(|reason| wrong(&self.path, &reason))?;
        self.columns = Some(vec![schema]);
        Ok(())
    }

    fn building(&self) -> PathBuf {
        with_suffix(&self.path, ".staged")
    }

    fn drain(&mut self) -> SeamResult<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let building = self.building();
        let stage = match &mut self.stage {
            Some(stage) => stage,
            empty => empty.insert(StagedFile::create(&*self.vfs, &building)?),
        };
        stage.drain(&mut self.pending)
    }

    pub(super) fn prepare(&mut self, epoch: Epoch) -> SeamResult<String> {
        if self.prepared.last().is_some_and(|(last, _)| *last == epoch) {
            // The file was renamed, but its folder's sync failed: that is fatal, and nobody asks again.
            return Err(SeamError::new(ErrorKind::Closed, format!("epoch {epoch} was prepared already")));
        }
        self.drain()?;
        let staged = with_suffix(&self.path, &format!(".epoch-{epoch}.staged"));
        let before = self.standing().clone();
        let (mut bytes, mut checksum) = (0, 0);
        if let Some(stage) = &mut self.stage {
            (bytes, checksum) = (stage.bytes, stage.sync()?);
            let building = self.building();
            self.vfs.rename(&building, &staged).map_err(|error| disk_error("name", &staged, error))?;
            self.stage = None;
            if !planted!(StageNameNotSynced) {
                sync_folder(&*self.vfs, folder_of(&self.path))?;
            }
        }
        let note = LinesNote {
            file: self.path.to_string_lossy().into_owned(),
            staged: staged.to_string_lossy().into_owned(),
            format: self.format_name().to_owned(),
            length_before: before.length,
            bytes,
            checksum,
            columns: self.columns.take().or(before.columns),
            cut_from: None,
        };
        self.prepared.push((epoch, Standing { length: note.length_after(), columns: note.columns.clone() }));
        Ok(note::write(&note))
    }

    pub(super) fn commit(&mut self, epoch: Epoch, note: &str) -> SeamResult<()> {
        let note: LinesNote = note::read(&self.path.to_string_lossy(), note)?;
        let length = roll_forward(&*self.vfs, &note)?;
        self.prepared.retain(|(prepared, _)| *prepared > epoch);
        if Path::new(&note.file) == self.path {
            if length > note.length_after() {
                warn!(
                    file = note.file,
                    "{} bytes were written to it by someone else: they stay, and writing goes on after them",
                    length - note.length_after()
                );
            }
            self.committed = Standing { length, columns: note.columns };
        }
        Ok(())
    }

    pub(super) fn abort(&mut self, last: Epoch) -> SeamResult<()> {
        self.prepared.retain(|(epoch, _)| *epoch <= last);
        self.stage = None;
        self.columns = None;
        self.pending.clear();
        let folder = folder_of(&self.path);
        let entries = self.vfs.list(folder).map_err(|error| disk_error("list", folder, error))?;
        for (path, kind) in entries {
            let epoch = staged_epoch(&self.path, &path);
            if kind == FileKind::File
                && epoch.is_some_and(|epoch| epoch != Some(last) || planted!(AbortRemovesCommitted))
            {
                remove(&*self.vfs, &path)?;
            }
        }
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether `path` is a staged file of `file`: of an epoch, or of the one that is being built (`Some(None)`).
fn staged_epoch(file: &Path, path: &Path) -> Option<Option<Epoch>> {
    let name = path.file_name()?.to_str()?;
    let rest = name.strip_prefix(file.file_name()?.to_str()?)?.strip_suffix(".staged")?;
    if rest.is_empty() {
        return Some(None);
    }
    rest.strip_prefix(".epoch-")?.parse().ok().map(|epoch| Some(Epoch(epoch)))
}

/// Puts the staged rows of `note` where they belong, if they are not there yet; returns the file's length.
fn roll_forward(vfs: &dyn Vfs, note: &LinesNote) -> SeamResult<u64> {
    let (file, staged) = (Path::new(&note.file), Path::new(&note.staged));
    let found = length(vfs, file)?.unwrap_or(0);
    let waits = note.bytes > 0 && length(vfs, staged)?.is_some();
    let (least, most) = if waits { (note.length_before, note.length_before) } else { (note.length_after(), u64::MAX) };
    // Nothing of a file that will be overwritten was committed before its first rows.
    let untouched = note.length_after() == 0 && note.cut_from.is_none();
    if found < least && !untouched {
        let message = format!(
            "{} has {found} bytes, but {least} were committed to it: put it back as it was, or write to another path",
            file.display()
        );
        return Err(SeamError::new(ErrorKind::Config, message));
    }
    if let Some(cut_from) = note.cut_from {
        return cut(vfs, note, found, cut_from);
    }
    if !waits {
        return Ok(if untouched { 0 } else { found });
    }
    if found > most && !planted!(CommitTwice) {
        vfs.truncate(file, note.length_before).map_err(|error| disk_error("truncate", file, error))?;
    }
    append(vfs, note)?;
    remove(vfs, staged)?;
    Ok(note.length_after())
}

fn append(vfs: &dyn Vfs, note: &LinesNote) -> SeamResult<()> {
    let (path, staged) = (Path::new(&note.file), Path::new(&note.staged));
    let mut from = vfs.open(staged, 0).map_err(|error| disk_error("read", staged, error))?;
    let mut to = vfs.append(path).map_err(|error| disk_error("open", path, error))?;
    if let Err(error) = copy(&mut *from, &mut *to, note) {
        drop(to);
        // Half of it must not be seen; if this fails too, recovery does it.
        let _ = vfs.truncate(path, note.length_before);
        return Err(error);
    }
    if planted!(CopyNotSynced) {
        return Ok(());
    }
    to.sync().map_err(|error| sync_error(path, error))?;
    sync_folder(vfs, folder_of(path))
}

fn copy(from: &mut dyn Read, to: &mut dyn VfsFile, note: &LinesNote) -> SeamResult<()> {
    let (path, staged) = (Path::new(&note.file), Path::new(&note.staged));
    let (mut buffer, mut hash, mut bytes) = (vec![0; COPY_BYTES], Xxh3::new(), 0);
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(disk_error("read", staged, error)),
        };
        hash.update(&buffer[..read]);
        bytes += read as u64;
        to.write_all(&buffer[..read]).map_err(|error| disk_error("write", path, error))?;
    }
    if (bytes, hash.digest()) == (note.bytes, note.checksum) {
        return Ok(());
    }
    let message = format!(
        "{} is damaged: it has {bytes} bytes, and is not what was committed ({} bytes); its rows are not in {}",
        staged.display(),
        note.bytes,
        path.display()
    );
    Err(SeamError::new(ErrorKind::Corrupt, message))
}
