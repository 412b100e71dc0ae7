//! Ranges of a file on the local disk: what the kernel has in memory is taken at once, and only what it has to fetch is waited
//! for on a thread that may wait. Keeps nothing but the file open.
//!
//! A question reads dozens of ranges, nearly all of them from memory. To hand each to another thread and back costs more than
//! to copy it, and on a busy machine both wait for a processor each time.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

/// Ranges with at most so many bytes between them are read as one.
const GAP_BYTES_MAX: u64 = 8 << 10;

/// A file that is opened when it is first read.
#[derive(Clone, Debug)]
pub(crate) struct LocalFile {
    path: PathBuf,
    /// With its length.
    file: Option<(Arc<File>, u64)>,
}

/// What was read, and what that took.
#[derive(Debug)]
pub(crate) struct Ranges {
    /// In the order in which they were asked for.
    pub(crate) bytes: Vec<Bytes>,
    /// How many reads it were.
    pub(crate) reads: usize,
    /// Whether something was not in memory.
    pub(crate) waited: bool,
}

impl LocalFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, file: None }
    }

    /// The bytes of the ranges.
    ///
    /// # Errors
    /// As the disk says; `UnexpectedEof` when the file ends before a range does.
    pub(crate) async fn read(&mut self, ranges: Vec<Range<u64>>) -> io::Result<Ranges> {
        let (file, length) = self.open()?;
        // Ranges come from the file's own footer, which may be damaged: no memory is taken for what is not there.
        if ranges.iter().any(|range| range.start > range.end || range.end > length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut pieces: Vec<Piece> = joined(&ranges).iter().map(Piece::new).collect();
        let mut waited = false;
        for piece in &mut pieces {
            waited |= !piece.take_from_memory(&file)?;
        }
        if waited {
            let fetching = tokio::task::spawn_blocking(move || {
                pieces.iter_mut().try_for_each(|piece| piece.fetch(&file))?;
                io::Result::Ok(pieces)
            });
            pieces = fetching.await.map_err(io::Error::other)??;
        }
        let reads = pieces.len();
        let pieces: Vec<(u64, Bytes)> = pieces.into_iter().map(|piece| (piece.offset, piece.bytes.into())).collect();
        let cut = |range: &Range<u64>| {
            let at = pieces.partition_point(|(offset, _)| *offset <= range.start) - 1;
            let (offset, bytes) = &pieces[at];
            bytes.slice((range.start - offset) as usize..(range.end - offset) as usize)
        };
        Ok(Ranges { bytes: ranges.iter().map(cut).collect(), reads, waited })
    }

    fn open(&mut self) -> io::Result<(Arc<File>, u64)> {
        if self.file.is_none() {
            let file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            self.file = Some((Arc::new(file), length));
        }
        self.file.clone().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The ranges in their order in the file, neighbours as one.
fn joined(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP_BYTES_MAX) => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// One read.
struct Piece {
    offset: u64,
    bytes: Vec<u8>,
    /// So many bytes are there already.
    done: usize,
}

impl Piece {
    fn new(range: &Range<u64>) -> Self {
        Self { offset: range.start, bytes: vec![0; (range.end - range.start) as usize], done: 0 }
    }

    /// Takes what the kernel has in memory; whether that is all.
    fn take_from_memory(&mut self, file: &File) -> io::Result<bool> {
        while self.done < self.bytes.len() {
            match from_memory(file, &mut self.bytes[self.done..], self.offset + self.done as u64)? {
                Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(count) => self.done += count,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads what is missing.
    fn fetch(&mut self, file: &File) -> io::Result<()> {
        file.read_exact_at(&mut self.bytes[self.done..], self.offset + self.done as u64)?;
        self.done = self.bytes.len();
        Ok(())
    }
}

/// What can be had without waiting for the disk; `None` when nothing can, or nobody knows.
#[cfg(target_os = "linux")]
fn from_memory(file: &File, to: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
    use rustix::io::{Errno, ReadWriteFlags, preadv2};
    match preadv2(file, &mut [io::IoSliceMut::new(to)], offset, ReadWriteFlags::NOWAIT) {
        Ok(count) => Ok(Some(count)),
        // Not in memory; or not known of this file system.
        Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM) => Ok(None),
        Err(Errno::INTR) => from_memory(file, to, offset),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn from_memory(_: &File, _: &mut [u8], _: u64) -> io::Result<Option<usize>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::block_on;

    /// The bytes of one range.
    fn one(file: &mut LocalFile, range: Range<u64>) -> io::Result<Ranges> {
        block_on(file.read(vec![range]))
    }

    fn file(length: usize) -> (tempfile::TempDir, LocalFile, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder");
        let content: Vec<u8> = (0..length).map(|at| (at * 7 + at / 251) as u8).collect();
        let path = folder.path().join("file");
        std::fs::write(&path, &content).expect("written");
        (folder, LocalFile::new(path), content)
    }

    #[test]
    fn ranges_come_in_the_order_in_which_they_are_asked_for_and_neighbours_are_one_read() {
        let (_folder, mut file, content) = file(100_000);
        let ranges =
            vec![90_000..90_010, 0..10, 10..4_000, 4_100..4_200, 50_000..50_000, 3_990..4_150, 99_999..100_000];
        let read = block_on(file.read(ranges.clone())).expect("read");
        assert_eq!(read.reads, 4, "0 to 4,200; 50,000; 90,000; the last byte");
        for (range, bytes) in ranges.into_iter().zip(read.bytes) {
            assert_eq!(bytes, content[range.start as usize..range.end as usize], "{range:?}");
        }
    }

    #[test]
    fn what_was_just_written_is_in_memory_and_is_not_waited_for() {
        let (_folder, mut file, content) = file(1 << 20);
        let read = one(&mut file, 0..1 << 20).expect("read");
        assert_eq!(read.bytes[0], content);
        let is_known = read.waited == from_memory(&file.open().expect("open").0, &mut [0], 0).expect("asked").is_none();
        assert!(is_known, "unless the file system does not say");
    }

    #[test]
    fn a_range_behind_the_end_and_a_file_that_is_gone_are_errors() {
        let (folder, mut file, _) = file(1_000);
        let error = one(&mut file, 990..1_001).expect_err("it ends before");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(one(&mut file, 0..u64::MAX).is_err() && one(&mut file, Range { start: 10, end: 5 }).is_err());
        let mut gone = LocalFile::new(folder.path().join("gone"));
        assert_eq!(one(&mut gone, 0..1).expect_err("gone").kind(), io::ErrorKind::NotFound);
    }
}
