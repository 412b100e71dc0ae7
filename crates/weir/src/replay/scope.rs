//! What can be replayed: which tables, and up to which time nothing of the live pipeline is still open. Reads no records.

use std::collections::BTreeMap;

use weir_collect::SourceConfig;
use weir_deliver::OutputConfig;
use weir_engine::{OperatorPlan, Plan, Settled, Upstream, WindowKind};
use weir_model::{EventTime, SeamResult};
use weir_store::TimeSpan;

use super::moment::{Moment, misunderstood};
use super::{Asked, refused};
use crate::plan::Job;

/// What can be replayed of a pipeline.
#[derive(Debug)]
pub(super) struct Scope {
    /// The tables, and whether sessions are in one.
    pub(super) tables: BTreeMap<String, bool>,
    /// Outputs that are not tables: name and kind.
    pub(super) others: Vec<(String, &'static str)>,
    settled: Settled,
}

impl Scope {
    /// Of `job`, as the moment left it.
    pub(super) fn of(job: &Job, moment: &Moment) -> SeamResult<Self> {
        let pipeline = &job.plan.pipeline;
        if let Some(source) = job.sources.iter().find(|source| matches!(source.source, SourceConfig::Stdin(_))) {
            let why = "what was piped in is not there any more";
            return Err(refused(format!("pipeline {pipeline} reads standard input ({}): {why}", source.name)));
        }
        let mut scope = Self { tables: BTreeMap::new(), others: Vec::new(), settled: Settled::AsRead };
        for (output, of_plan) in job.outputs.iter().zip(&job.plan.outputs) {
            let OutputConfig::Table(table) = &output.output else {
                scope.others.push((output.name.clone(), output.output.kind()));
                continue;
            };
            let settled = moment.snapshot.settled(&job.plan, of_plan.from).map_err(|error| misunderstood(&error))?;
            scope.settled = scope.settled.and(settled);
            *scope.tables.entry(table.name.clone()).or_default() |= has_sessions(&job.plan, of_plan.from);
        }
        if let OutputConfig::Table(late) = &job.late.output {
            scope.tables.entry(late.name.clone()).or_default();
        }
        if scope.tables.keys().all(|table| is_late(job, table)) {
            let kinds: Vec<&str> = scope.others.iter().map(|(_, kind)| *kind).collect();
            return Err(refused(format!(
                "pipeline {pipeline} writes to no table ({}): what was sent cannot be taken back; run it on another data \
                 folder to have its results again",
                kinds.join(", ")
            )));
        }
        Ok(scope)
    }

    /// The span that is asked for, if it can be replayed.
    pub(super) fn span(&self, asked: Asked) -> SeamResult<TimeSpan> {
        let until = match &self.settled {
            Settled::AsRead => i64::MAX,
            Settled::Before(time) => time.micros(),
            Settled::Never(step) => {
                return Err(refused(format!(
                    "the step {step} speaks of all of time: none of its results is ever final, so none can be replayed"
                )));
            }
        };
        if until == i64::MIN {
            return Err(refused(
                "no window of the pipeline has ended yet: nothing is final, nothing can be replayed".into(),
            ));
        }
        let span = TimeSpan { from: asked.from.unwrap_or(i64::MIN), to: asked.to.unwrap_or(until) };
        if span.from >= span.to {
            return Err(refused(format!(
                "the span is empty: it would be from {} to {}",
                EventTime::from_micros(span.from),
                EventTime::from_micros(span.to)
            )));
        }
        if span.to > until {
            return Err(refused(format!(
                "a replay is possible up to {}, and not up to {}: the pipeline still has windows open from there on, whose \
                 results it will emit itself; ask for --to {} or earlier, or wait",
                EventTime::from_micros(until),
                EventTime::from_micros(span.to),
                EventTime::from_micros(until)
            )));
        }
        Ok(span)
    }
}

fn is_late(job: &Job, table: &str) -> bool {
    let of_output = |output: &OutputConfig| matches!(output, OutputConfig::Table(config) if config.name == table);
    of_output(&job.late.output) && !job.outputs.iter().any(|output| of_output(&output.output))
}

/// Whether rows from there are sessions, or made of some.
fn has_sessions(plan: &Plan, from: Upstream) -> bool {
    let Upstream::Node(index) = from else { return false };
    let node = &plan.nodes[index];
    let is_session =
        matches!(&node.operator, OperatorPlan::Window(window) if matches!(window.window, WindowKind::Session { .. }));
    is_session || node.inputs().into_iter().any(|from| has_sessions(plan, from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(settled: Settled) -> Scope {
        Scope { tables: BTreeMap::new(), others: Vec::new(), settled }
    }

    #[test]
    fn what_is_still_open_is_refused_with_the_time_up_to_which_a_replay_is_possible() {
        let open = scope(Settled::Before(EventTime::from_micros(60_000_000)));
        let asked = |from, to| open.span(Asked { from, to });
        assert_eq!(asked(None, None).expect("as far as possible"), TimeSpan { from: i64::MIN, to: 60_000_000 });
        assert_eq!(asked(Some(5), Some(60_000_000)).expect("just so"), TimeSpan { from: 5, to: 60_000_000 });
        let error = asked(None, Some(60_000_001)).expect_err("still open");
        assert!(error.message.contains("possible up to 1970-01-01T00:01:00Z"), "{}", error.message);
        assert!(asked(Some(7), Some(7)).is_err(), "an empty span");
        assert!(asked(Some(70_000_000), None).is_err(), "it begins where everything is open");
        let never = scope(Settled::Never("totals".into())).span(Asked::default()).expect_err("a global window");
        assert!(never.message.contains("totals"), "{}", never.message);
        let all = TimeSpan { from: i64::MIN, to: i64::MAX };
        assert_eq!(scope(Settled::AsRead).span(Asked::default()).expect("everything"), all);
    }
}
