//! Opens a topic after whatever happened: cuts off a torn end, leaves damage in the middle where it is and names it.

use std::path::Path;

use weir_disk::{disk_error, read_file, sync_error};
use weir_model::{FileKind, SeamResult, Vfs, planted};

use crate::frame::{Found, HEADER_BYTES, find, resume};
use crate::keys::{Mark, Marked};
use crate::segment::Segment;

/// What a topic's folder holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Oldest first.
    pub(crate) segments: Vec<Segment>,
    /// The offset of the next record.
    pub(crate) end: u64,
    /// Whether the next record may go to the last segment; else it needs a new one.
    pub(crate) appendable: bool,
    /// The keyed appends of the last segment, oldest first.
    pub(crate) marked: Vec<Marked>,
    /// Damage that was found, with file and offsets.
    pub(crate) troubles: Vec<String>,
}

/// Reads a topic's folder. Only the last segment is read as a whole: the others were complete before it was begun, and
/// are checked frame by frame when they are read.
pub(crate) fn recover(vfs: &dyn Vfs, folder: &Path, payload_max: usize) -> SeamResult<Recovered> {
    let mut recovered = Recovered::default();
    for (path, kind) in vfs.list(folder).map_err(|error| disk_error("list", folder, error))? {
        if let (Some(base), FileKind::File) = (Segment::base_of(&path), kind) {
            let bytes = vfs.len(&path).map_err(|error| disk_error("read", &path, error))?;
            recovered.segments.push(Segment::new(folder, base, bytes));
        }
    }
    let Some(last) = recovered.segments.last_mut() else { return Ok(recovered) };
    let content = read_file(vfs, &last.path)?;
    let tail = tail(&content, last.base, payload_max, |offset, at| last.learn(offset, at as u64));
    recovered.end = tail.end;
    recovered.marked = if planted!(KeysNotRecovered) { Vec::new() } else { tail.marked };
    recovered.appendable = tail.damage.is_none();
    if let Some((offset, at)) = tail.damage {
        recovered.troubles.push(format!(
            "{} is damaged at byte {at}: records from offset {offset} on, up to some before {}, are lost; what follows is kept",
            last.path.display(),
            tail.end
        ));
    }
    if (tail.sound as u64) < last.bytes && recovered.appendable && !planted!(TornTailKept) {
        vfs.truncate(&last.path, tail.sound as u64)
            .map_err(|error| disk_error("cut the torn end of", &last.path, error))?;
    }
    last.bytes = tail.sound as u64;
    // A process that was killed leaves records that are in memory only: before anyone reads them they must be safe.
    let last = last.path.clone();
    let mut file = vfs.append(&last).map_err(|error| disk_error("open", &last, error))?;
    if !planted!(RecoveredTailNotSynced) {
        file.sync().map_err(|error| sync_error(&last, error))?;
    }
    vfs.sync_folder(folder).map_err(|error| sync_error(folder, error))?;
    Ok(recovered)
}

/// What the content of the last segment is worth.
#[derive(Debug, PartialEq, Eq)]
struct Tail {
    /// The offset after the last whole append.
    end: u64,
    /// Bytes up to there.
    sound: usize,
    /// The offset and the byte where the first damage begins that sound frames follow.
    damage: Option<(u64, usize)>,
    /// The keyed appends that are there as a whole, oldest first.
    marked: Vec<Marked>,
}

/// The keyed appends of a closed segment's content, oldest first.
pub(crate) fn marked(content: &[u8], base: u64, payload_max: usize) -> Vec<Marked> {
    tail(content, base, payload_max, |_, _| ()).marked
}

fn tail(content: &[u8], base: u64, payload_max: usize, mut learn: impl FnMut(u64, usize)) -> Tail {
    let mut tail = Tail { end: base, sound: 0, damage: None, marked: Vec::new() };
    let (mut at, mut next) = (0, base);
    let mut begun: Option<Marked> = None;
    while at < content.len() {
        match find(&content[at..], payload_max) {
            Found::Frame(frame) if frame.offset == next && frame.is_mark => {
                let mark = Mark::decode(&content[at + HEADER_BYTES..at + frame.bytes()]);
                let arrival = frame.arrival.micros();
                begun = mark.map(|mark| Marked { mark, first: next, count: frame.following, arrival });
                at += frame.bytes();
            }
            Found::Frame(frame) if frame.offset == next => {
                learn(next, at);
                at += frame.bytes();
                next += 1;
                // After damage what is there is kept, whole or not: it may have been acknowledged.
                if frame.following == 0 || tail.damage.is_some() || planted!(HalfAppendTaken) {
                    (tail.end, tail.sound) = (next, at);
                }
                if frame.following == 0 {
                    tail.marked.extend(begun.take());
                }
            }
            Found::Frame(_) | Found::Partial(_) | Found::Damage => {
                // A torn end is followed by nothing that was ever whole; damage is.
                let resumed = resume(content, at + 1, next, payload_max);
                let Some((sound, frame)) = resumed.filter(|_| !planted!(TailCutUnchecked)) else { break };
                begun = None;
                tail.damage = tail.damage.or(Some((next, at)));
                (at, next) = (sound, frame.offset);
            }
        }
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;
    use weir_model::ProcessingTime;

    /// Appends of as many records as `appends` says, from offset 10 on, each record 20 bytes.
    fn content(appends: &[u32]) -> Vec<u8> {
        let (mut bytes, mut offset) = (Vec::new(), 10);
        for &records in appends {
            for following in (0..records).rev() {
                let frame =
                    Frame { offset, arrival: ProcessingTime::from_micros(1), following, payload: 20, is_mark: false };
                frame.encode(&[offset as u8; 20], &mut bytes);
                offset += 1;
            }
        }
        bytes
    }

    fn check(content: &[u8], end: u64, sound: usize, damage: Option<(u64, usize)>) {
        assert_eq!(tail(content, 10, 100, |_, _| ()), Tail { end, sound, damage, marked: Vec::new() });
    }

    #[test]
    fn a_torn_end_is_cut_to_the_last_whole_append() {
        let whole = content(&[2, 3]);
        check(&whole, 15, 240, None);
        check(&[], 10, 0, None);
        for cut in 96..240 {
            check(&whole[..cut], 12, 96, None);
        }
        check(&[whole.as_slice(), &[0; 1000]].concat(), 15, 240, None);
    }

    #[test]
    fn damage_that_sound_records_follow_is_kept_and_named() {
        let mut bytes = content(&[1, 1, 1, 1]);
        bytes[50] ^= 1;
        check(&bytes, 14, 192, Some((11, 48)));
        bytes.truncate(180);
        check(&bytes, 13, 144, Some((11, 48)));
    }
}
