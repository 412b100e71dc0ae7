//! The sessions that are alive: which one a row belongs to, which grow together, and which row is late. Fires nothing.

use std::collections::BTreeMap;

use super::parts::{Part, Parts};
use super::spans::{Span, Spans};
use crate::keys::KeyId;

/// The place of a session among those that are alive.
pub(crate) type SessionId = u32;
/// No session.
pub(crate) const NOBODY: SessionId = SessionId::MAX;
/// The time of something that does not happen.
pub(crate) const NEVER: i64 = i64::MAX;

/// A session. It holds `start` and not `end`.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: KeyId,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Where the next session of the key begins.
    pub(crate) ceiling: i64,
    pub(crate) parts: Vec<Part>,
    /// The part that takes rows, unless it has become a run.
    pub(crate) filling: Option<Part>,
    pub(crate) spans: Spans,
    /// The results of it that stand.
    pub(crate) shown: Vec<Shown>,
    /// Whether it has rows that its last result does not contain.
    pub(crate) changed: bool,
    /// It is among those that are looked at when sessions speak early.
    pub(crate) listed: bool,
    /// Whether more than early results were emitted.
    pub(crate) fired: bool,
    /// Whether it waits for the next time at which late changes are told.
    pub(crate) touched: bool,
    /// Rows that no results contain.
    pub(crate) open_rows: u64,
    /// The watermark at which it is looked at; not after it has something to do.
    pub(crate) timer: i64,
}

/// A result that stands until another with its id replaces or retracts it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// The revision of what comes next.
    pub(crate) revision: i64,
}

/// A row, as far as sessions are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) key: KeyId,
    pub(crate) time: i64,
    /// The watermark before it: of its partition, or of all where that is further.
    pub(crate) mark: i64,
    /// The number of its partition.
    pub(crate) from: u32,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    In(SessionId),
    Late,
    /// It would begin one session more than there may be.
    Over,
}

impl Session {
    /// A session that has taken nothing yet.
    pub(crate) fn new(key: KeyId, (start, end): (i64, i64)) -> Self {
        Self {
            key,
            start,
            end,
            ceiling: NEVER,
            parts: Vec::new(),
            filling: None,
            spans: Spans::of(Vec::new(), (start, end)),
            shown: Vec::new(),
            changed: false,
            listed: false,
            fired: false,
            touched: false,
            open_rows: 0,
            timer: NEVER,
        }
    }

    /// Whether there is something to say that its last results do not.
    pub(crate) fn has_news(&self) -> bool {
        self.changed || (!self.fired && !self.shown.is_empty())
    }
}

#[derive(Debug)]
pub(crate) struct Living {
    gap: i64,
    lateness: i64,
    limit: usize,
    /// No row falls into what ended here or before.
    pub(crate) gone: i64,
    sessions: Vec<Option<Session>>,
    free: Vec<SessionId>,
    by_key: BTreeMap<(KeyId, i64), SessionId>,
    /// Of each key the session that last took a row.
    last: Vec<SessionId>,
}

