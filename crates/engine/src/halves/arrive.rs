//! How a partial is taken: its rows and groups in the order in which they were read, each at the watermark that its
//! partition had before it, so that what depends on event time is what it would have been if the rows had been read here.

use super::{Body, Part, Partial};
use crate::rows::Rows;
use crate::{Effect, Engine, PartitionState};

/// A part of which some was taken.
struct Queue {
    node: usize,
    port: usize,
    left: Left,
}

enum Left {
    Nothing,
    Groups(super::Groups),
    Rows {
        rows: Rows,
        /// The highest watermark before each row or one before it.
        marks: Vec<i64>,
        from: usize,
    },
}

impl Queue {
    fn of(part: Part) -> Self {
        let left = match part.body {
            Body::Groups(groups) => Left::Groups(groups),
            Body::Rows(rows) => {
                // Of a record of several lines the watermark is the one before its first.
                let marks = rows.origin.as_ref().map(|origin| origin.marks.iter()).into_iter().flatten();
                let marks = marks.scan(i64::MIN, |highest, mark| {
                    *highest = (*highest).max(*mark);
                    Some(*highest)
                });
                Left::Rows { marks: marks.collect(), rows, from: 0 }
            }
        };
        Self { node: part.node, port: part.port, left }
    }

    /// The watermark before what comes next.
    fn mark(&self) -> Option<i64> {
        match &self.left {
            Left::Nothing => None,
            Left::Groups(groups) => Some(groups.mark),
            Left::Rows { marks, from, .. } => marks.get(*from).copied(),
        }
    }

    /// Takes what comes before the watermark gets to `stop`.
    fn take(&mut self, stop: i64) -> Option<Body> {
        if self.mark().is_none_or(|mark| mark >= stop) {
            return None;
        }
        match std::mem::replace(&mut self.left, Left::Nothing) {
            Left::Nothing => None,
            Left::Groups(groups) => Some(Body::Groups(groups)),
            Left::Rows { rows, marks, from } => {
                let end = from + marks[from..].partition_point(|mark| *mark < stop);
                let taken = rows.slice(from, end - from);
                if end < marks.len() {
                    self.left = Left::Rows { rows, marks, from: end };
                }
                Some(Body::Rows(taken))
            }
        }
    }
}

impl Engine {
    /// Takes a partial, which is for here and is the next of its partition.
    pub(crate) fn arrive(&mut self, partial: Partial, effects: &mut Vec<Effect>) {
        let already = effects.len();
        let (source, id) = (partial.source, partial.partition);
        self.progress.told_state(source, &id, PartitionState::Reading);
        self.progress.told_rows(&id, partial.rows, partial.offset);
        let held: std::sync::Arc<[i64]> = self.progress.held(&id).into();
        // Without rows a part tells what columns there are.
        for part in partial.parts.iter().filter(|part| part.body.columns().num_rows() == 0) {
            if let Body::Rows(rows) = &part.body {
                self.graph.enter((part.node, part.port), rows, effects);
            }
        }
        let mut queues: Vec<Queue> = partial.parts.into_iter().map(Queue::of).collect();
        while let Some(mark) = queues.iter().filter_map(Queue::mark).min() {
            self.progress.told_watermark(&id, mark);
            self.advance(effects);
            let stops = self.graph.next_stops(self.progress.domains(), |domain| self.progress.reached(domain));
            let stop = self.progress.stop_of(&id, &stops).unwrap_or(i64::MAX).max(mark.saturating_add(1));
            for queue in &mut queues {
                match queue.take(stop) {
                    None => {}
                    Some(Body::Groups(groups)) => self.graph.receive(queue.node, &groups, effects),
                    Some(Body::Rows(mut rows)) => {
                        if let Some(origin) = &mut rows.origin {
                            origin.held = held.clone();
                        }
                        self.graph.enter((queue.node, queue.port), &rows, effects);
                    }
                }
            }
        }
        self.progress.told_watermark(&id, partial.watermark.time().micros());
        if partial.state == PartitionState::Finished {
            self.graph.partition_ends(&id, effects);
        }
        self.progress.told_state(source, &id, partial.state);
        self.advance_quietly(effects);
        crate::step::join_emits(effects, already);
        self.tell_drifts(effects);
    }
}
