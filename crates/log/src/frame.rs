//! One record in a segment file. Pure: bytes in, bytes out.

use weir_model::ProcessingTime;

/// Bytes of a frame before its payload, at most.
pub(crate) const HEADER_BYTES_MAX: usize = 32;
/// The same of a frame that does not say where its group begins.
const OLD_HEADER_BYTES: usize = 28;
/// Set in the length of a mark.
const MARK_BIT: u32 = 1 << 31;
/// Set in the length of a frame that says where its group begins.
const GROUP_BIT: u32 = 1 << 30;

/// A record with what surrounds it. All numbers little endian:
///
/// | bytes | what |
/// |---|---|
/// | 4 | length of the payload; the highest bit is set when the payload is no record but the mark of a keyed append, the next one when the frame says where its group begins |
/// | 4 | CRC-32 (IEEE) of all other bytes of the frame |
/// | 8 | offset of the record in its partition |
/// | 8 | arrival: microseconds since 1970, UTC |
/// | 4 | how many more records of the same append follow: an append whose last record is missing was torn |
/// | 4 | how many bytes before this frame its group begins, which was written and synced as one; not there in frames of Weir 0.1 and before |
/// | n | payload |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) offset: u64,
    pub(crate) arrival: ProcessingTime,
    pub(crate) following: u32,
    /// How many bytes before it its group begins, if it says so.
    pub(crate) group: Option<u32>,
    /// Length of the payload.
    pub(crate) payload: usize,
    /// No record, but what says which append the records that follow are ([`crate::keys::Mark`]); its offset is theirs.
    pub(crate) is_mark: bool,
}

impl Frame {
    /// Bytes of the whole frame.
    pub(crate) fn bytes(&self) -> usize {
        self.header() + self.payload
    }

    /// Bytes before the payload.
    pub(crate) fn header(&self) -> usize {
        if self.group.is_some() { HEADER_BYTES_MAX } else { OLD_HEADER_BYTES }
    }

    /// Appends the frame of `payload` to `to`.
    ///
    /// # Panics
    /// When the payload is not as long as the frame says.
    pub(crate) fn encode(&self, payload: &[u8], to: &mut Vec<u8>) {
        assert_eq!(payload.len(), self.payload, "a frame fits its payload");
        let begin = to.len();
        let mark = if self.is_mark { MARK_BIT } else { 0 };
        let group = if self.group.is_some() { GROUP_BIT } else { 0 };
        to.extend_from_slice(&(payload.len() as u32 | mark | group).to_le_bytes());
        to.extend_from_slice(&[0; 4]);
        to.extend_from_slice(&self.offset.to_le_bytes());
        to.extend_from_slice(&self.arrival.micros().to_le_bytes());
        to.extend_from_slice(&self.following.to_le_bytes());
        self.group.iter().for_each(|group| to.extend_from_slice(&group.to_le_bytes()));
        to.extend_from_slice(payload);
        let checksum = checksum(&to[begin..]);
        to[begin + 4..begin + 8].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// What lies at the front of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A whole frame.
    Frame(Frame),
    /// The beginning of what may be a frame of this many bytes.
    Partial(usize),
    /// No frame.
    Damage,
}

fn checksum(frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&frame[..4]);
    hasher.update(&frame[8..]);
    hasher.finalize()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// Looks for the frame of a record that is at most `payload_max` long at the front of `bytes`.
pub(crate) fn find(bytes: &[u8], payload_max: usize) -> Found {
    if bytes.len() < OLD_HEADER_BYTES {
        return Found::Partial(OLD_HEADER_BYTES);
    }
    let (is_mark, is_grouped) = (word(bytes, 0) & MARK_BIT != 0, word(bytes, 0) & GROUP_BIT != 0);
    let payload = (word(bytes, 0) & !(MARK_BIT | GROUP_BIT)) as usize;
    if payload > payload_max {
        return Found::Damage;
    }
    let length = payload + if is_grouped { HEADER_BYTES_MAX } else { OLD_HEADER_BYTES };
    let Some(whole) = bytes.get(..length) else { return Found::Partial(length) };
    if checksum(whole) != word(bytes, 4) {
        return Found::Damage;
    }
    let arrival = ProcessingTime::from_micros(long(bytes, 16).cast_signed());
    let group = is_grouped.then(|| word(bytes, OLD_HEADER_BYTES));
    Found::Frame(Frame { offset: long(bytes, 8), arrival, following: word(bytes, 24), group, payload, is_mark })
}

/// The first frame at or after `from` in `bytes` with an offset of at least `offset`: where sound data goes on after
/// damage. Tries every byte, since the damage may have changed a length.
pub(crate) fn resume(bytes: &[u8], from: usize, offset: u64, payload_max: usize) -> Option<(usize, Frame)> {
    // More records than this cannot be lost inside one file.
    let offsets = offset..=offset.saturating_add(bytes.len() as u64);
    (from..bytes.len().saturating_sub(OLD_HEADER_BYTES - 1)).find_map(|at| {
        // The offset is looked at before the checksum: it is nearly always wrong where no frame is.
        if !offsets.contains(&long(bytes, at + 8)) {
            return None;
        }
        match find(&bytes[at..], payload_max) {
            Found::Frame(frame) => Some((at, frame)),
            Found::Partial(_) | Found::Damage => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(offset: u64, payload: &[u8]) -> (Frame, Vec<u8>) {
        let arrival = ProcessingTime::from_micros(-5);
        let (is_mark, group) = (offset % 2 == 1, (offset % 4 < 2).then_some(offset as u32));
        let frame = Frame { offset, arrival, following: 3, group, payload: payload.len(), is_mark };
        let mut bytes = Vec::new();
        frame.encode(payload, &mut bytes);
        (frame, bytes)
    }

    proptest! {
        #[test]
        fn a_frame_reads_back_and_a_part_of_it_is_partial(offset: u64, payload: Vec<u8>, cut in 0.0..1.0) {
            let (frame, bytes) = frame(offset, &payload);
            prop_assert_eq!(bytes.len(), frame.bytes());
            prop_assert_eq!(find(&bytes, 1000), Found::Frame(frame));
            let part = &bytes[..(bytes.len() as f64 * cut) as usize];
            prop_assert!(matches!(find(part, 1000), Found::Partial(_)));
        }

        #[test]
        fn a_flipped_bit_is_never_a_frame(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8u8) {
            let (_, mut bytes) = frame(77, &payload);
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert!(!matches!(find(&bytes, 1 << 20), Found::Frame(_)));
        }
    }

    #[test]
    fn zeros_are_damage() {
        assert_eq!(find(&[0; 512], 1000), Found::Damage);
    }

    #[test]
    fn a_record_over_the_limit_is_damage() {
        let (_, bytes) = frame(1, &[7; 11]);
        assert_eq!(find(&bytes, 10), Found::Damage);
    }

    #[test]
    fn sound_frames_are_found_again_after_damage() {
        let (_, first) = frame(4, b"first");
        let (second, bytes) = frame(5, b"second");
        let mut file = first;
        file[9] ^= 1;
        file.extend_from_slice(b"junk");
        let at = file.len();
        file.extend_from_slice(&bytes);
        assert_eq!(resume(&file, 1, 4, 1000), Some((at, second)));
        assert_eq!(resume(&file, 1, 6, 1000), None, "an older record than expected is not where reading goes on");
    }
}
