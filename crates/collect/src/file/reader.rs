//! All files of a source: looks for them, recognises them, and reads them a chunk each in turn. Synchronous; the time
//! is an argument. Refuses to wait.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};
use weir_model::{ErrorKind, Framer, PartitionId, Positions, SeamError, SeamResult, SourceEvent};

use super::buffers::Buffers;
use super::config::{FileConfig, StartAt};
use super::content::{self, Packing};
use super::discover::{Found, Patterns, Scan, cannot_read};
use super::identity::{Candidate, FileNumber, HEAD_BYTES_MAX, Known, Verdict, next_id, recognise};
use super::tail::{Manner, Opened, Tail};

/// How many files are open at once. Others wait closed for their turn; only files that can be found again by their
/// path are closed.
pub(crate) const OPEN_FILES_MAX: usize = 256;
/// Looking at the disk takes at most this part of the time.
const SCAN_SHARE: u32 = 10;

/// Which partitions yield nothing at the moment; shared with whoever asks for it.
pub(crate) type Paused = Arc<Mutex<BTreeSet<PartitionId>>>;

/// What a step brings.
#[derive(Debug)]
pub(crate) enum Step {
    Event(SourceEvent),
    /// There is nothing to do before this moment.
    Wait(Instant),
    End,
}

/// All files of a source.
pub(crate) struct Reader {
    source: String,
    manner: Manner,
    poll: Duration,
    start: StartAt,
    patterns: Patterns,
    framer: Arc<dyn Framer>,
    paused: Paused,
    /// Incarnations that are not read now: of earlier runs, and those that have ended.
    past: Vec<Known>,
    /// Which of `past` come from positions and have not been found yet.
    sought: BTreeSet<PartitionId>,
    /// What is read now, in the order of the paths where it was found.
    tails: Vec<Tail>,
    /// Whose turn it is.
    turn: usize,
    /// Counts reads.
    reads: u64,
    queue: VecDeque<SourceEvent>,
    buffers: Buffers,
    /// Files that were looked at and hold nothing new, as they were then.
    done: BTreeMap<FileNumber, Found>,
    /// Archives that were found just now and may still be being written.
    settling: BTreeMap<FileNumber, Found>,
    /// What was complained about already.
    complained: BTreeSet<String>,
    next_scan: Option<Instant>,
    /// Whether nothing was ever read, so that `start` applies.
    first_start: bool,
}

