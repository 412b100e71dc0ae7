//! Records that are not there any more, and which results therefore cannot be computed anew. Refuses to take a result for
//! right that may depend on one of them.

use std::collections::BTreeSet;

use weir_engine::{Inspection, Plan, WatermarkPlan};
use weir_model::{EventTime, PartitionId, Position, Watermark};
use weir_store::TimeSpan;

use super::moment::Moment;
use crate::running::Found;

/// Records that are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    /// Results that are earlier may depend on them, in microseconds; `None`: every result may.
    pub(super) until: Option<i64>,
    /// Which they are, and what depends on them.
    why: String,
}

impl Gone {
    /// What of the records of `moment` was not found again, except those of the sources `whole`, in whose place there is
    /// something else.
    pub(super) fn of(
        plan: &Plan,
        moment: (&Moment, &Inspection),
        whole: &BTreeSet<String>,
        found: &Found,
    ) -> Option<Self> {
        let (latest, why) = latest(plan, moment, whole, found)?;
        let reaches: Result<Vec<_>, _> = plan.outputs.iter().map(|output| plan.reach(output.from)).collect();
        Some(match reaches {
            Ok(reaches) => {
                let reach = reaches.into_iter().map(weir_model::TimeDelta::micros).max().unwrap_or(0);
                Self { until: Some(latest.saturating_add(reach)), why }
            }
            Err(step) => Self { until: None, why: format!("{why}, and the step {step} may need all that ever were") },
        })
    }

    /// Why the results of `span` are not to be used, if they are not; `end` is when the last of them ends that depends on
    /// what is gone, if there is one.
    pub(super) fn refusal(&self, span: TimeSpan, end: Option<i64>) -> Option<String> {
        let Some(until) = self.until else {
            return Some(format!("records are needed that are not there any more: {}", self.why));
        };
        if span.from >= until && end.is_none() {
            return None;
        }
        let from = EventTime::from_micros(end.map_or(until, |end| end.max(until)));
        Some(format!(
            "results before {} need records that are not there any more ({}): leave them as they are, with --from {from}",
            EventTime::from_micros(until),
            self.why
        ))
    }
}

/// The time that every record that is gone is before, and which are.
fn latest(
    plan: &Plan,
    (moment, inspection): (&Moment, &Inspection),
    whole: &BTreeSet<String>,
    found: &Found,
) -> Option<(i64, String)> {
    let (begun, missing) = (found.begun(), found.missing());
    let sources = moment.commit.positions.iter().filter(|(source, _)| !whole.contains(*source));
    let read = sources.flat_map(|(_, positions)| positions).filter(|(_, position)| position.offset.0 > 0);
    let of_partition = |(id, position): (&PartitionId, &Position)| {
        // Files are there from their first byte on, or not at all; a record need not be at it.
        let is_file = position.token.as_deref().is_some_and(weir_collect::names_file);
        let (bound, why) = match begun.get(id) {
            _ if missing.contains(id) => (None, format!("{id} is gone, or shorter than it was")),
            Some(begun) if begun.offset.0 == 0 || is_file => return None,
            Some(begun) => (before(plan, begun.watermark), format!("{id} now begins at record {}", begun.offset)),
            None => (None, format!("{id} is empty now")),
        };
        // What the pipeline has read of it may be the only thing that is known of it. Nothing: it held no rows.
        let known = inspection.partitions.iter().find(|partition| partition.id == *id);
        let latest = known.and_then(|partition| partition.latest).map(|latest| latest.micros().saturating_add(1));
        let time = match (bound, latest) {
            (Some(bound), Some(latest)) => bound.min(latest),
            (bound, latest) => bound.or(latest)?,
        };
        Some((time, why))
    };
    read.filter_map(of_partition).max_by_key(|(time, _)| *time)
}

/// Records that are gone came before the first that is there: that one was on time as a rule, so they are at most as much
/// later as rows may be out of order. The watermark is that much behind it.
fn before(plan: &Plan, watermark: Watermark) -> Option<i64> {
    let disorder = match &plan.time.as_ref()?.watermark {
        WatermarkPlan::Bounded { delay } => delay.micros(),
        WatermarkPlan::Periodic { delay, every } => delay.micros().saturating_add(every.micros()),
        WatermarkPlan::Punctuated { .. } => return None,
    };
    let is_known = watermark != Watermark::UNKNOWN && watermark != Watermark::END;
    is_known.then(|| watermark.time().micros().saturating_add(disorder.saturating_mul(2)).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_depend_on_what_is_gone_is_refused_with_the_time_from_which_on_nothing_does() {
        let gone = |until| Gone { until, why: "app now begins at record 7".into() };
        let span = |from| TimeSpan { from, to: i64::MAX };
        let minute = 60_000_000;
        assert_eq!(gone(Some(minute)).refusal(span(minute), None), None, "nothing of what is asked for depends on it");
        // Also where there are no results: others might have been there.
        let early = gone(Some(minute)).refusal(span(minute - 1), None).expect("refused");
        assert!(
            early.contains("app now begins at record 7") && early.ends_with("--from 1970-01-01T00:01:00Z"),
            "{early}"
        );
        // A window that begins before that time and overlaps the span has to be left out as a whole.
        let across = gone(Some(minute)).refusal(span(minute), Some(2 * minute)).expect("refused");
        assert!(across.ends_with("--from 1970-01-01T00:02:00Z"), "{across}");
        assert!(gone(None).refusal(span(i64::MAX), None).is_some(), "without a bound there is no such time");
    }
}
