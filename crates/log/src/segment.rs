//! What is known of the segment files of a topic.

use std::path::{Path, PathBuf};

/// A place is remembered every so many bytes, so that a reader need not begin at the front of the file.
const PLACE_EVERY_BYTES: u64 = 64 << 10;

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// The offset of its first record, and its name.
    pub(crate) base: u64,
    pub(crate) path: PathBuf,
    /// Bytes that are durable; what follows is not there for readers.
    pub(crate) bytes: u64,
    /// Offsets and where they begin in the file, ascending.
    places: Vec<(u64, u64)>,
}

impl Segment {
    pub(crate) fn new(folder: &Path, base: u64, bytes: u64) -> Self {
        Self { base, path: folder.join(format!("{base:020}.log")), bytes, places: vec![(base, 0)] }
    }

    /// The base offset in a segment file's name.
    pub(crate) fn base_of(path: &Path) -> Option<u64> {
        let digits = path.file_name()?.to_str()?.strip_suffix(".log")?;
        (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
    }

    /// Remembers that the record `offset` begins at byte `at`, if no place near it is known.
    pub(crate) fn learn(&mut self, offset: u64, at: u64) {
        let after = self.places.partition_point(|place| place.0 <= offset);
        let is_far =
            |place: Option<&(u64, u64)>| place.is_none_or(|(_, there)| there.abs_diff(at) >= PLACE_EVERY_BYTES);
        if is_far(after.checked_sub(1).and_then(|before| self.places.get(before))) && is_far(self.places.get(after)) {
            self.places.insert(after, (offset, at));
        }
    }

    /// Remembers that the record `offset`, which follows damage, begins at byte `at`.
    pub(crate) fn learn_resumption(&mut self, offset: u64, at: u64) {
        let after = self.places.partition_point(|place| place.0 < offset);
        self.places.insert(after, (offset, at));
    }

    /// The byte from which to look for the record `offset`.
    pub(crate) fn place_before(&self, offset: u64) -> u64 {
        let after = self.places.partition_point(|place| place.0 <= offset);
        after.checked_sub(1).map_or(0, |before| self.places[before].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_learned_in_any_order_and_not_too_many() {
        let mut segment = Segment::new(Path::new("/x"), 10, 1 << 20);
        for offset in (10..1000).rev() {
            segment.learn(offset, (offset - 10) * 1024);
        }
        assert!((8..20).contains(&segment.places.len()), "{:?}", segment.places);
        assert!(segment.places.is_sorted());
        for offset in 10..1000 {
            let place = segment.place_before(offset);
            assert!(place <= (offset - 10) * 1024 && (offset - 10) * 1024 - place < 3 * PLACE_EVERY_BYTES);
        }
    }

    #[test]
    fn names_are_offsets() {
        let segment = Segment::new(Path::new("/x"), 42, 0);
        assert_eq!(segment.path, Path::new("/x/00000000000000000042.log"));
        assert_eq!(Segment::base_of(&segment.path), Some(42));
        for other in ["/x/42.log", "/x/00000000000000000042.tmp", "/x/0000000000000000004x.log"] {
            assert_eq!(Segment::base_of(Path::new(other)), None);
        }
    }
}