impl Reader {
    pub(crate) fn new(name: &str, config: &FileConfig, framer: Arc<dyn Framer>, paused: Paused) -> SeamResult<Self> {
        let patterns = Patterns::new(name, &config.paths, &config.exclude)?;
        if config.start == StartAt::End && !config.follow {
            let message = format!("source {name}: start: end needs follow: true, or there is nothing to read");
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        let reader = Self {
            source: name.to_owned(),
            manner: Manner {
                follow: config.follow,
                max_record_bytes: config.max_record_bytes.0,
                join_timeout: config.join_timeout.std(),
            },
            poll: config.poll.std().max(Duration::from_millis(1)),
            start: config.start,
            patterns,
            framer,
            paused,
            past: Vec::new(),
            sought: BTreeSet::new(),
            tails: Vec::new(),
            turn: 0,
            reads: 0,
            queue: VecDeque::new(),
            buffers: Buffers::default(),
            done: BTreeMap::new(),
            settling: BTreeMap::new(),
            complained: BTreeSet::new(),
            next_scan: None,
            first_start: true,
        };
        if !config.follow {
            reader.refuse_empty(&reader.patterns.scan())?;
        }
        Ok(reader)
    }

    /// Nothing at all to read is a mistake; a pattern among others that finds nothing may be as it should be.
    fn refuse_empty(&self, scan: &Scan) -> SeamResult<()> {
        if !scan.files.is_empty() {
            for why in &scan.empty {
                tracing::warn!(source = self.source, "{why}");
            }
            return Ok(());
        }
        let why: Vec<&str> = scan.missing.iter().chain(&scan.empty).chain(&scan.troubles).map(String::as_str).collect();
        let message = format!("source {}: {}", self.source, why.join("; "));
        Err(SeamError::new(ErrorKind::Config, message))
    }

    pub(crate) fn seek(&mut self, positions: &Positions) -> SeamResult<()> {
        self.past = Known::all(positions)?;
        self.sought = self.past.iter().filter(|known| !known.finished).map(|known| known.id.clone()).collect();
        self.first_start = positions.is_empty();
        Ok(())
    }

    /// Bytes that are left to read, if that is known: the content of an archive has no known size.
    pub(crate) fn bytes_left(&self) -> Option<u64> {
        let plain =
            |tail: &Tail| (tail.packing == Packing::Plain).then(|| tail.found.size.saturating_sub(tail.known().offset));
        if self.manner.follow { None } else { self.tails.iter().map(plain).sum() }
    }

    /// Looks at the disk for the first time, if it was not done yet.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.next_scan.is_none() {
            self.scan(now);
            self.first_start = false;
        }
    }

    /// Gives back an event that could not be delivered.
    pub(crate) fn put_back(&mut self, event: SourceEvent) {
        self.queue.push_front(event);
    }

    /// The next event that is ready without reading.
    pub(crate) fn ready(&mut self) -> Option<SourceEvent> {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.queue.iter().position(|event| !partition(event).is_some_and(|id| paused.contains(id)))?;
        self.queue.remove(index)
    }

    pub(crate) fn step(&mut self, now: Instant) -> Step {
        self.begin(now);
        if self.manner.follow && self.next_scan.is_some_and(|at| at <= now) {
            self.scan(now);
        }
        while let Some(index) = self.next_turn(now) {
            self.read(index, now);
            if let Some(event) = self.ready() {
                return Step::Event(event);
            }
        }
        self.buffers.rest();
        match self.ready() {
            Some(event) => Step::Event(event),
            None if !self.manner.follow && self.tails.is_empty() && self.queue.is_empty() => Step::End,
            None => Step::Wait(self.wake_at(now)),
        }
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let deadlines = self.tails.iter().filter_map(Tail::deadline).filter(|&at| at > now);
        let scan = if self.manner.follow { self.next_scan } else { None };
        deadlines.chain(scan).min().unwrap_or(now + self.poll)
    }

    /// The next file in turn that has something to read and may be opened.
    fn next_turn(&self, now: Instant) -> Option<usize> {
        if !self.queue.is_empty() && self.queue.len() >= OPEN_FILES_MAX * 4 {
            return None;
        }
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        let may_open = self.tails.iter().filter(|tail| tail.content.is_some()).count() < OPEN_FILES_MAX
            || self.to_close().is_some();
        let files = self.tails.len();
        (0..files).map(|step| (self.turn + step) % files).find(|&index| {
            let tail = &self.tails[index];
            tail.is_due(now) && !paused.contains(&tail.id) && (tail.content.is_some() || may_open)
        })
    }

    /// The open file that was not read for longest, of those that lose nothing by being closed.
    fn to_close(&self) -> Option<usize> {
        let closable = |tail: &Tail| tail.content.is_some() && tail.packing == Packing::Plain && !tail.is_gone();
        let open = self.tails.iter().enumerate().filter(|(_, tail)| closable(tail));
        open.min_by_key(|(_, tail)| tail.used).map(|(index, _)| index)
    }

    fn read(&mut self, index: usize, now: Instant) {
        if self.tails[index].content.is_none() {
            let open = self.tails.iter().filter(|tail| tail.content.is_some()).count();
            if open >= OPEN_FILES_MAX
                && let Some(other) = self.to_close()
            {
                self.tails[other].content = None;
            }
        }
        self.reads += 1;
        self.turn = index + 1;
        let tail = &mut self.tails[index];
        tail.used = self.reads;
        let events = tail.read(now, &self.manner, &mut self.buffers);
        self.queue.extend(events);
        if self.tails[index].is_finished() {
            self.retire(index);
        }
    }

    fn retire(&mut self, index: usize) {
        let tail = self.tails.remove(index);
        if self.turn > index {
            self.turn -= 1;
        }
        if !tail.is_gone() {
            self.done.insert(tail.found.number, tail.found.clone());
        }
        self.past.push(tail.known());
    }

    fn scan(&mut self, now: Instant) {
        let begun = std::time::Instant::now();
        let scan = self.patterns.scan();
        let waited_for = if self.manner.follow { &scan.empty[..] } else { &[] };
        for message in scan.troubles.iter().chain(&scan.missing).chain(waited_for) {
            self.complain(message.clone());
        }
        let numbers: BTreeSet<FileNumber> = scan.files.iter().map(|file| file.number).collect();
        let fresh = self.match_tails(scan.files, now);
        self.done.retain(|number, _| numbers.contains(number));
        let mut settling = BTreeMap::new();
        for found in fresh {
            if self.done.get(&found.number).is_some_and(|done| is_unchanged(done, &found)) {
                continue;
            }
            if let Some(unsettled) = self.meet(found, &numbers) {
                settling.insert(unsettled.number, unsettled);
            }
        }
        self.settling = settling;
        if self.settling.is_empty() {
            self.give_up_sought();
        }
        self.next_scan = Some(now + self.poll.max(begun.elapsed() * SCAN_SHARE));
    }

    /// Tells what is read now what became of its files; returns the files that belong to nothing that is read now.
    fn match_tails(&mut self, files: Vec<Found>, now: Instant) -> Vec<Found> {
        let mut by_number: BTreeMap<FileNumber, Found> = files.into_iter().map(|file| (file.number, file)).collect();
        let mut ended = Vec::new();
        for (index, tail) in self.tails.iter_mut().enumerate() {
            match by_number.remove(&tail.found.number) {
                None => tail.missing(now, &self.manner),
                Some(found) => {
                    if !tail.seen(found.clone()) {
                        self.queue.extend(tail.truncated(found.size));
                        by_number.insert(found.number, found);
                        ended.push(index);
                    }
                }
            }
        }
        for index in ended.into_iter().rev() {
            self.retire(index);
        }
        // What was truncated is a file with something new in it.
        let mut fresh: Vec<Found> = by_number.into_values().collect();
        fresh.sort_by(|a, b| a.path.cmp(&b.path));
        fresh
    }

    /// Recognises a file; returns it if that must wait until it has settled.
    fn meet(&mut self, found: Found, numbers: &BTreeSet<FileNumber>) -> Option<Found> {
        let file = match content::head(&found.path, HEAD_BYTES_MAX) {
            Ok((packing, head)) => Opened { found, packing, head },
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    self.complain(cannot_read(&found.path, &error));
                }
                return None;
            }
        };
        let settled = self.settling.get(&file.found.number).is_some_and(|before| is_unchanged(before, &file.found));
        if self.manner.follow && file.packing.is_compressed() && !settled {
            return Some(file.found);
        }
        self.admit(file, numbers);
        None
    }

    /// Goes on with what the file is recognised as, or begins it.
    fn admit(&mut self, file: Opened, numbers: &BTreeSet<FileNumber>) {
        // What is read now has its file; what is gone is open to be found again.
        let gone: Vec<usize> = (0..self.tails.len()).filter(|&index| self.tails[index].is_gone()).collect();
        let known: Vec<Known> =
            self.past.iter().cloned().chain(gone.iter().map(|&index| self.tails[index].known())).collect();
        let path = file.found.path.to_string_lossy().into_owned();
        let candidate = Candidate {
            path: &path,
            number: file.found.number,
            size: file.found.size,
            compressed: file.packing.is_compressed(),
            head: &file.head,
        };
        match recognise(&candidate, &known, &|number| !numbers.contains(&number)) {
            Verdict::Same(index) if index >= self.past.len() => {
                self.tails[gone[index - self.past.len()]].moved_to(file);
            }
            Verdict::Same(index) => {
                let grown = candidate.has_grown_since(&known[index]);
                self.go_on(known[index].clone(), file, grown);
            }
            Verdict::Truncated(index) => {
                self.end_truncated(&known[index], &file.found);
                self.add_new(file, 0);
            }
            Verdict::New => {
                let offset = self.first_offset(&file.found);
                self.add_new(file, offset);
            }
        }
    }

    /// Goes on with an incarnation of an earlier run. One that had ended and has grown goes on under a new name: to
    /// everyone else the old one has ended.
    fn go_on(&mut self, known: Known, file: Opened, grown: bool) {
        self.sought.remove(&known.id);
        if known.finished && !grown {
            self.done.insert(file.found.number, file.found);
        } else if known.finished {
            self.add_new(file, known.offset);
        } else {
            self.past.retain(|past| past.id != known.id);
            self.add(known.id, file, known.offset);
        }
    }

    /// Ends an incarnation of an earlier run whose file holds something else now.
    fn end_truncated(&mut self, known: &Known, found: &Found) {
        self.sought.remove(&known.id);
        self.past.iter_mut().filter(|past| past.id == known.id).for_each(|past| past.finished = true);
        let message = format!(
            "{} was truncated or written over while Weir was away: it was read up to byte {} and has {} bytes now; it \
             is read from its beginning",
            found.path.display(),
            known.offset,
            found.size
        );
        let id = known.id.clone();
        self.queue.push_back(SourceEvent::PartitionAdded(id.clone()));
        self.queue.push_back(SourceEvent::Trouble { message, partition: Some(id.clone()) });
        self.queue.push_back(SourceEvent::PartitionFinished(id));
    }

    fn first_offset(&mut self, found: &Found) -> u64 {
        if self.start == StartAt::Beginning || !self.first_start {
            return 0;
        }
        content::end_of_lines(&found.path).unwrap_or_else(|error| {
            self.complain(cannot_read(&found.path, &error));
            0
        })
    }

    fn add_new(&mut self, file: Opened, offset: u64) {
        let in_use = |id: &PartitionId| {
            self.past.iter().any(|past| past.id == *id) || self.tails.iter().any(|tail| tail.id == *id)
        };
        let id = next_id(&self.source, &file.found.path.to_string_lossy(), &in_use);
        self.add(id, file, offset);
    }

    fn add(&mut self, id: PartitionId, file: Opened, offset: u64) {
        debug!(partition = %id, offset, packing = file.packing.name(), "reading a file");
        self.done.remove(&file.found.number);
        let tail = Tail::new(id, file, offset, self.framer.clone(), &self.manner);
        self.queue.push_back(SourceEvent::PartitionAdded(tail.id.clone()));
        if offset > 0 && self.first_start {
            self.queue.push_back(tail.position_only());
        }
        let at = self.tails.partition_point(|other| other.found.path <= tail.found.path);
        self.tails.insert(at, tail);
        if at < self.turn {
            self.turn += 1;
        }
    }

    /// Ends what an earlier run has read from and nobody finds any more. Whether there was more to read is not known:
    /// a run that reads once had not finished it; a followed file is usually deleted long after it was read.
    fn give_up_sought(&mut self) {
        for id in std::mem::take(&mut self.sought) {
            let Some(known) = self.past.iter_mut().find(|known| known.id == id) else { continue };
            known.finished = true;
            let message = format!(
                "{} is gone: it was read up to byte {}; what followed, if anything, was not read",
                known.identity.path, known.offset
            );
            self.queue.push_back(SourceEvent::PartitionAdded(id.clone()));
            if self.manner.follow {
                warn!(partition = %id, "{message}");
            } else {
                self.queue.push_back(SourceEvent::Trouble { message, partition: Some(id.clone()) });
            }
            self.queue.push_back(SourceEvent::PartitionFinished(id));
        }
    }

    fn complain(&mut self, message: String) {
        if self.complained.insert(message.clone()) {
            warn!(source = %self.source, "{message}");
            self.queue.push_back(SourceEvent::Trouble { message, partition: None });
        }
    }
}

fn is_unchanged(before: &Found, now: &Found) -> bool {
    before.size == now.size && before.modified == now.modified
}

pub(crate) fn partition(event: &SourceEvent) -> Option<&PartitionId> {
    match event {
        SourceEvent::PartitionAdded(_) | SourceEvent::End | SourceEvent::Trouble { .. } => None,
        SourceEvent::Records(raw) => Some(&raw.partition),
        SourceEvent::CaughtUp(id) | SourceEvent::PartitionFinished(id) => Some(id),
    }
}
