//! Where a worker goes on: at what is committed of the partitions that it was given, with the state that belongs to it.
//! Refuses to begin where records would be lost or doubled without anybody having said so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regex::Regex;
use weir_collect::{KafkaStart, LastRecord};
use weir_engine::{EngineError, Fold, KeyGroup, Merge};
use weir_model::{Epoch, ErrorKind, PartitionId, SeamError, SeamResult, planted};
use weir_state::{Bundles, Part};

use crate::broker::{Broker, Committed, Extent, Place};
use crate::mark::Mark;
use crate::owner::Owner;
use crate::reader::Reader;
use crate::share::{Share, SharedSource};
use crate::worker::{Surroundings, ask};

/// How often it is tried to read what is committed while others commit.
const TRIES_MAX: usize = 5;
/// The epoch of a worker that begins with nothing.
const FIRST: Epoch = Epoch(1);

type Topics = BTreeMap<Arc<str>, i32>;

/// What a worker goes on with.
pub(crate) struct Restored {
    pub(crate) readers: BTreeMap<Place, Reader>,
    pub(crate) owner: Option<Owner>,
    /// Where everything is read from.
    pub(crate) starts: Vec<(Place, u64)>,
    /// Whether a place to begin at was decided here, and has to be committed.
    pub(crate) decided: bool,
    pub(crate) epoch: Epoch,
    /// Every partition that there is to read, whoever reads it.
    pub(crate) known: Vec<(usize, PartitionId)>,
}

/// What is read while a worker finds out where it goes on.
struct Finding<'a, B> {
    share: &'a Share,
    around: &'a Surroundings,
    broker: &'a mut B,
    topics: Topics,
    committed: BTreeMap<Place, Committed>,
    /// Partitions in which another record lies where the last one was read.
    others: BTreeSet<Place>,
    /// What all partitions have committed, once that was asked; and whether there was state of a commit before.
    all: Option<(BTreeMap<Place, Committed>, bool)>,
    bundles: BTreeMap<String, BTreeMap<String, Part>>,
    /// The partitions of sources that owners of keys have heard of, once that was asked.
    heard_of: Option<BTreeSet<PartitionId>>,
    epoch: Epoch,
    decided: bool,
}

/// Finds out where a worker goes on that was given `places`. One that the group holds for gone, and does not know it yet, reads
/// what the next owners are just replacing: then it looks again at what is committed, instead of taking that for damaged or asking
/// people about it.
///
/// # Errors
/// `Config` with a question where only people can know; `Corrupt` where state or topic is damaged or another one; `Retry` where
/// others commit all the time.
pub(crate) fn restore<B: Broker>(
    share: &Share,
    around: &Surroundings,
    broker: &mut B,
    places: &[Place],
) -> SeamResult<Restored> {
    let mut committed = broker.committed(None, places)?;
    for _ in 0..TRIES_MAX {
        let refusal = match restore_at(share, around, broker, places, committed.clone()) {
            Err(error) if matches!(error.kind, ErrorKind::Corrupt | ErrorKind::Config) => error,
            result => return result,
        };
        let since = broker.committed(None, places)?;
        if since == committed {
            return Err(refusal);
        }
        committed = since;
    }
    let message = format!("others commit the partitions that this worker was given: looked {TRIES_MAX} times");
    Err(SeamError::new(ErrorKind::Retry, message))
}

