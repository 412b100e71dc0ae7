//! When sessions are looked at: each once at a time, at the latest when it has something to do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::living::{Living, NEVER, SessionId};

#[derive(Debug, Default)]
pub(crate) struct Timers {
    /// An entry counts if the session's timer says the same.
    heap: BinaryHeap<Reverse<(i64, SessionId)>>,
}

impl Timers {
    /// Looks at a session once the watermark is at `due`, or earlier if that was said before. Sessions grow row by row,
    /// and are put back when they are looked at: a row costs nothing here as a rule.
    #[inline]
    pub(crate) fn at_most(&mut self, id: SessionId, due: i64, living: &mut Living) {
        let session = living.get_mut(id);
        if due < session.timer {
            session.timer = due;
            self.heap.push(Reverse((due, id)));
        }
    }

    /// A session that is to be looked at, as the watermark is at `reached`. It has no timer then.
    pub(crate) fn pop(&mut self, reached: i64, living: &mut Living) -> Option<SessionId> {
        while let Some(Reverse((due, id))) = self.heap.peek().copied() {
            if due > reached {
                return None;
            }
            self.heap.pop();
            if living.find(id).is_some_and(|session| session.timer == due) {
                living.get_mut(id).timer = NEVER;
                return Some(id);
            }
        }
        None
    }

    /// The first time at which a session may have something to do.
    pub(crate) fn next(&self) -> i64 {
        self.heap.peek().map_or(NEVER, |Reverse((due, _))| *due)
    }

    pub(crate) fn size(&self) -> usize {
        self.heap.capacity() * size_of::<(i64, SessionId)>()
    }
}
