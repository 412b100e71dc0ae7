//! One worker between two failures: takes what the group gives it, works, and commits everything that it has at once. What
//! it believes is only what is committed: after any doubt it forgets the rest and reads that again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use weir_collect::LastRecord;
use weir_model::{
    Balance, Clock, Compiler, Epoch, ErrorKind, KnownEnds, Offset, PartitionId, SeamError, SeamResult, Watermark,
    planted,
};
use weir_observe::{Checkpoint, PipelineHandle, PipelineState};
use weir_state::{Bundles, Part};

use crate::broker::{Broker, Committed, Event, Outgoing, Place, Transaction};
use crate::mark::Mark;
use crate::outputs::Outputs;
use crate::owner::{Owner, heard};
use crate::pace::Pace;
use crate::reader::Reader;
use crate::restore::Restored;
use crate::schemas::Schemas;
use crate::share::Share;
use crate::sweep::Sweep;

/// How often machines are told the time.
const TICK: Duration = Duration::from_millis(100);
/// How often in a row a worker goes back to what is committed, before it begins anew with another client.
const GOING_BACK_MAX: u32 = 5;
/// How often records that everybody has read are deleted from the partials.
const DELETE_EVERY: Duration = Duration::from_secs(60);

/// What a worker works with.
#[derive(Clone)]
pub struct Surroundings {
    /// Compiles the expressions of steps.
    pub compiler: Arc<dyn Compiler>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Lets time pass.
    pub pace: Arc<dyn Pace>,
    /// What the pipeline says of itself.
    pub handle: Arc<PipelineHandle>,
    /// Where state lies; nothing where a plan has none.
    pub bundles: Option<Bundles>,
    /// Asks registries.
    pub runtime: tokio::runtime::Handle,
}

/// A worker.
pub(crate) struct Worker<'a, B> {
    pub(crate) share: &'a Share,
    pub(crate) around: &'a Surroundings,
    pub(crate) broker: B,
    schemas: Schemas,
    /// What the group has given.
    places: Vec<Place>,
    readers: BTreeMap<Place, Reader>,
    owner: Option<Owner>,
    outputs: Outputs,
    epoch: Epoch,
    /// Records were taken, or places to begin at decided, since the last commit.
    dirty: bool,
    /// The bundle of the last commit, and the partitions in it.
    bundle: Option<(String, BTreeSet<Place>)>,
    sweep: Sweep,
    /// When records of partials were deleted last, as the pace has it.
    deleted: Duration,
    gone_back: u32,
    /// Whether anything was committed in this life.
    pub(crate) committed: bool,
}

impl<'a, B: Broker> Worker<'a, B> {
    pub(crate) fn new(share: &'a Share, around: &'a Surroundings, broker: B) -> SeamResult<Self> {
        Ok(Self {
            share,
            around,
            broker,
            schemas: Schemas::of(share, around.runtime.clone())?,
            places: Vec::new(),
            readers: BTreeMap::new(),
            owner: None,
            outputs: Outputs::new(share, Arc::clone(&around.clock), Arc::clone(&around.handle))?,
            epoch: Epoch::default(),
            dirty: false,
            bundle: None,
            sweep: Sweep::new(share.sharing.transaction * 3, around.pace.elapsed()),
            deleted: around.pace.elapsed(),
            gone_back: 0,
            committed: false,
        })
    }

    /// Works until `stop` says so; everything taken is committed then.
    pub(crate) fn run(&mut self, stop: &dyn Fn() -> bool) -> SeamResult<()> {
        self.around.handle.set_state(PipelineState::Running);
        let pace = Arc::clone(&self.around.pace);
        let (mut tick, mut due) = (pace.elapsed(), pace.elapsed() + self.share.epoch);
        loop {
            let now = pace.elapsed();
            if now >= tick {
                if stop() {
                    return self.commit();
                }
                self.tick()?;
                tick = now + TICK;
            }
            if now >= due || self.outputs.is_full() {
                self.commit()?;
                due = pace.elapsed() + self.share.epoch;
            }
            let gathered = self.readers.values().any(Reader::has_gathered);
            let wait = if gathered { Duration::ZERO } else { tick.min(due).saturating_sub(now) };
            match self.broker.next(wait)? {
                Some(Event::Record { place, offset, value, last }) => {
                    self.record(&place, (offset, value.as_deref()), last)?;
                }
                Some(Event::End(place)) => self.end(&place)?,
                Some(Event::Assigned(places)) => {
                    self.places = places;
                    self.restore()?;
                    due = pace.elapsed() + self.share.epoch;
                }
                Some(Event::Revoked { lost }) => self.revoked(lost)?,
                Some(Event::Trouble(message)) => {
                    tracing::warn!(pipeline = self.share.plan.pipeline, "{message}");
                    self.around.handle.trouble(&message, self.around.clock.now());
                }
                None => self.flush()?,
            }
        }
    }

