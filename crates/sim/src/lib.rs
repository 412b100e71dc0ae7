//! Weir under a seed: stories that are played to the engine in virtual time, and an oracle that knows the answers.
//! Nothing here waits, reads a clock or touches a disk.
//!
//! A story is text: a plan, a line `---`, and what happens.
//!
//! ```text
//! time delay=2s idle_after=30s future_limit=5m
//! where value > 1
//! window 10s by key compute n=count(*), total=sum(value) lateness=5s
//! ---
//! added p0
//! rows p0: 00:00:01 a 5 | 00:00:03 b 7 | 00:00:04 - -
//! tick 30s
//! caught_up p0
//! barrier
//! end
//! ```
//!
//! A window of `1m every 10s` slides; one of a `day in Europe/Berlin` (hour, week, month, quarter, year) is the calendar's; `global`
//! takes `every_rows=` and `forget_after=`. `session 30s by key compute ...` makes sessions.
//! `time` also takes `max_drift=`, `every=` (a periodic watermark) and, at its end, `when CONDITION` (a punctuated one); a
//! window `offset=`, `late=` (`10s` or `immediately`), `early_every=` and
//! `early_rows=` and `mode=discarding`; aggregates are count, sum, avg, min, max, variance, stddev, first, last, count_distinct,
//! approx_distinct, the most frequent such as `top3`, and quantiles such as `p95`;
//! `limit groups=2 runs=2` sets limits.
//!
//! `sources left right` names several sources, whose partitions are called `left/p0` and so on; `join with right on key=key
//! within=5s` takes the source before it as the left one, and `kind=left`, `lateness=`, `rows=` (its limit), `before=` and
//! `after=` or `tumbling=` instead of `within=`, or `as_of` (then `ttl=`, and `deleted CONDITION` at the end).
//!
//! `enrich on key=id take team,owner` takes `missing=filter` or `missing=dead_letter`, and gets its table by a line such as
//! `table 0: id team owner | a red ann | b blue -` (0 is the index of the step).
//!
//! `deduplicate by key,name within=10s` takes `late=pass` and `keys=` (its limit).
//!
//! Rows have an event time (of 1 January 2026, or of the date before it: `2026-03-29T01:00:00`), a `key` (text) and a `value` (a float); `-` is null, and a key
//! with spaces stands between backticks. `tick` says how far
//! processing time is from the beginning of that day. [`play`] plays a story straight, cut into other batches, and with
//! a crash after every line, and fails if any of these tells another result or the balance does not hold.

mod away;
mod compiler;
mod interleave;
mod memory;
mod outcome;
mod player;
mod story;
mod tasks;

#[cfg(test)]
mod oracles;
#[cfg(test)]
mod stories;

pub use compiler::Columns;
pub use interleave::interleave;
pub use outcome::Outcome;
pub use player::{PlayError, play, play_once, play_with_crashes, restore_with};
pub use story::{Line, Row, Story, StoryError};
pub use tasks::{Commits, Tasks, play_in_tasks};
