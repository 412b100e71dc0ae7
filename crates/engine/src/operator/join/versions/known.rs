//! What is known of the versions of each key: which holds when, and until when. Reads no rows; what it drops it says to the
//! rows ([`VersionRows::forget`]).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::rows::VersionRows;
use super::{Spot, Version};
use crate::keys::Digest;
use crate::operator::join::sole::{One, Sole};

/// As soon as such a part of what is known is over it is taken out.
const OVER_SHARE: usize = 4;

/// The versions of all keys.
#[derive(Debug)]
pub(super) struct KnownVersions {
    /// What is dropped is dropped at multiples of this.
    grid: i64,
    /// For how long after its event time a version holds.
    ttl: Option<i64>,
    /// The keys that have one version, which holds from its time on, or is the oldest that may be asked for.
    sole: Sole,
    /// Of each other key the versions, by time and place.
    several: HashMap<Digest, Vec<Known>, FixedState>,
    /// How many versions there are in `several`.
    listed: usize,
    /// When there may be something to drop of which key of `several`.
    due: BTreeSet<(i64, Digest)>,
    /// When versions in `sole` are over, and how many are then.
    ends: BTreeMap<i64, u32>,
    /// No row before this comes any more.
    passed: i64,
    /// How many versions in `sole` are over since.
    over: usize,
}

/// A version of a key that has several.
#[derive(Clone, Copy, Debug)]
struct Known {
    time: i64,
    /// What tells it from others of its time; not known until there is one.
    place: Option<(u64, u64)>,
    from: i64,
    deleted: bool,
    spot: Spot,
}

impl KnownVersions {
    pub(super) fn new(grid: i64, ttl: Option<i64>) -> Self {
        assert!(grid > 0, "a constant");
        Self {
            grid,
            ttl,
            sole: Sole::new(),
            several: HashMap::default(),
            listed: 0,
            due: BTreeSet::new(),
            ends: BTreeMap::new(),
            passed: i64::MIN,
            over: 0,
        }
    }

    /// How many versions are held.
    pub(super) fn len(&self) -> usize {
        self.sole.len() - self.over + self.listed
    }

    /// Of these versions those whose places are not known and are needed to tell them apart, by the run that has them.
    pub(super) fn unplaced(&self, versions: impl Iterator<Item = (Digest, i64)>) -> BTreeMap<u32, Vec<(u32, Digest)>> {
        let mut unknown: BTreeMap<u32, Vec<(u32, Digest)>> = BTreeMap::new();
        for (key, time) in versions {
            let sole = self.sole.get(key).map(|one| (one.time, one.spot));
            let listed = self.several.get(&key).into_iter().flatten();
            let listed = listed.filter(|known| known.place.is_none()).map(|known| (known.time, known.spot));
            for (_, (run, row)) in sole.into_iter().chain(listed).filter(|(known, _)| *known == time) {
                unknown.entry(run).or_default().push((row, key));
            }
        }
        unknown
    }

    /// Takes up the place of the version that lies at `spot`.
    pub(super) fn put_place(&mut self, key: Digest, spot: Spot, place: (u64, u64), rows: &mut VersionRows) {
        if let Some(one) = self.sole.get(key).filter(|one| one.spot == spot) {
            self.list(key, None, rows);
            // It may stay alone.
            self.due.insert((after(self.grid, one.time.max(self.passed)), key));
        }
        let versions = self.several.get_mut(&key).into_iter().flatten();
        versions.filter(|known| known.spot == spot).for_each(|known| known.place = Some(place));
    }

    /// Makes a list of the one version that a key has.
    fn list(&mut self, key: Digest, place: Option<(u64, u64)>, rows: &mut VersionRows) {
        let Some(one) = self.take_sole(key, rows) else { return };
        let One { time, spot, deleted } = one;
        self.several.insert(key, vec![Known { time, place, from: time, deleted, spot }]);
        self.listed += 1;
        self.due.extend(self.end(&one).map(|end| (end, key)));
    }

