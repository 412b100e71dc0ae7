//! How far back in event time the rows of an output depend on others, by the plan alone: whoever has only the records from
//! some time on knows from it which results can be right. Looks at no state.

use weir_model::TimeDelta;

use crate::operator::{JoinSpan, RowsPlan};
use crate::plan::{CalendarUnit, OperatorPlan, Plan, Upstream, WindowKind};

/// Days of the longest spans of a calendar, with a day for changes of the clock.
const WEEK_DAYS: i64 = 8;
const MONTH_DAYS: i64 = 32;
const QUARTER_DAYS: i64 = 93;
const YEAR_DAYS: i64 = 367;

impl Plan {
    /// How much earlier than a row from there the rows may be that it depends on. The result of a window counts from where
    /// the window begins. Of `deduplicate` only the row counts that a row is compared with, and not those that decided about
    /// that one.
    ///
    /// # Errors
    /// The name of a step for which there is no bound.
    pub fn reach(&self, from: Upstream) -> Result<TimeDelta, String> {
        self.reach_of(from, true).map(TimeDelta::from_micros)
    }

    /// In microseconds; `says_begin` when rows from there leave with where their window begins, if they have one.
    fn reach_of(&self, from: Upstream, says_begin: bool) -> Result<i64, String> {
        let Upstream::Node(index) = from else { return Ok(0) };
        let node = &self.nodes[index];
        let unbounded = || Err(node.name.clone());
        let (own, says_begin) = match &node.operator {
            OperatorPlan::Where(_) | OperatorPlan::Enrich(_) => (0, says_begin),
            // They may leave out where a window begins.
            OperatorPlan::Select(_) => (0, false),
            OperatorPlan::Rows(RowsPlan::RateLimit(limit)) => (limit.per.micros(), false),
            OperatorPlan::Rows(RowsPlan::JoinLines(lines)) => (lines.max_wait.map_or(0, TimeDelta::micros), false),
            OperatorPlan::Rows(_) => (0, false),
            OperatorPlan::Deduplicate(deduplicate) => (deduplicate.within.micros(), says_begin),
            OperatorPlan::Window(window) => match length(window.window) {
                _ if says_begin && !matches!(window.window, WindowKind::Global(_)) => (0, false),
                Some(length) => (length, false),
                None => return unbounded(),
            },
            OperatorPlan::Join(join) => match &join.span {
                JoinSpan::Within { before, after } => (before.micros().saturating_add(after.micros()), false),
                JoinSpan::Tumbling { size, .. } => (size.micros(), false),
                JoinSpan::AsOf { ttl: Some(ttl), .. } => (ttl.micros(), false),
                JoinSpan::AsOf { ttl: None, .. } => return unbounded(),
            },
        };
        let inputs = node.inputs().into_iter().map(|from| self.reach_of(from, says_begin));
        let furthest = inputs.collect::<Result<Vec<_>, _>>()?.into_iter().max().unwrap_or(0);
        Ok(own.saturating_add(furthest))
    }
}