impl Living {
    pub(crate) fn new(gap: i64, lateness: i64, limit: usize) -> Self {
        Self {
            gap,
            lateness,
            limit,
            gone: i64::MIN,
            sessions: Vec::new(),
            free: Vec::new(),
            by_key: BTreeMap::new(),
            last: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn get(&self, id: SessionId) -> &Session {
        self.sessions[id as usize].as_ref().expect("the session is alive")
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> &mut Session {
        self.sessions[id as usize].as_mut().expect("the session is alive")
    }

    /// The session, if it is alive.
    pub(crate) fn find(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(id as usize)?.as_ref()
    }

    /// The same, to be changed.
    pub(crate) fn find_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(id as usize)?.as_mut()
    }

    /// Every session, by key and start.
    pub(crate) fn ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.by_key.values().copied()
    }

    /// Finds or makes the session of a row, and lets it grow by the row's time. Sessions that grow together become one:
    /// the earliest takes what the others have.
    #[inline]
    pub(crate) fn place(&mut self, row: Row, parts: &mut Parts) -> Placed {
        let end = row.time.saturating_add(self.gap);
        let over = row.mark.saturating_sub(self.lateness);
        let last = self.last.get(row.key as usize).copied().unwrap_or(NOBODY);
        if last != NOBODY {
            let session = self.get_mut(last);
            let inside = row.time >= session.start && row.time < session.end && end <= session.ceiling;
            if inside && session.spans.is_only(row.from) && (row.time >= over || session.end > over) {
                session.end = session.end.max(end);
                return Placed::In(last);
            }
        }
        self.place_slowly(row, (end, over), parts)
    }

    fn place_slowly(&mut self, row: Row, (end, over): (i64, i64), parts: &mut Parts) -> Placed {
        // From the latest to the earliest that it overlaps.
        let earlier = self.by_key.range((row.key, i64::MIN)..(row.key, end)).rev().map(|(_, id)| *id);
        let overlapped: Vec<SessionId> = earlier.take_while(|id| self.get(*id).end > row.time).collect();
        if row.time < over && !overlapped.iter().any(|id| self.takes_late(*id, row, over)) {
            return Placed::Late;
        }
        let Some((base, others)) = overlapped.split_last() else {
            if self.len() >= self.limit {
                return Placed::Over;
            }
            return Placed::In(self.begin(row, end));
        };
        self.grow(*base, row, end);
        for other in others.iter().rev() {
            self.absorb(*base, *other, parts);
        }
        if self.last.len() <= row.key as usize {
            self.last.resize(row.key as usize + 1, NOBODY);
        }
        self.last[row.key as usize] = *base;
        Placed::In(*base)
    }

    /// Whether a row that lies before `over` falls into what is alive of a session for its partition.
    fn takes_late(&self, id: SessionId, row: Row, over: i64) -> bool {
        let session = self.get(id);
        session.start <= row.time && session.spans.hold((session.start, session.end), row.from, row.time, over)
    }

    fn begin(&mut self, row: Row, end: i64) -> SessionId {
        let session = Session { spans: Spans::only(row.from), ..Session::new(row.key, (row.time, end)) };
        self.insert(session)
    }

    /// Adds a session that overlaps no other of its key.
    pub(crate) fn insert(&mut self, mut session: Session) -> SessionId {
        let (key, start) = (session.key, session.start);
        let next = self.by_key.range((key, start)..).next().filter(|((other, _), _)| *other == key);
        session.ceiling = next.map_or(NEVER, |((_, start), _)| *start);
        self.lower_ceiling_before(key, start);
        let id = self.free.pop().unwrap_or_else(|| {
            self.sessions.push(None);
            self.sessions.len() as SessionId - 1
        });
        self.sessions[id as usize] = Some(session);
        self.by_key.insert((key, start), id);
        if self.last.len() <= key as usize {
            self.last.resize(key as usize + 1, NOBODY);
        }
        self.last[key as usize] = id;
        id
    }

    /// Tells the session before `start` where the next one begins.
    fn lower_ceiling_before(&mut self, key: KeyId, start: i64) {
        let before = self.by_key.range((key, i64::MIN)..(key, start)).next_back().map(|(_, id)| *id);
        if let Some(before) = before {
            self.get_mut(before).ceiling = start;
        }
    }

    /// Lets a session grow by a row.
    fn grow(&mut self, id: SessionId, row: Row, end: i64) {
        let gone = self.gone;
        let session = self.sessions[id as usize].as_mut().expect("the session is alive");
        let span = Span { from: row.from, start: row.time, end };
        session.spans.add((session.start, session.end), span, gone);
        session.end = session.end.max(end);
        if row.time < session.start {
            self.by_key.remove(&(row.key, session.start));
            session.start = row.time;
            self.by_key.insert((row.key, row.time), id);
            self.lower_ceiling_before(row.key, row.time);
        }
    }

    /// Moves all of a later session into an earlier one.
    fn absorb(&mut self, base: SessionId, other: SessionId, parts: &mut Parts) {
        let other = self.sessions[other as usize].take().inspect(|_| self.free.push(other));
        let other = other.expect("the session is alive");
        self.by_key.remove(&(other.key, other.start));
        other.parts.iter().for_each(|part| parts.give(*part, base));
        let session = self.get_mut(base);
        let mut spans = session.spans.list((session.start, session.end));
        spans.extend(other.spans.list((other.start, other.end)));
        session.spans = Spans::of(spans, (session.start, session.end.max(other.end)));
        session.end = session.end.max(other.end);
        session.ceiling = other.ceiling;
        session.parts.extend(other.parts);
        session.shown.extend(other.shown);
        session.changed |= other.changed;
        session.fired |= other.fired;
        session.open_rows += other.open_rows;
        session.filling = session.filling.or(other.filling);
    }

    /// Takes a session out. The one before it may reach to where the next one begins.
    pub(crate) fn remove(&mut self, id: SessionId) -> Session {
        let session = self.sessions[id as usize].take().expect("the session is alive");
        self.free.push(id);
        self.by_key.remove(&(session.key, session.start));
        let before = self.by_key.range((session.key, i64::MIN)..(session.key, session.start)).next_back();
        if let Some(before) = before.map(|(_, id)| *id) {
            self.get_mut(before).ceiling = session.ceiling;
        }
        let last = &mut self.last[session.key as usize];
        if *last == id {
            *last = NOBODY;
        }
        session
    }

    /// The session of a key that holds an instant.
    pub(crate) fn at(&self, key: KeyId, time: i64) -> Option<SessionId> {
        let id = *self.by_key.range((key, i64::MIN)..=(key, time)).next_back()?.1;
        (self.get(id).end > time).then_some(id)
    }

    /// The keys of all sessions, ascending.
    pub(crate) fn live_keys(&self) -> Vec<KeyId> {
        let mut keys: Vec<KeyId> = self.by_key.keys().map(|(key, _)| *key).collect();
        keys.dedup();
        keys
    }

    /// Replaces each key by its new id in `ids`.
    pub(crate) fn renumber(&mut self, ids: &[KeyId]) {
        self.last.clear();
        for ((key, start), id) in std::mem::take(&mut self.by_key) {
            let key = ids[key as usize];
            self.get_mut(id).key = key;
            self.by_key.insert((key, start), id);
            if self.last.len() <= key as usize {
                self.last.resize(key as usize + 1, NOBODY);
            }
            self.last[key as usize] = id;
        }
    }

    pub(crate) fn size(&self) -> usize {
        let own = |session: &Session| {
            session.parts.capacity() * size_of::<Part>()
                + session.spans.size()
                + session.shown.capacity() * size_of::<Shown>()
        };
        let sessions = self.sessions.iter().flatten().map(own).sum::<usize>();
        // A place in the tree is about two and a half times its entry.
        sessions + self.sessions.capacity() * size_of::<Option<Session>>() + self.last.capacity() * 4 + self.len() * 64
    }
}