    /// Whether a version would hold at any time: it is not over before it begins, and no newer one holds from then on.
    pub(super) fn matters(&self, key: Digest, version: &Version) -> bool {
        if self.is_over(version.time, version.from) {
            return false;
        }
        if let Some(one) = self.sole.get(key) {
            // Of one time with it, it would be in a list.
            return one.time < version.time || one.time > version.from;
        }
        let versions = self.several.get(&key).map_or(&[][..], Vec::as_slice);
        let newer = versions.iter().rev().take_while(|known| known.is_newer_than(version));
        newer.clone().all(|known| known.from > version.from)
    }

    /// Takes up the versions of a run, which were compared with what is known of their keys. What is dropped before `after` is
    /// dropped by whoever calls.
    pub(super) fn add_all(&mut self, run: u32, versions: &[(Digest, Version)], after: i64, rows: &mut VersionRows) {
        for (row, (key, version)) in (0u32..).zip(versions) {
            // Of versions that come together it is known what tells them apart.
            match self.sole.get(*key) {
                Some(One { spot: (of, at), .. }) if of == run => {
                    self.list(*key, Some(versions[at as usize].1.place), rows)
                }
                Some(_) => self.list(*key, None, rows),
                None => {}
            }
            self.add(*key, *version, (run, row));
            self.await_drops(*key, version, after);
        }
    }

    fn add(&mut self, key: Digest, version: Version, spot: Spot) {
        let Version { time, place, from, deleted } = version;
        if from == time && !self.several.contains_key(&key) {
            self.put_sole(key, One { time, spot, deleted });
            return;
        }
        let versions = self.several.entry(key).or_default();
        let at = versions.partition_point(|known| !known.is_newer_than(&version));
        versions.insert(at, Known { time, place: Some(place), from, deleted, spot });
        self.listed += 1;
    }

    /// Notes when a version of a list may let go of others, and when it is over, unless that lies before `after`.
    fn await_drops(&mut self, key: Digest, version: &Version, after: i64) {
        if !self.several.contains_key(&key) {
            return;
        }
        let over = self.ttl.map(|ttl| version.time.saturating_add(ttl));
        for at in [Some(version.from), over].into_iter().flatten() {
            let at = self::after(self.grid, at);
            if at > after {
                self.due.insert((at, key));
            }
        }
    }

    fn is_over(&self, time: i64, at: i64) -> bool {
        self.ttl.is_some_and(|ttl| time.saturating_add(ttl) < at)
    }

    /// The row of the version that holds at `time`, if there is one.
    pub(super) fn find(&self, key: Digest, time: i64) -> Option<Spot> {
        let one = match self.sole.get(key) {
            Some(one) => Some(one).filter(|one| one.time <= time),
            None => {
                let newest = self.several.get(&key)?.iter().rev().find(|known| known.from <= time);
                newest.map(|known| One { time: known.time, spot: known.spot, deleted: known.deleted })
            }
        }?;
        (!one.deleted && !self.is_over(one.time, time)).then_some(one.spot)
    }

    /// The next time at which something may be dropped, once no row before it can come.
    pub(super) fn next_drop(&self) -> Option<i64> {
        let due = self.due.first().map(|(at, _)| *at);
        due.into_iter().chain(self.ends.keys().next().copied()).min()
    }

