//! Search indexes that were opened lately, and what they leave of each scan. Keeps within a limit of memory; an index that
//! cannot be asked is told about, and its segment is read as a whole.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use weir_store::{Blocks, IndexFault, TokenIndex};

use crate::abreast::Threads;
use crate::needle::Wanted;
use crate::snapshot::Segment;

/// Open files of indexes.
const OPEN_MAX: usize = 512;

/// Indexes that are kept open.
#[derive(Debug)]
pub(crate) struct Indexes {
    kept: Mutex<Kept>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_path: HashMap<PathBuf, (Arc<TokenIndex>, u64)>,
    /// Counts uses.
    now: u64,
}

impl Indexes {
    /// Keeps at most about `bytes_max` bytes of indexes in memory.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { kept: Mutex::default(), bytes_max }
    }

    /// The blocks of `segment` that may have rows that are wanted; `None` when it has no index.
    pub(crate) fn blocks(&self, segment: &Segment, wanted: &Wanted) -> Result<Option<(Blocks, usize)>, IndexFault> {
        let Some(path) = &segment.index else { return Ok(None) };
        let index = self.open(path, segment)?;
        let blocks = wanted.blocks(&index);
        if blocks.is_err() {
            self.forget(segment);
        }
        Ok(Some((blocks?, index.block_rows())))
    }

    /// The index of `segment`; `None` when it has none.
    pub(crate) fn index(&self, segment: &Segment) -> Result<Option<Arc<TokenIndex>>, IndexFault> {
        segment.index.as_deref().map(|path| self.open(path, segment)).transpose()
    }

    /// Who looks into the indexes of `segments`: several threads where many are not open yet.
    pub(crate) fn threads_for(&self, segments: &[&Segment]) -> Threads {
        Threads::to_wait_for(self.closed(segments).iter())
    }

    /// Opens the indexes of `segments`. What is wrong with one is found out by whoever asks it.
    pub(crate) fn open_all(&self, segments: &[&Segment]) {
        let closed = self.closed(segments);
        Threads::to_wait_for(closed.iter()).map(&closed, |segment| drop(self.index(segment)));
    }

    /// Those of `segments` whose indexes are not open.
    fn closed<'a>(&self, segments: &[&'a Segment]) -> Vec<&'a Segment> {
        let kept = self.kept();
        let is_closed =
            |segment: &&&Segment| segment.index.as_ref().is_some_and(|path| !kept.by_path.contains_key(path));
        segments.iter().filter(is_closed).copied().collect()
    }

    /// Forgets the index of `segment`, which is damaged: another is made in its place.
    pub(crate) fn forget(&self, segment: &Segment) {
        if let Some(path) = &segment.index {
            self.kept().by_path.remove(path);
        }
    }

    fn open(&self, path: &Path, segment: &Segment) -> Result<Arc<TokenIndex>, IndexFault> {
        let mut kept = self.kept();
        kept.now += 1;
        let now = kept.now;
        if let Some((index, used)) = kept.by_path.get_mut(path) {
            *used = now;
            return Ok(Arc::clone(index));
        }
        drop(kept);
        let index = Arc::new(TokenIndex::open(path, segment.rows, segment.bytes)?);
        self.kept().by_path.insert(path.to_owned(), (Arc::clone(&index), now));
        Ok(index)
    }

    /// Closes those that were used longest ago until the others are within the limits.
    pub(crate) fn trim(&self) {
        let mut kept = self.kept();
        let mut bytes: usize = kept.by_path.values().map(|(index, _)| index.memory_bytes()).sum();
        while bytes > self.bytes_max || kept.by_path.len() > OPEN_MAX {
            let oldest = kept.by_path.iter().min_by_key(|(_, (_, used))| *used).map(|(path, _)| path.clone());
            let Some((index, _)) = oldest.and_then(|path| kept.by_path.remove(&path)) else { return };
            bytes = bytes.saturating_sub(index.memory_bytes());
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one scan reads and leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scanned {
    pub(crate) table: String,
    pub(crate) segments: usize,
    /// Left out because of their times.
    pub(crate) by_time: usize,
    /// Left out because of their search indexes.
    pub(crate) by_index: usize,
    /// Blocks of the segments whose indexes were asked, and how many of them are read.
    pub(crate) blocks: usize,
    pub(crate) blocks_read: usize,
    /// Rows that the shapes of texts leave, where they say which.
    pub(crate) picked: Option<u64>,
    /// Of these, rows of which nothing is wanted but how many they are.
    pub(crate) counted: u64,
    /// The index was not asked: the conditions say nothing that it knows.
    pub(crate) is_plain: bool,
    /// Indexes that could not be asked.
    pub(crate) faults: usize,
    pub(crate) fresh_rows: usize,
    /// What is read at most.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What a query reads at most, as far as that is known before it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Segments of its tables.
    pub segments: usize,
    /// Segments that are read.
    pub segments_read: usize,
    /// Rows of them, those in memory included.
    pub rows: u64,
    /// Bytes of them; a query that needs few columns reads less.
    pub bytes: u64,
    /// Whether a search index was asked: without one, everything between two times is read.
    pub is_indexed: bool,
}

impl std::fmt::Display for Scanned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let read = self.segments - self.by_time - self.by_index;
        write!(f, "{}: {read} of {} segments are read", self.table, self.segments)?;
        if self.by_time > 0 {
            write!(f, "; {} skipped by time", self.by_time)?;
        }
        if self.counted > 0 {
            write!(f, "; {} skipped by the search index, which knows {} rows", self.by_index, self.counted)?;
        } else if let Some(rows) = self.picked {
            write!(f, "; {} skipped by the search index, which leaves {rows} rows", self.by_index)?;
        } else if self.is_plain {
            write!(f, "; no condition that the search index knows")?;
        } else {
            write!(f, "; {} skipped by the search index, which leaves ", self.by_index)?;
            write!(f, "{} of {} blocks", self.blocks_read, self.blocks)?;
        }
        if self.faults > 0 {
            write!(f, "; {} read as a whole without a search index", self.faults)?;
        }
        if self.fresh_rows > 0 {
            write!(f, "; {} rows in memory", self.fresh_rows)?;
        }
        write!(f, "; at most {} rows and {} bytes", self.rows, self.bytes)
    }
}