    fn record(
        &mut self,
        place: &Place,
        (offset, value): (u64, Option<&[u8]>),
        last: Option<LastRecord>,
    ) -> SeamResult<()> {
        if let Some(reader) = self.readers.get_mut(place) {
            if !is_new(place, offset, reader.next) {
                return Ok(());
            }
            self.dirty = true;
            if reader.take(offset, value, last) {
                let (of, now) = (&self.share.sources[reader.source], self.around.clock.now());
                reader.flush(of, &mut self.outputs, &self.schemas, (&self.around.handle, now))?;
            }
            return Ok(());
        }
        match (&mut self.owner, &*place.topic) {
            (_, topic) if topic == self.share.answers_topic() => {
                if let Some(held) = heard(value) {
                    self.readers.values_mut().for_each(|reader| reader.hear(&held));
                }
                Ok(())
            }
            (Some(owner), topic) if topic == self.share.partials_topic() => {
                if !is_new(place, offset, owner.next_of(place)) {
                    return Ok(());
                }
                self.dirty = true;
                owner.take(place, (offset, value), &mut self.outputs)
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, place: &Place) -> SeamResult<()> {
        let Some(reader) = self.readers.get_mut(place) else { return Ok(()) };
        let (of, now) = (&self.share.sources[reader.source], self.around.clock.now());
        reader.flush(of, &mut self.outputs, &self.schemas, (&self.around.handle, now))?;
        reader.caught_up(of, &mut self.outputs, &self.around.handle)
    }

    fn flush(&mut self) -> SeamResult<()> {
        let now = self.around.clock.now();
        for reader in self.readers.values_mut() {
            let of = &self.share.sources[reader.source];
            reader.flush(of, &mut self.outputs, &self.schemas, (&self.around.handle, now))?;
        }
        Ok(())
    }

    fn tick(&mut self) -> SeamResult<()> {
        let now = self.around.clock.now();
        for reader in self.readers.values_mut() {
            reader.tick(now, &self.share.sources[reader.source], &mut self.outputs)?;
        }
        if let Some(owner) = &mut self.owner {
            owner.tick(now, &mut self.outputs)?;
        }
        self.show();
        Ok(())
    }

    /// Everything is somebody else's from now on. What was taken is committed first, if it still may be.
    fn revoked(&mut self, lost: bool) -> SeamResult<()> {
        tracing::info!(pipeline = self.share.plan.pipeline, lost, "the group takes its partitions back");
        if !lost && !self.places.is_empty() {
            match self.commit_once() {
                Ok(()) => {}
                // It will be read again, by whoever gets it.
                Err(error) if error.kind == ErrorKind::Retry => {
                    tracing::warn!(pipeline = self.share.plan.pipeline, error = error.full(), "nothing was committed");
                }
                Err(error) => return Err(error),
            }
        }
        self.forget();
        self.places.clear();
        self.broker.let_go()
    }

    fn forget(&mut self) {
        for reader in self.readers.values() {
            self.around.handle.forget_partition(&reader.id);
        }
        self.readers.clear();
        self.owner = None;
        self.outputs.clear();
        self.dirty = false;
    }

    /// Goes to where the last commits have left what the group has given.
    fn restore(&mut self) -> SeamResult<()> {
        self.forget();
        let started = self.around.pace.elapsed();
        let Restored { readers, mut owner, starts, decided, epoch, known } =
            crate::restore::restore(self.share, self.around, &mut self.broker, &self.places)?;
        if let Some(owner) = &mut owner {
            owner.tick(self.around.clock.now(), &mut self.outputs)?;
            owner.expect(known.iter(), &mut self.outputs)?;
        }
        (self.readers, self.owner) = (readers, owner);
        self.epoch = self.epoch.max(epoch);
        self.bundle = None;
        for reader in self.readers.values_mut() {
            reader.tick(self.around.clock.now(), &self.share.sources[reader.source], &mut self.outputs)?;
        }
        let answers = (self.share.is_keyed()).then(|| Place::new(self.share.answers_topic(), 0));
        self.broker.read(&starts, answers.as_ref())?;
        self.around.handle.watch_ends(self.ends());
        let places: Vec<String> = self.places.iter().map(Place::to_string).collect();
        tracing::info!(
            pipeline = self.share.plan.pipeline,
            partitions = places.join(" "),
            took = ?self.around.pace.elapsed().saturating_sub(started),
            "the group has given partitions"
        );
        if decided {
            // The place to begin at is decided once and for all.
            self.dirty = true;
            self.commit()?;
        }
        Ok(())
    }

    /// Commits, or goes back to what is committed when that was not possible.
    fn commit(&mut self) -> SeamResult<()> {
        let error = match self.commit_once() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        self.around.handle.checkpoint_failed();
        if error.kind != ErrorKind::Retry || self.gone_back >= GOING_BACK_MAX {
            return Err(error);
        }
        self.gone_back += 1;
        tracing::warn!(pipeline = self.share.plan.pipeline, error = error.full(), "going back to the last commit");
        self.restore()
    }

    /// Everything that was taken, and what comes of it, in one transaction.
    fn commit_once(&mut self) -> SeamResult<()> {
        self.flush()?;
        let started = self.around.pace.elapsed();
        let epoch = self.epoch.next();
        let parts = self.seal(epoch)?;
        if !self.dirty && self.outputs.is_empty() {
            return Ok(());
        }
        let (bundle, snapshot_bytes) = match &self.around.bundles {
            Some(bundles) if !parts.is_empty() => {
                let parts: Vec<Part> = parts.into_iter().map(|(_, part)| part).collect();
                bundles.write(epoch, &parts).map(|(name, bytes)| (Some(name), bytes))?
            }
            Some(_) | None => (None, 0),
        };
        let offsets = self.offsets(bundle.as_deref());
        let transaction = Transaction { records: self.outputs.take(), offsets };
        if planted!(BundleRemovedEarly)
            && let (Some(bundles), Some((before, _))) = (&self.around.bundles, &self.bundle)
        {
            bundles.remove(before)?;
        }
        self.broker.commit(&transaction)?;
        self.epoch = epoch;
        self.dirty = false;
        self.gone_back = 0;
        self.committed = true;
        self.around.handle.committed(Checkpoint {
            epoch,
            at: self.around.clock.now(),
            took: self.around.pace.elapsed().saturating_sub(started),
            snapshot_bytes,
        });
        self.collect(bundle, &transaction);
        Ok(())
    }

    /// What every partition remembers; what readers have for owners goes to the outputs.
    fn seal(&mut self, epoch: Epoch) -> SeamResult<Vec<(Place, Part)>> {
        let topic: Arc<str> = self.share.partials_topic().into();
        let mut parts = Vec::new();
        for (place, reader) in &mut self.readers {
            let of = &self.share.sources[reader.source];
            let (snapshot, carry, partials) = reader.seal(epoch, of, &mut self.outputs)?;
            for partial in partials.into_iter().filter(|_| self.share.is_keyed()) {
                self.outputs.push(Outgoing {
                    topic: Arc::clone(&topic),
                    partition: Some(i32::from(partial.key_group.0)),
                    key: None,
                    value: Some(partial.to_bytes()),
                    headers: Vec::new(),
                });
            }
            parts.push((place.clone(), Part { key: place.to_string(), offset: reader.next, carry, snapshot }));
        }
        if let Some(owner) = &mut self.owner {
            for (group, snapshot) in owner.seal() {
                let place = Place { topic: Arc::clone(&topic), partition: i32::from(group.0) };
                let offset = owner.next.get(&group.0).copied().unwrap_or(0);
                parts.push((place.clone(), Part { key: place.to_string(), offset, carry: None, snapshot }));
            }
        }
        Ok(parts)
    }

    fn offsets(&self, bundle: Option<&str>) -> Vec<(Place, Committed)> {
        let committed = |offset: u64, partitions: i32, last: Option<LastRecord>| {
            let mark = Mark { partitions, bundle: bundle.map(str::to_owned), last };
            Committed { offset, metadata: mark.to_string() }
        };
        let readers = self.readers.iter();
        let mut offsets: Vec<_> =
            readers.map(|(place, reader)| (place.clone(), committed(reader.next, reader.known, reader.last))).collect();
        if let Some(owner) = self.owner.as_ref().filter(|_| !planted!(PartialsForgotten)) {
            let (topic, groups) = (self.share.partials_topic(), i32::from(self.share.key_groups()));
            let place = |group: u16| Place::new(topic.as_str(), i32::from(group));
            offsets.extend(owner.next.iter().map(|(group, next)| (place(*group), committed(*next, groups, None))));
        }
        offsets
    }

    /// Removes what nobody needs after this commit. A failure only leaves things behind, until the next time.
    fn collect(&mut self, bundle: Option<String>, transaction: &Transaction) {
        let partials = self.share.partials_topic();
        let now = self.around.pace.elapsed();
        if now.saturating_sub(self.deleted) >= DELETE_EVERY {
            self.deleted = now;
            let own = transaction.offsets.iter().filter(|(place, _)| *place.topic == *partials);
            let own: Vec<_> = own.map(|(place, committed)| (place.clone(), committed.offset)).collect();
            self.broker.delete_before(&own);
        }
        let (Some(bundles), Some(name)) = (&self.around.bundles, bundle) else { return };
        let places: BTreeSet<Place> = transaction.offsets.iter().map(|(place, _)| place.clone()).collect();
        let before = self.bundle.replace((name, places.clone()));
        // Of partitions that are here no more the next owner's commit is waited for.
        if let Some((before, of)) = before.filter(|(_, of)| of.is_subset(&places))
            && let Err(error) = bundles.remove(&before)
        {
            tracing::warn!(
                pipeline = self.share.plan.pipeline,
                error = error.full(),
                partitions = of.len(),
                "an old bundle was not removed"
            );
        }
        self.sweep.go(now, self.share, &mut self.broker, bundles);
    }

    /// Who says where the partitions end that are read here.
    fn ends(&self) -> Vec<KnownEnds> {
        let Some(ends) = self.broker.ends() else { return Vec::new() };
        let readers = self.readers.iter();
        let ids: BTreeMap<Place, PartitionId> =
            readers.map(|(place, reader)| (place.clone(), reader.id.clone())).collect();
        let of_board = move |(place, end)| Some((ids.get(&place)?.clone(), Offset(end)));
        vec![Arc::new(move || ends().into_iter().filter_map(&of_board).collect())]
    }

    /// Brings the board up to date.
    fn show(&self) {
        let handle = &self.around.handle;
        let mut sums = vec![Balance::default(); self.share.plan.outputs.len()];
        let mut add = |balances: Vec<Balance>| sums.iter_mut().zip(balances).for_each(|(sum, each)| *sum += each);
        let mut bytes = 0;
        for reader in self.readers.values() {
            reader.show(handle);
            add(reader.balances());
            bytes += reader.state_bytes();
        }
        if let Some(owner) = &self.owner {
            add(owner.balances());
            bytes += owner.state_bytes();
        }
        let watermark = self.owner.as_ref().map_or(Watermark::UNKNOWN, Owner::watermark);
        handle.set_watermark(watermark, None);
        handle.set_state_bytes(bytes as u64);
        for (output, balance) in self.share.plan.outputs.iter().zip(sums) {
            handle.set_balance(&output.name, balance);
        }
    }
}

/// Whether a record was not taken yet. Clients begin anew behind the scenes, after a change of leaders for one, and some
/// yield then what they have yielded already.
fn is_new(place: &Place, offset: u64, next: u64) -> bool {
    if offset < next {
        tracing::warn!(%place, offset, next, "the client yields a record once more: it is not taken again");
    }
    offset >= next || planted!(RedeliveredTaken)
}

/// Something is wrong with what is committed, and only people can say what is to be done.
pub(crate) fn ask(message: String) -> SeamError {
    SeamError::new(ErrorKind::Config, message)
}