/// Where a worker goes on by what is `committed`.
fn restore_at<B: Broker>(
    share: &Share,
    around: &Surroundings,
    broker: &mut B,
    places: &[Place],
    committed: BTreeMap<Place, Committed>,
) -> SeamResult<Restored> {
    let topics = broker.topics()?;
    let partials = share.partials_topic();
    let (owned, read): (Vec<_>, Vec<_>) = places.iter().cloned().partition(|place| *place.topic == *partials);
    let (mut extents, mut last) = (BTreeMap::new(), BTreeMap::new());
    for place in &read {
        let extent = broker.extent(place)?;
        let mark = committed.get(place).and_then(|committed| committed.metadata.parse::<Mark>().ok());
        let known = mark.and_then(|mark| mark.last).filter(|last| (extent.start..extent.end).contains(&last.offset()));
        last.extend(known.map(|last| (place.clone(), last)));
        extents.insert(place.clone(), extent);
    }
    let others = broker.differing(&last)?;
    let mut finding = Finding {
        share,
        others,
        around,
        broker,
        topics,
        committed,
        all: None,
        bundles: BTreeMap::new(),
        heard_of: None,
        epoch: Epoch::default(),
        decided: false,
    };
    let mut readers = BTreeMap::new();
    let mut starts = Vec::new();
    for place in read {
        let reader = finding.reader(&place, extents[&place])?;
        starts.push((place.clone(), reader.next));
        readers.insert(place, reader);
    }
    let owner = if owned.is_empty() { None } else { Some(finding.owner(&owned, &mut starts)?) };
    let mut known = Vec::new();
    for (topic, partitions) in &finding.topics {
        if let Some(source) = source_of(&share.sources, topic) {
            known.extend((0..*partitions).map(|partition| (source, id(share, source, topic, partition))));
        }
    }
    let Finding { decided, epoch, .. } = finding;
    Ok(Restored { readers, owner, starts, decided, epoch, known })
}

/// The source that reads a topic: the first that names it, or whose pattern it matches.
pub(crate) fn source_of(sources: &[SharedSource], topic: &str) -> Option<usize> {
    let names = |wanted: &String| !wanted.starts_with('^') && wanted == topic;
    let by_name = sources.iter().position(|source| source.kafka.topics.iter().any(names));
    let matches = |wanted: &String| wanted.starts_with('^') && Regex::new(wanted).is_ok_and(|it| it.is_match(topic));
    by_name.or_else(|| sources.iter().position(|source| source.kafka.topics.iter().any(matches)))
}

fn id(share: &Share, source: usize, topic: &str, partition: i32) -> PartitionId {
    PartitionId::new(format!("{}:{topic}/{partition}", share.sources[source].name))
}