    /// Drops what holds for no row at `low` or later.
    pub(super) fn drop_before(&mut self, low: i64, rows: &mut VersionRows) {
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= low) {
            self.due.pop_first();
            self.drop_of(key, at, rows);
        }
        self.passed = self.passed.max(low);
        while let Some(first) = self.ends.first_entry().filter(|first| *first.key() <= low) {
            self.over += first.remove() as usize;
        }
        if self.over > self.sole.len() / OVER_SHARE {
            self.sweep(rows);
        }
    }

    /// Takes out what is over, of keys that have one version: takes a look at each.
    fn sweep(&mut self, rows: &mut VersionRows) {
        let Some(ttl) = self.ttl else { return };
        let (grid, passed) = (self.grid, self.passed);
        for one in self.sole.take_all(|one| after(grid, one.time.saturating_add(ttl)) <= passed) {
            rows.forget(one.spot);
        }
        self.over = 0;
    }

    /// When the only version of a key is dropped, of those that are once.
    fn end(&self, one: &One) -> Option<i64> {
        self.ttl.map(|ttl| after(self.grid, one.time.saturating_add(ttl)))
    }

    /// Makes a version the only one of its key.
    fn put_sole(&mut self, key: Digest, one: One) {
        match self.end(&one) {
            Some(end) if end <= self.passed => self.over += 1,
            Some(end) => *self.ends.entry(end).or_default() += 1,
            None => {}
        }
        self.sole.put(key, one);
    }

    /// Takes out the only version of a key, which drops it if it is over.
    fn take_sole(&mut self, key: Digest, rows: &mut VersionRows) -> Option<One> {
        let one = self.sole.take(key)?;
        match self.end(&one) {
            Some(end) if end <= self.passed => {
                self.over -= 1;
                rows.forget(one.spot);
                return None;
            }
            Some(end) => {
                let ends = self.ends.get_mut(&end).expect("it was counted when it came");
                *ends -= 1;
                if *ends == 0 {
                    self.ends.remove(&end);
                }
            }
            None => {}
        }
        Some(one)
    }

    fn drop_of(&mut self, key: Digest, low: i64, rows: &mut VersionRows) {
        let Some(mut versions) = self.several.remove(&key) else { return };
        self.listed -= versions.len();
        if let Some(current) = versions.iter().rposition(|known| known.from <= low) {
            // A version that says "deleted" stays as long as any: without it one that is older and comes late would hold.
            let over = self.is_over(versions[current].time, low);
            for known in versions.drain(..current + usize::from(over)) {
                rows.forget(known.spot);
            }
        }
        match versions[..] {
            [] => {}
            // Nobody asks for a time before it holds.
            [Known { time, from, deleted, spot, .. }] if from == time || from <= low => {
                self.put_sole(key, One { time, spot, deleted });
            }
            _ => {
                self.listed += versions.len();
                self.several.insert(key, versions);
            }
        }
    }

    /// Notes that a version's row has moved; false when it was dropped before.
    pub(super) fn moved(&mut self, key: Digest, from: Spot, to: Spot) -> bool {
        let listed = self.several.get_mut(&key).into_iter().flatten().find(|known| known.spot == from);
        match listed {
            Some(known) => known.spot = to,
            None => return self.sole.moved(key, from, to),
        }
        true
    }

    /// Where a snapshot begins that had dropped what holds for no row at `low` or later; the time at which it did.
    pub(super) fn begin_at(&mut self, low: i64) -> i64 {
        self.passed = low.div_euclid(self.grid).saturating_mul(self.grid);
        self.passed
    }

    /// Drops what the snapshot had dropped that began at `low`.
    pub(super) fn drop_again(&mut self, low: i64, rows: &mut VersionRows) {
        let keys: Vec<Digest> = self.several.keys().copied().collect();
        keys.into_iter().for_each(|key| self.drop_of(key, low, rows));
        self.sweep(rows);
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let keys = self.several.capacity() * (size_of::<(Digest, Vec<Known>)>() + 1);
        // Lists begin with one or four, and trees are about two thirds full.
        let lists = self.listed * size_of::<Known>() * 2 + self.due.len() * 2 * size_of::<(i64, Digest)>();
        self.sole.size() + keys + lists + self.ends.len() * 2 * size_of::<(i64, u32)>()
    }
}

impl Known {
    /// Whether it is the newer one of the two, by time and place. Of what it is compared with its own place is known.
    fn is_newer_than(&self, version: &Version) -> bool {
        match self.time.cmp(&version.time) {
            Ordering::Equal => self.place.is_some_and(|place| place > version.place),
            order => order == Ordering::Greater,
        }
    }
}

/// The first multiple of the grid that is later.
fn after(grid: i64, time: i64) -> i64 {
    time.div_euclid(grid).saturating_add(1).saturating_mul(grid)
}
