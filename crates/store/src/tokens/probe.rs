//! Asks an index which blocks may match. Reads the header once, pieces of a column when they are first needed, and of the
//! words only the rows that are asked for. What is damaged is an error, never an answer.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Fields, Schema};
use weir_disk::checksum_of;

use super::file::{
    CODE_BYTES, ColumnHeader, GramsAt, Header, LANE_BYTES, PREFIX_BYTES, ShapesAt, WordsAt, lane_of, parse_header,
    parse_prefix, row_bytes, row_checksum, row_of, set_bytes,
};
use super::form::{Form, Verdict};
use super::need::{Blocks, Need};
use super::shapes::{self, Rows, Shape};
use crate::rollups::{Blob, Listed, Rollup, decode, parse_list};

/// Why an index cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum IndexFault {
    /// There is none.
    #[error("there is no index")]
    Missing,
    /// It is not what was written.
    #[error("the index is damaged: {0}")]
    Damaged(String),
    /// The disk does not give it.
    #[error("the index cannot be read: {0}")]
    Unreadable(#[source] io::Error),
}

/// Where an index is read from.
trait Source: Send + Sync {
    fn length(&self) -> io::Result<u64>;
    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl Source for File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

#[cfg(test)]
impl Source for Vec<u8> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok().and_then(|from| self.get(from..)?.get(..buffer.len()));
        from.map(|from| buffer.copy_from_slice(from)).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The index of one segment.
pub struct TokenIndex {
    source: Box<dyn Source>,
    header: Header,
    /// Of each column, once they were needed.
    grams: Vec<Mutex<Option<Arc<Vec<u8>>>>>,
    /// The same.
    shapes: Vec<Mutex<Option<Arc<Vec<Shape>>>>>,
    rollups: Mutex<Option<Arc<Vec<Listed>>>>,
    /// Groups, and sketches, of rollups that were needed, each with its size.
    groups: Mutex<BTreeMap<(usize, bool), (RecordBatch, usize)>>,
}

impl std::fmt::Debug for TokenIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIndex").field("header", &self.header).finish_non_exhaustive()
    }
}

fn damaged(why: impl Into<String>) -> IndexFault {
    IndexFault::Damaged(why.into())
}

fn unread(error: io::Error) -> IndexFault {
    match error.kind() {
        io::ErrorKind::NotFound => IndexFault::Missing,
        io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
        _ => IndexFault::Unreadable(error),
    }
}