impl<B: Broker> Finding<'_, B> {
    fn reader(&mut self, place: &Place, extent: Extent) -> SeamResult<Reader> {
        let source = source_of(&self.share.sources, &place.topic).ok_or_else(|| {
            SeamError::new(ErrorKind::Unknown, format!("the group gave {place}, which no source reads"))
        })?;
        let committed = self.committed.get(place).cloned();
        let mut last = committed.as_ref().and_then(|committed| committed.metadata.parse::<Mark>().ok()?.last);
        if let Some(other) = last.filter(|_| self.others.contains(place)) {
            self.another(place, other)?;
        }
        let (mut next, known, part) = match committed.filter(|_| !self.others.contains(place)) {
            Some(committed) => self.goes_on(place, &committed)?,
            None => {
                last = None;
                self.begins(source, place)?
            }
        };
        if next > extent.end {
            let message = format!(
                "{place} was read up to record {next}, but ends at record {}: the topic was made anew, or lost records; use \
                 another workers.group to read it from its beginning",
                extent.end
            );
            return Err(SeamError::new(ErrorKind::Corrupt, message));
        }
        if next < extent.start {
            let message = format!(
                "{place}: records {next} to {} were deleted before they were read: let the topic keep more, or read it sooner",
                extent.start - 1
            );
            tracing::error!(pipeline = self.share.plan.pipeline, "{message}");
            self.around.handle.trouble(&message, self.around.clock.now());
            next = extent.start;
        }
        let id = id(self.share, source, &place.topic, place.partition);
        let (plan, compiler) = (self.share.plan.clone(), Arc::clone(&self.around.compiler));
        let (groups, of) = (self.share.sharing.key_groups, (source, id.clone()));
        let (fold, carry) = match part {
            None => (Fold::new(plan, compiler, groups, of), None),
            Some(part) => (Fold::restore(plan, compiler, groups, of, part.snapshot), part.carry),
        };
        let fold = fold.map_err(|error| self.refused(place, &error))?;
        let origin = place.to_string().into();
        Reader::new((source, &self.share.sources[source]), (id, origin), fold, (next, known, last), carry.as_deref())
    }

    /// The topic of `place` is not the one that was read. Kafka deletes offsets with their topic, but a worker that has not heard
    /// of it yet commits once more.
    fn another(&self, place: &Place, last: LastRecord) -> SeamResult<()> {
        let what = format!("{place}: record {} is not the one that was read: the topic was made anew", last.offset());
        if self.around.bundles.is_some() {
            return Err(ask(format!(
                "{what}, and there is state of the one before. Use another workers.group, which begins anew"
            )));
        }
        let message = format!("{what}, and is read as at first");
        tracing::warn!(pipeline = self.share.plan.pipeline, "{message}");
        self.around.handle.trouble(&message, self.around.clock.now());
        Ok(())
    }

    /// What was committed of `place`, and the state that belongs to it.
    fn goes_on(&mut self, place: &Place, committed: &Committed) -> SeamResult<(u64, i32, Option<Part>)> {
        let Ok(mark) = committed.metadata.parse::<Mark>() else { return self.without_mark(place, committed) };
        let part = match &mark.bundle {
            None if self.around.bundles.is_some() => {
                return Err(ask(format!(
                    "{place} was committed without state, and the pipeline has steps now that remember rows: give it \
                     another name or workers.group, which begins anew"
                )));
            }
            None => None,
            Some(name) => Some(self.part(name, place, committed.offset)?),
        };
        Ok((committed.offset, mark.partitions, part))
    }

    /// Somebody else has committed offsets of the group.
    fn without_mark(&mut self, place: &Place, committed: &Committed) -> SeamResult<(u64, i32, Option<Part>)> {
        let (group, offset) = (&self.share.sharing.group, committed.offset);
        if self.around.bundles.is_some() {
            return Err(ask(format!(
                "the offset {offset} of {place} in the group {group} is not Weir's: it was set by somebody else, and no state \
                 belongs to it. Put back what was there, or use another workers.group, which begins anew"
            )));
        }
        let message =
            format!("the offset {offset} of {place} in the group {group} was set by somebody else: going on there");
        tracing::warn!(pipeline = self.share.plan.pipeline, "{message}");
        self.around.handle.trouble(&message, self.around.clock.now());
        self.decided = true;
        Ok((offset, self.topics.get(&place.topic).copied().unwrap_or(0), None))
    }

    /// Nothing was committed of `place` yet.
    fn begins(&mut self, source: usize, place: &Place) -> SeamResult<(u64, i32, Option<Part>)> {
        let (all, has_state) = self.all()?.clone();
        if all.is_empty() && has_state {
            return Err(ask(format!(
                "the group {} has no offsets, but there is state of it: they have expired or were deleted. Remove the state \
                 and choose `start`, or use another workers.group",
                self.share.sharing.group
            )));
        }
        let id = id(self.share, source, &place.topic, place.partition);
        if !all.is_empty() && self.heard_of()?.contains(&id) {
            return Err(ask(format!(
                "the group {} has no offset of {place}, but state that was made of it: the topic was made anew, or somebody has \
                 deleted the offset. Use another workers.group, which begins anew",
                self.share.sharing.group
            )));
        }
        self.decided = true;
        let marks = all.iter().filter_map(|(of, committed)| Some((of, committed.metadata.parse::<Mark>().ok()?)));
        let at_first = marks.filter(|(of, _)| of.topic == place.topic).map(|(_, mark)| mark.partitions).max();
        let config = &self.share.sources[source].kafka;
        let is_named = config.topics.iter().any(|topic| **topic == *place.topic);
        let extent = self.broker.extent(place)?;
        let partitions = self.topics.get(&place.topic).copied().unwrap_or(place.partition + 1);
        let came_later = match at_first {
            Some(partitions) => place.partition >= partitions,
            None => !is_named && !all.is_empty(),
        };
        if came_later {
            self.says_start(place, extent.start);
            return Ok((extent.start, at_first.unwrap_or(0), None));
        }
        let next = match config.start {
            KafkaStart::Earliest => extent.start,
            KafkaStart::Latest => extent.end,
            KafkaStart::Timestamp(time) => self.broker.offset_at(place, time.millis)?.unwrap_or(extent.end),
            KafkaStart::Committed => {
                let of_group = self.broker.committed(config.group.as_deref(), std::slice::from_ref(place))?;
                of_group.get(place).map_or(extent.start, |committed| committed.offset)
            }
        };
        let next = next.clamp(extent.start, extent.end);
        self.says_start(place, next);
        Ok((next, at_first.unwrap_or(partitions), None))
    }

    /// So that nobody has to guess what became of offsets that have expired.
    fn says_start(&self, place: &Place, next: u64) {
        let (pipeline, group) = (&self.share.plan.pipeline, &self.share.sharing.group);
        tracing::info!(pipeline, "the group {group} has committed nothing of {place}: beginning at record {next}");
    }

    /// The partitions of sources that owners of keys have heard of, by what is committed.
    fn heard_of(&mut self) -> SeamResult<&BTreeSet<PartitionId>> {
        if self.heard_of.is_none() {
            let mut tries = 1..=TRIES_MAX;
            let heard_of = loop {
                match self.read_heard_of() {
                    // Others commit meanwhile, and remove what nobody needs after that.
                    Err(error) if error.kind == ErrorKind::Corrupt && tries.next().is_some() => {}
                    result => break result?,
                }
            };
            self.heard_of = Some(heard_of);
        }
        Ok(self.heard_of.as_ref().expect("it was just asked"))
    }

    fn read_heard_of(&mut self) -> SeamResult<BTreeSet<PartitionId>> {
        let Some(bundles) = &self.around.bundles else { return Ok(BTreeSet::new()) };
        let (partials, mut heard_of) = (self.share.partials_topic(), BTreeSet::new());
        let named: BTreeSet<String> = all_committed(self.share, self.broker, &self.topics)?
            .into_iter()
            .filter(|(place, _)| *place.topic == *partials)
            .filter_map(|(_, committed)| committed.metadata.parse::<Mark>().ok()?.bundle)
            .collect();
        for name in named {
            let parts = bundles.read(&name)?;
            for part in parts.iter().filter(|part| part.key.starts_with(&format!("{partials}/"))) {
                let partitions = Merge::partitions_in(&part.snapshot);
                heard_of.extend(partitions.map_err(|error| SeamError::new(ErrorKind::Corrupt, error.to_string()))?);
            }
        }
        Ok(heard_of)
    }

    /// What every partition of the group has committed, and whether there is state that follows a commit.
    fn all(&mut self) -> SeamResult<&(BTreeMap<Place, Committed>, bool)> {
        if self.all.is_none() {
            // State is looked for first: what another worker commits in between is then among the offsets. A bundle of the
            // first epoch may be one that was never committed.
            let names = self.around.bundles.as_ref().map(Bundles::names).transpose()?.unwrap_or_default();
            let has_state = names.iter().filter_map(|name| epoch_of(name)).any(|epoch| epoch > FIRST);
            self.all = Some((all_committed(self.share, self.broker, &self.topics)?, has_state));
        }
        Ok(self.all.as_ref().expect("it was just asked"))
    }

    fn owner(&mut self, places: &[Place], starts: &mut Vec<(Place, u64)>) -> SeamResult<Owner> {
        let made =
            Merge::new(self.share.plan.clone(), Arc::clone(&self.around.compiler), self.share.sharing.key_groups);
        let mut merge = made.map_err(|error| self.refused(&places[0], &error))?;
        let mut next = BTreeMap::new();
        for place in places {
            let group = u16::try_from(place.partition).unwrap_or(u16::MAX);
            let extent = self.broker.extent(place)?;
            let (offset, done) = match self.committed.get(place).cloned() {
                Some(committed) => match self.goes_on(place, &committed)? {
                    (offset, _, Some(part)) if !planted!(BundleIgnored) => {
                        (offset, merge.import(KeyGroup(group), &part.snapshot))
                    }
                    (offset, _, _) => (offset, merge.begin(KeyGroup(group))),
                },
                None => {
                    self.decided = true;
                    (0, merge.begin(KeyGroup(group)))
                }
            };
            done.map_err(|error| self.refused(place, &error))?;
            if offset < extent.start || offset > extent.end {
                return Err(ask(format!(
                    "{place} holds records {} to {}, and is to be read from {offset} on: its offsets have expired, or somebody \
                     has deleted records or made it anew. Use another workers.group, which begins anew",
                    extent.start, extent.end
                )));
            }
            next.insert(group, offset);
            starts.push((place.clone(), offset));
        }
        Ok(Owner::new(merge, next, &self.share.answers_topic()))
    }

    /// The part of a bundle that belongs to `place` at `offset`.
    fn part(&mut self, name: &str, place: &Place, offset: u64) -> SeamResult<Part> {
        let Some(bundles) = &self.around.bundles else {
            return Err(ask(format!(
                "{place} was committed with state, and the pipeline has no place for state: put `state` back"
            )));
        };
        if !self.bundles.contains_key(name) {
            let parts = bundles.read(name).map_err(|error| self.gone(place, error))?;
            self.bundles.insert(name.to_owned(), parts.into_iter().map(|part| (part.key.clone(), part)).collect());
        }
        self.epoch = self.epoch.max(epoch_of(name).unwrap_or_default());
        let part = self.bundles.get_mut(name).and_then(|parts| parts.remove(&place.to_string()));
        match part {
            Some(part) if part.offset == offset => Ok(part),
            Some(part) => Err(SeamError::new(
                ErrorKind::Corrupt,
                format!("bundle {name} has {place} at record {}, and record {offset} was committed", part.offset),
            )),
            None => Err(SeamError::new(ErrorKind::Corrupt, format!("bundle {name} has nothing of {place}"))),
        }
    }

    /// State that cannot be read, with what can be done about it.
    fn gone(&self, place: &Place, error: SeamError) -> SeamError {
        if error.kind != ErrorKind::Corrupt {
            return error;
        }
        let message = format!(
            "the state of {place} in the group {} is gone or damaged: put it back, or use another workers.group, which begins \
             anew",
            self.share.sharing.group
        );
        SeamError::caused(ErrorKind::Corrupt, message, error)
    }

    fn refused(&self, place: &Place, error: &EngineError) -> SeamError {
        let (kind, way_out) = match error {
            EngineError::Corrupt(_) => (ErrorKind::Corrupt, ""),
            EngineError::Unreadable(error) => (error.kind, ""),
            EngineError::Plan { .. } => (ErrorKind::Config, ""),
            EngineError::OtherPlan { .. } | EngineError::Misfits(_) => {
                (ErrorKind::Config, ": run it as it was, or use another workers.group, which begins anew")
            }
        };
        SeamError::new(kind, format!("pipeline {}, {place}: {error}{way_out}", self.share.plan.pipeline))
    }
}

/// The epoch in the name of a bundle.
fn epoch_of(name: &str) -> Option<Epoch> {
    name.split('-').next().and_then(|epoch| epoch.parse().ok()).map(Epoch)
}

/// What every partition of the group has committed.
pub(crate) fn all_committed<B: Broker>(
    share: &Share,
    broker: &mut B,
    topics: &Topics,
) -> SeamResult<BTreeMap<Place, Committed>> {
    let mut places = Vec::new();
    for (topic, partitions) in topics {
        places.extend((0..*partitions).map(|partition| Place { topic: Arc::clone(topic), partition }));
    }
    if share.is_keyed() {
        let topic: Arc<str> = share.partials_topic().into();
        let groups = 0..i32::from(share.key_groups());
        places.extend(groups.map(|partition| Place { topic: Arc::clone(&topic), partition }));
    }
    broker.committed(None, &places)
}

/// The bundles that some commit names.
pub(crate) fn named<B: Broker>(share: &Share, broker: &mut B) -> SeamResult<BTreeSet<String>> {
    let topics = broker.topics()?;
    let all = all_committed(share, broker, &topics)?;
    Ok(all.values().filter_map(|committed| committed.metadata.parse::<Mark>().ok()?.bundle).collect())
}