/// How long a window is at most, in microseconds; of those that rows make longer nobody knows.
fn length(window: WindowKind) -> Option<i64> {
    let days = |days: i64| Some(TimeDelta::from_secs(days * 86_400).micros());
    match window {
        WindowKind::Tumbling { size, .. } | WindowKind::Sliding { size, .. } => Some(size.micros()),
        WindowKind::Calendar { unit, .. } => match unit {
            CalendarUnit::Hour | CalendarUnit::Day => days(2),
            CalendarUnit::Week { .. } => days(WEEK_DAYS),
            CalendarUnit::Month => days(MONTH_DAYS),
            CalendarUnit::Quarter => days(QUARTER_DAYS),
            CalendarUnit::Year => days(YEAR_DAYS),
        },
        WindowKind::Session { .. } | WindowKind::Global(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{DeduplicatePlan, JoinKind, JoinPlan, LateRows};
    use crate::plan::{EmitPlan, GlobalPlan, Limits, Node, WindowPlan};

    const MINUTE: TimeDelta = TimeDelta::from_secs(60);
    const HOUR: TimeDelta = TimeDelta::from_secs(3_600);

    fn window(window: WindowKind) -> OperatorPlan {
        let (by, compute, emit) = (Vec::new(), Vec::new(), EmitPlan::default());
        OperatorPlan::Window(WindowPlan { window, by, compute, lateness: TimeDelta::ZERO, emit })
    }

    fn tumbling(size: TimeDelta) -> OperatorPlan {
        window(WindowKind::Tumbling { size, offset: TimeDelta::ZERO })
    }

    fn deduplicate(within: TimeDelta) -> OperatorPlan {
        OperatorPlan::Deduplicate(DeduplicatePlan { by: Vec::new(), within, late: LateRows::Aside, keys_max: 1 })
    }

    /// Each joined with the rows of the source as they are.
    fn join(span: JoinSpan) -> OperatorPlan {
        OperatorPlan::Join(JoinPlan {
            with: Upstream::Source(0),
            prefix: "right_".into(),
            on: Vec::new(),
            span,
            kind: JoinKind::Inner,
            lateness: TimeDelta::ZERO,
            rows_max: 1,
            known: [Vec::new(), Vec::new()],
        })
    }

    /// The reach of the last of these steps, each of which takes from the one before.
    fn reach(steps: Vec<OperatorPlan>) -> Result<TimeDelta, String> {
        let from = |index: usize| if index == 0 { Upstream::Source(0) } else { Upstream::Node(index - 1) };
        let node = |(index, operator)| Node { name: format!("step {index}"), from: from(index), operator };
        let nodes: Vec<Node> = steps.into_iter().enumerate().map(node).collect();
        let last = from(nodes.len());
        let (sources, outputs) = (vec!["rows".to_owned()], Vec::new());
        let plan = Plan { pipeline: "p".into(), time: None, sources, nodes, outputs, limits: Limits::default() };
        plan.reach(last)
    }

    #[test]
    fn a_result_reaches_as_far_back_as_the_steps_before_it_remember() {
        let keep = || OperatorPlan::Where("true".into());
        assert_eq!(reach(vec![keep()]), Ok(TimeDelta::ZERO), "a row is itself");
        assert_eq!(reach(vec![deduplicate(HOUR)]), Ok(HOUR));
        let within = JoinSpan::Within { before: HOUR, after: MINUTE };
        assert_eq!(reach(vec![join(within)]), Ok(TimeDelta::from_secs(3_660)));
        // A window says where it begins, unless its columns are picked.
        assert_eq!(reach(vec![tumbling(HOUR), keep()]), Ok(TimeDelta::ZERO));
        assert_eq!(reach(vec![tumbling(HOUR), OperatorPlan::Select(Vec::new())]), Ok(HOUR));
        assert_eq!(reach(vec![deduplicate(HOUR), tumbling(MINUTE), tumbling(HOUR)]), Ok(TimeDelta::from_secs(3_660)));
    }

    #[test]
    fn what_remembers_for_ever_has_no_bound_and_says_who_it_is() {
        let session = || window(WindowKind::Session { gap: MINUTE });
        assert_eq!(reach(vec![session()]), Ok(TimeDelta::ZERO), "it says where it begins");
        assert_eq!(reach(vec![session(), tumbling(HOUR)]), Err("step 0".into()), "nobody knows how long it was");
        let as_of = |ttl| join(JoinSpan::AsOf { ttl, deleted: None });
        assert_eq!(reach(vec![as_of(Some(HOUR))]), Ok(HOUR));
        assert_eq!(reach(vec![deduplicate(HOUR), as_of(None)]), Err("step 1".into()));
        assert_eq!(reach(vec![window(WindowKind::Global(GlobalPlan::default()))]), Err("step 0".into()));
    }
}