/// What was read before.
fn kept<T>(place: &Mutex<Option<Arc<T>>>) -> Option<Arc<T>> {
    place.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

impl TokenIndex {
    /// Opens the index at `path` of a segment of `rows` rows in `bytes` bytes.
    ///
    /// # Errors
    /// When there is none, or none that belongs to such a segment.
    pub fn open(path: &Path, rows: u64, bytes: u64) -> Result<Self, IndexFault> {
        let index = Self::read(Box::new(File::open(path).map_err(unread)?))?;
        index.is_of(rows, bytes).then_some(index).ok_or_else(|| damaged("it belongs to another segment"))
    }

    /// An index that is in memory.
    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Result<Self, IndexFault> {
        Self::read(Box::new(bytes))
    }

    pub(crate) fn is_of(&self, rows: u64, bytes: u64) -> bool {
        self.header.rows == rows && self.header.subject.bytes == bytes
    }

    fn read(source: Box<dyn Source>) -> Result<Self, IndexFault> {
        let length = source.length().map_err(unread)?;
        let mut prefix = [0; PREFIX_BYTES];
        source.read(&mut prefix, 0).map_err(unread)?;
        let (header_bytes, checksum) = parse_prefix(&prefix).map_err(damaged)?;
        if length < (PREFIX_BYTES + header_bytes) as u64 {
            return Err(damaged("it ends too early"));
        }
        let mut header = vec![0; header_bytes];
        source.read(&mut header, PREFIX_BYTES as u64).map_err(unread)?;
        if checksum_of(&header) != checksum {
            return Err(damaged("its header does not match its checksum"));
        }
        let header = parse_header(&header, length).ok_or_else(|| damaged("its header makes no sense"))?;
        let grams = header.columns.iter().map(|_| Mutex::default()).collect();
        let shapes = header.columns.iter().map(|_| Mutex::default()).collect();
        Ok(Self { source, header, grams, shapes, rollups: Mutex::default(), groups: Mutex::default() })
    }

    /// How many blocks the segment has.
    pub fn blocks(&self) -> usize {
        self.header.blocks
    }

    /// How many rows each block has, but for the last.
    pub fn block_rows(&self) -> usize {
        self.header.block_rows
    }

    /// How many rows have no event time.
    pub fn timeless(&self) -> u64 {
        self.header.timeless
    }

    /// How many bytes of memory it takes.
    pub fn memory_bytes(&self) -> usize {
        let column = |column: &ColumnHeader| size_of::<ColumnHeader>() + column.name.len() + set_bytes(self.blocks());
        let grams = self.grams.iter().map(|grams| kept(grams).map_or(0, |grams| grams.len()));
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let groups: usize = groups.values().map(|(_, bytes)| bytes).sum();
        let shapes = self.shapes.iter().map(|shapes| kept(shapes).map_or(0, |shapes| shapes::memory_bytes(&shapes)));
        size_of::<Self>()
            + groups
            + shapes.sum::<usize>()
            + self.header.columns.iter().map(column).sum::<usize>()
            + grams.sum::<usize>()
    }

    /// The rollups of the segment: what they are by, how many groups each has, and whether it has sketches.
    ///
    /// # Errors
    /// When their list is damaged.
    pub fn rollups(&self) -> Result<Vec<(Rollup, u64, bool)>, IndexFault> {
        let listed = self.listed()?;
        Ok(listed.iter().map(|one| (one.rollup.clone(), one.groups, one.sketches.is_some())).collect())
    }

    fn listed(&self) -> Result<Arc<Vec<Listed>>, IndexFault> {
        let mut kept = self.rollups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept {
            return Ok(Arc::clone(kept));
        }
        let at = self.header.rollups;
        let mut list = vec![0; at.list_bytes];
        self.source.read(&mut list, at.offset).map_err(unread)?;
        if checksum_of(&list) != at.checksum {
            return Err(damaged("the list of rollups does not match its checksum"));
        }
        let listed = Arc::new(parse_list(&list).map_err(damaged)?);
        *kept = Some(Arc::clone(&listed));
        Ok(listed)
    }

    /// Whether the groups of a rollup, by its place in [`TokenIndex::rollups`], are in memory.
    pub fn has_in_memory(&self, at: usize, with_sketches: bool) -> bool {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&(at, with_sketches))
    }

    /// The groups of a rollup, by its place in [`TokenIndex::rollups`], with their sketches if these are wanted.
    ///
    /// # Errors
    /// When it is damaged, or has no sketches.
    pub fn rollup(&self, at: usize, with_sketches: bool) -> Result<RecordBatch, IndexFault> {
        let listed = self.listed()?;
        let one = listed.get(at).ok_or_else(|| damaged(format!("there is no rollup {at}")))?;
        let groups = self.stream((at, false), one.base)?;
        let sketches = one.sketches.filter(|_| with_sketches);
        let Some(sketches) = sketches.map(|blob| self.stream((at, true), blob)).transpose()? else { return Ok(groups) };
        let fields = groups.schema_ref().fields().iter().chain(sketches.schema_ref().fields()).cloned();
        let columns = groups.columns().iter().chain(sketches.columns()).cloned().collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Fields>())), columns)
            .map_err(|error| damaged(format!("sketches do not fit their groups: {error}")))
    }

    fn stream(&self, key: (usize, bool), blob: Blob) -> Result<RecordBatch, IndexFault> {
        let mut kept = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((groups, _)) = kept.get(&key) {
            return Ok(groups.clone());
        }
        let (at, length) = (self.header.rollups, self.source.length().map_err(unread)?);
        let end = blob.offset.checked_add(blob.bytes).filter(|end| *end <= length);
        let from = at.offset + at.list_bytes as u64;
        if end.is_none_or(|end| from + end > length) {
            return Err(damaged("a rollup ends behind the file"));
        }
        let mut bytes = vec![0; usize::try_from(blob.bytes).unwrap_or(0)];
        self.source.read(&mut bytes, from + blob.offset).map_err(unread)?;
        if checksum_of(&bytes) != blob.checksum {
            return Err(damaged("a rollup does not match its checksum"));
        }
        let (groups, bytes) = decode(&bytes).map_err(damaged)?;
        kept.insert(key, (groups.clone(), bytes));
        Ok(groups)
    }

    /// The blocks in which a text of `column` may match; all of them when the column is not indexed.
    ///
    /// # Errors
    /// When what is needed of the index is damaged.
    pub fn blocks_with(&self, column: &str, need: &Need) -> Result<Blocks, IndexFault> {
        let Some(at) = self.header.columns.iter().position(|header| header.name == column) else {
            return Ok(Blocks::all(self.blocks()));
        };
        let mut found = self.find(at, need)?;
        found.or(&self.header.columns[at].open);
        Ok(found)
    }

    /// The rows whose text in `column` has the form; `None` when that is not known: not of this column, or not of so many
    /// rows.
    ///
    /// # Errors
    /// When what is needed of the index is damaged.
    pub fn rows_with(&self, column: &str, form: &Form) -> Result<Option<Rows>, IndexFault> {
        let at = self.header.columns.iter().position(|header| header.name == column);
        let Some((at, shapes_at)) = at.and_then(|at| Some((at, self.header.columns[at].shapes?))) else {
            return Ok(None);
        };
        let shapes = self.shapes_of(at, shapes_at)?;
        let tested = shapes.iter().map(|shape| (shape, form.test(&shape.text)));
        let meant: Vec<(&Shape, Verdict)> = tested.filter(|(_, verdict)| *verdict != Verdict::No).collect();
        let is_exact = meant.iter().all(|(_, verdict)| *verdict == Verdict::Yes);
        let mut rows: Vec<u32> = Vec::new();
        for (shape, _) in meant {
            let Some(places) = shape.places else { return Ok(None) };
            let (offset, bytes) = (places.offset as usize, places.bytes as usize);
            if offset + bytes > shapes_at.places_bytes {
                return Err(damaged("rows of a shape end behind it"));
            }
            let mut read = vec![0; bytes];
            let from = shapes_at.offset + (shapes_at.list_bytes + offset) as u64;
            self.source.read(&mut read, from).map_err(unread)?;
            let read = places.read(&read, shape.rows, self.header.rows);
            rows.extend(read.ok_or_else(|| damaged("rows of a shape do not match their checksum"))?);
        }
        rows.sort_unstable();
        Ok(Some(Rows { rows, is_exact }))
    }

    fn shapes_of(&self, column: usize, at: ShapesAt) -> Result<Arc<Vec<Shape>>, IndexFault> {
        if let Some(kept) = kept(&self.shapes[column]) {
            return Ok(kept);
        }
        let mut list = vec![0; at.list_bytes];
        self.source.read(&mut list, at.offset).map_err(unread)?;
        if checksum_of(&list) != at.checksum {
            return Err(damaged("shapes do not match their checksum"));
        }
        let shapes = shapes::parse(&list, at.count).ok_or_else(|| damaged("the list of shapes makes no sense"))?;
        let shapes = Arc::new(shapes);
        *self.shapes[column].lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&shapes));
        Ok(shapes)
    }

    fn find(&self, at: usize, need: &Need) -> Result<Blocks, IndexFault> {
        let header = &self.header.columns[at];
        match need {
            Need::Anything => Ok(Blocks::all(self.blocks())),
            Need::Hash(hash) => match header.words {
                Some(words) => self.with_hash(words, *hash),
                None => Ok(Blocks::all(self.blocks())),
            },
            Need::Grams(codes) => match header.grams {
                Some(grams) => self.with_grams(at, grams, codes),
                None => Ok(Blocks::all(self.blocks())),
            },
            Need::All(needs) => {
                let mut found = Blocks::all(self.blocks());
                for need in needs {
                    found.and(&self.find(at, need)?);
                    if found.is_empty() {
                        break;
                    }
                }
                Ok(found)
            }
            Need::Any(needs) => {
                let mut found = Blocks::none(self.blocks());
                for need in needs {
                    found.or(&self.find(at, need)?);
                }
                Ok(found)
            }
        }
    }

    fn with_hash(&self, words: WordsAt, hash: u64) -> Result<Blocks, IndexFault> {
        let row = row_bytes(self.blocks());
        let mut lanes = vec![0; row];
        let offset = words.offset + u64::from(row_of(hash, words.rows)) * row as u64;
        self.source.read(&mut lanes, offset).map_err(unread)?;
        let (lanes, checksum) = lanes.split_at(self.blocks() * LANE_BYTES);
        if row_checksum(lanes) != checksum {
            return Err(damaged("words do not match their checksum"));
        }
        let wanted = lane_of(hash);
        let mut found = Blocks::none(self.blocks());
        for (at, lane) in lanes.chunks_exact(LANE_BYTES).enumerate() {
            if lane.iter().zip(wanted).all(|(byte, bits)| byte & bits == bits) {
                found.add(at);
            }
        }
        Ok(found)
    }

    fn with_grams(&self, column: usize, at: GramsAt, codes: &[u32]) -> Result<Blocks, IndexFault> {
        let section = self.grams_of(column, at)?;
        let (there, sets) = section.split_at(at.count * CODE_BYTES);
        let (there, _) = there.as_chunks::<CODE_BYTES>();
        let stride = set_bytes(self.blocks());
        let mut found = Blocks::all(self.blocks());
        for code in codes {
            let Ok(place) = there.binary_search_by_key(code, |bytes| u32::from_le_bytes(*bytes)) else {
                return Ok(Blocks::none(self.blocks()));
            };
            found.and(&Blocks::from_bytes(&sets[place * stride..(place + 1) * stride], self.blocks()));
        }
        Ok(found)
    }

    fn grams_of(&self, column: usize, at: GramsAt) -> Result<Arc<Vec<u8>>, IndexFault> {
        if let Some(kept) = kept(&self.grams[column]) {
            return Ok(kept);
        }
        let mut section = vec![0; at.count * (CODE_BYTES + set_bytes(self.blocks()))];
        self.source.read(&mut section, at.offset).map_err(unread)?;
        if checksum_of(&section) != at.checksum {
            return Err(damaged("pieces do not match their checksum"));
        }
        let section = Arc::new(section);
        *self.grams[column].lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&section));
        Ok(section)
    }
}
