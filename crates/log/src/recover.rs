//! Opens a topic after whatever happened: cuts off a torn end, leaves damage in the middle where it is and names it.
//!
//! A group of appends is written and synced as one, and the next one is not begun before. So what sound frames of a later
//! group follow was acknowledged, and a hole in it is damage. A hole in the last group may be of a write that power cut
//! short, of which a disk keeps what it likes: then it has lost whole sectors, which read as zeros.

use std::ops::Range;
use std::path::Path;

use weir_disk::{disk_error, read_file, sync_error};
use weir_model::{FileKind, SeamResult, Vfs, planted};

use crate::frame::{Found, Frame, find, resume};
use crate::keys::{Mark, Marked};
use crate::segment::Segment;

/// A disk writes at least so much as a whole, from a multiple of it on.
const SECTOR_BYTES: usize = 512;

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
    /// What was cut off although sound records followed the hole in it: a write that was never acknowledged.
    pub(crate) cut: Option<String>,
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
    recovered.cut = tail.torn.map(|(offset, at)| {
        format!(
            "the last write to {} was cut short at byte {at}: what it had of the records from offset {offset} on, which were not acknowledged, goes",
            last.path.display()
        )
    });
    let cut = recovered.appendable || tail.torn.is_some();
    if (tail.sound as u64) < last.bytes && cut && !planted!(TornTailKept) {
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
    /// The same of the hole in a last group that was never synced.
    torn: Option<(u64, usize)>,
    /// The keyed appends that are there as a whole, oldest first.
    marked: Vec<Marked>,
}

/// The keyed appends of a closed segment's content, oldest first.
pub(crate) fn marked(content: &[u8], base: u64, payload_max: usize) -> Vec<Marked> {
    tail(content, base, payload_max, |_, _| ()).marked
}

fn tail(content: &[u8], base: u64, payload_max: usize, mut learn: impl FnMut(u64, usize)) -> Tail {
    let mut tail = Tail { end: base, sound: 0, damage: None, torn: None, marked: Vec::new() };
    let (mut at, mut next) = (0, base);
    let mut begun: Option<Marked> = None;
    while at < content.len() {
        match find(&content[at..], payload_max) {
            Found::Frame(frame) if frame.offset == next && frame.is_mark => {
                let mark = Mark::decode(&content[at + frame.header()..at + frame.bytes()]);
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
                if was_never_synced(content, at, (sound, frame), payload_max) {
                    tail.torn = Some((next, at));
                    break;
                }
                begun = None;
                tail.damage = tail.damage.or(Some((next, at)));
                (at, next) = (sound, frame.offset);
            }
        }
    }
    tail
}

/// Whether the hole at `at` is in a group that was never synced; `following` is the first sound frame behind it.
fn was_never_synced(content: &[u8], at: usize, following: (usize, Frame), payload_max: usize) -> bool {
    let (mut sound, mut frame) = following;
    let Some(group) = begin_of_group(sound, frame).filter(|group| *group <= at) else { return false };
    if !has_lost_sector(content, group, at..sound) {
        return false;
    }
    loop {
        if begin_of_group(sound, frame) != Some(group) {
            return false;
        }
        let (end, next) = (sound + frame.bytes(), frame.offset + u64::from(!frame.is_mark));
        match resume(content, end, next, payload_max) {
            Some(found) => (sound, frame) = found,
            None => return true,
        }
    }
}

/// The byte where the group of the frame at `at` begins.
fn begin_of_group(at: usize, frame: Frame) -> Option<usize> {
    at.checked_sub(frame.group? as usize)
}

/// Whether a sector that the hole touches, or what the group that begins at `group` has of it, is all zeros.
fn has_lost_sector(content: &[u8], group: usize, hole: Range<usize>) -> bool {
    (hole.start / SECTOR_BYTES..hole.end.div_ceil(SECTOR_BYTES)).any(|sector| {
        let (from, to) = ((sector * SECTOR_BYTES).max(group), ((sector + 1) * SECTOR_BYTES).min(content.len()));
        content[from..to].iter().all(|byte| *byte == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::ProcessingTime;

    /// Appends of as many records as `appends` says, from offset 10 on, each record 20 bytes, by a Weir whose frames do not
    /// say where their group begins.
    fn content(appends: &[u32]) -> Vec<u8> {
        write(appends.iter().map(|records| (*records, None)))
    }

    /// Groups of one append each, of as many records as `groups` says, from offset 10 on, each frame 52 bytes.
    fn groups(groups: &[u32]) -> Vec<u8> {
        write(groups.iter().map(|records| (*records, Some(0))))
    }

    fn write(appends: impl Iterator<Item = (u32, Option<u32>)>) -> Vec<u8> {
        let (mut bytes, mut offset) = (Vec::new(), 10);
        for (records, group) in appends {
            let begin = bytes.len();
            for following in (0..records).rev() {
                let (arrival, group) = (ProcessingTime::from_micros(1), group.map(|_| (bytes.len() - begin) as u32));
                let frame = Frame { offset, arrival, following, group, payload: 20, is_mark: false };
                frame.encode(&[offset as u8; 20], &mut bytes);
                offset += 1;
            }
        }
        bytes
    }

    fn check(content: &[u8], end: u64, sound: usize, damage: Option<(u64, usize)>) {
        let expected = Tail { end, sound, damage, torn: None, marked: Vec::new() };
        assert_eq!(tail(content, 10, 100, |_, _| ()), expected);
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

    #[test]
    fn lost_sectors_of_the_last_group_are_a_torn_end_and_of_one_before_it_damage() {
        // Frames of 52 bytes: the group of forty begins at 104, in the first sector, and ends in the fifth.
        let last = groups(&[2, 40]);
        for sector in [0, 1, 3] {
            let mut torn = last.clone();
            let from = (sector * 512).max(104);
            torn[from..(sector + 1) * 512].fill(0);
            let at = 104 + (from - 104) / 52 * 52;
            let offset = 10 + at as u64 / 52;
            let expected = Tail { end: 12, sound: 104, damage: None, torn: Some((offset, at)), marked: Vec::new() };
            assert_eq!(tail(&torn, 10, 100, |_, _| ()), expected, "sector {sector}");
            let mut damaged = groups(&[2, 40, 1]);
            damaged[..last.len()].copy_from_slice(&torn);
            check(&damaged, 53, damaged.len(), Some((offset, at)));
        }
    }

    #[test]
    fn a_flipped_bit_in_the_last_group_is_damage() {
        let mut bytes = groups(&[2, 40]);
        bytes[700] ^= 1;
        check(&bytes, 52, bytes.len(), Some((23, 676)));
    }
}
