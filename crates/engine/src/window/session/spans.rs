//! Which part of a session is of which partition. Whether a row that lies behind its partition's watermark still falls
//! into a session is told from that partition's rows alone, so that it does not depend on how partitions interleave.

/// More than one partition, or one in several parts: see the spans.
const SEVERAL: u32 = u32::MAX;
/// Rows that a step has made stand for a partition of their own.
pub(crate) const MADE: u32 = u32::MAX - 1;
/// Spans that are over are looked for when there are so many, twice as many ...
const PRUNE_FROM: usize = 8;

/// Of a session: what its rows of one partition alone would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    /// The number of the partition.
    pub(crate) from: u32,
    pub(crate) start: i64,
    pub(crate) end: i64,
}

/// The spans of a session.
#[derive(Clone, Debug)]
pub(crate) struct Spans {
    /// The only partition, of which the session is one span; or [`SEVERAL`].
    only: u32,
    /// Otherwise by partition and start; spans of a partition do not overlap.
    several: Vec<Span>,
}

impl Spans {
    /// All of one partition.
    pub(crate) fn only(from: u32) -> Self {
        Self { only: from, several: Vec::new() }
    }

    /// Whether the session is one span of this partition.
    pub(crate) fn is_only(&self, from: u32) -> bool {
        self.only == from
    }

    /// Whether a span of this partition that ends after `over` holds `time`; the session from `start` to `end` does.
    pub(crate) fn hold(&self, session: (i64, i64), from: u32, time: i64, over: i64) -> bool {
        if self.only != SEVERAL {
            return self.only == from && session.1 > over;
        }
        let place = self.several.partition_point(|span| (span.from, span.start) <= (from, time));
        let span = place.checked_sub(1).map(|place| self.several[place]);
        span.is_some_and(|span| span.from == from && time < span.end && span.end > over)
    }

    /// All spans of the session from `start` to `end`.
    pub(crate) fn list(&self, (start, end): (i64, i64)) -> Vec<Span> {
        match self.only {
            SEVERAL => self.several.clone(),
            from => vec![Span { from, start, end }],
        }
    }

    /// Adds a span to those of the session, which went from `start` to `end` before. Those that ended at `gone` or
    /// before hold no more rows of any partition, and may be forgotten.
    pub(crate) fn add(&mut self, session: (i64, i64), span: Span, gone: i64) {
        if self.only == span.from {
            return;
        }
        if self.only != SEVERAL {
            self.several = self.list(session);
            self.only = SEVERAL;
        }
        let first = self.several.partition_point(|known| (known.from, known.end) <= (span.from, span.start));
        let overlap = |known: &&Span| known.from == span.from && known.start < span.end;
        let count = self.several[first..].iter().take_while(overlap).count();
        let touched = &self.several[first..first + count];
        let start = touched.iter().map(|known| known.start).fold(span.start, i64::min);
        let end = touched.iter().map(|known| known.end).fold(span.end, i64::max);
        self.several.splice(first..first + count, [Span { start, end, ..span }]);
        if self.several.len() >= PRUNE_FROM && self.several.len().is_power_of_two() {
            self.several.retain(|known| known.end > gone);
        }
    }

    /// Any spans, in any order, of the session from `start` to `end`.
    pub(crate) fn of(mut spans: Vec<Span>, (start, end): (i64, i64)) -> Self {
        spans.sort_unstable();
        let mut several: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match several.last_mut() {
                Some(last) if last.from == span.from && span.start < last.end => last.end = last.end.max(span.end),
                _ => several.push(span),
            }
        }
        match several[..] {
            [Span { from, start: first, end: last }] if (first, last) == (start, end) => Self::only(from),
            _ => Self { only: SEVERAL, several },
        }
    }

    /// The number of the only partition, or the spans.
    pub(crate) fn parts(&self) -> (Option<u32>, &[Span]) {
        ((self.only != SEVERAL).then_some(self.only), &self.several)
    }

    pub(crate) fn size(&self) -> usize {
        self.several.capacity() * size_of::<Span>()
    }
}