/// A search index that could not be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadIndex {
    pub(crate) table: String,
    /// Of the segment.
    pub(crate) path: PathBuf,
    pub(crate) reason: String,
}

#[derive(Debug, Default)]
struct Said {
    scans: Vec<Scanned>,
    rollups: Vec<String>,
    faults: Vec<BadIndex>,
}

/// What one query reads, as far as it is planned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scans(Arc<Mutex<Said>>);

impl Scans {
    /// Remembers a scan; planning may make the same one several times.
    pub(crate) fn add(&self, scanned: Scanned) {
        let mut said = self.said();
        if !said.scans.contains(&scanned) {
            said.scans.push(scanned);
        }
    }

    /// Remembers what is answered by rollups.
    pub(crate) fn say(&self, rollups: String) {
        self.said().rollups.push(rollups);
    }

    /// Remembers an index that could not be asked.
    pub(crate) fn fault(&self, table: &str, path: &Path, reason: &str) {
        let fault = BadIndex { table: table.to_owned(), path: path.to_owned(), reason: reason.to_owned() };
        let mut said = self.said();
        if !said.faults.contains(&fault) {
            said.faults.push(fault);
        }
    }

    /// One line for each rollup and each scan.
    pub(crate) fn lines(&self) -> Vec<String> {
        let said = self.said();
        said.rollups.iter().cloned().chain(said.scans.iter().map(Scanned::to_string)).collect()
    }

    /// What all scans read.
    pub(crate) fn cost(&self) -> Cost {
        let said = self.said();
        let sum = said.scans.iter().map(|scan| Cost {
            segments: scan.segments,
            segments_read: scan.segments - scan.by_time - scan.by_index,
            rows: scan.rows + scan.fresh_rows as u64,
            bytes: scan.bytes,
            is_indexed: !scan.is_plain || scan.picked.is_some(),
        });
        sum.reduce(|a, b| Cost {
            segments: a.segments + b.segments,
            segments_read: a.segments_read + b.segments_read,
            rows: a.rows + b.rows,
            bytes: a.bytes + b.bytes,
            is_indexed: a.is_indexed && b.is_indexed,
        })
        .unwrap_or_default()
    }

    /// The indexes that could not be asked.
    pub(crate) fn faults(&self) -> Vec<BadIndex> {
        self.said().faults.clone()
    }

    fn said(&self) -> std::sync::MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
