//! What must be true of a plan, what of it decides whether a snapshot fits, and which windows share event time.

use std::collections::BTreeSet;
use std::fmt::Write;

use weir_model::TimeDelta;
use xxhash_rust::xxh3::xxh3_64;

use crate::EngineError;
use crate::aggregate::K_MAX;
use crate::plan::{
    Aggregate, AggregatePlan, CalendarUnit, EmitMode, EmitPlan, GlobalPlan, LateEmit, Node, OperatorPlan, Plan,
    Upstream, WatermarkPlan, WindowKind, WindowPlan,
};
use crate::window::RESULT_COLUMNS;

/// Windows that may overlap at one time.
const SLIDES_MAX: i64 = 100_000;

impl Plan {
    /// Identifies what must be equal for one plan to read the other's snapshots: sources, outputs, the kinds and order
    /// of nodes, and the windows' spans, keys, aggregates and modes. Watermarks, lateness, limits and the text of `where` and
    /// `select` may change between runs.
    pub fn fingerprint(&self) -> String {
        let mut text = format!("v1 {:?} {:?}", self.pipeline, self.sources);
        for node in &self.nodes {
            let _ = write!(text, "\nnode {:?} {:?} ", node.name, node.from); // writing to a string cannot fail
            match &node.operator {
                OperatorPlan::Where(_) => text.push_str("where"),
                OperatorPlan::Select(_) => text.push_str("select"),
                OperatorPlan::Rows(rows) => text.push_str(rows.kind()),
                OperatorPlan::Join(join) => {
                    let _ = write!(text, "join {:?} {:?} {:?}", join.with, join.on, join.span);
                }
                OperatorPlan::Enrich(_) => text.push_str("enrich"),
                OperatorPlan::Deduplicate(plan) => {
                    let _ = write!(text, "deduplicate {} {:?}", plan.within.micros(), plan.by);
                }
                OperatorPlan::Window(window) => {
                    let _ = match window.window {
                        WindowKind::Tumbling { size, offset } => {
                            write!(text, "tumbling {} {}", size.micros(), offset.micros())
                        }
                        WindowKind::Sliding { size, slide, offset } => {
                            write!(text, "sliding {} {} {}", size.micros(), slide.micros(), offset.micros())
                        }
                        WindowKind::Calendar { unit, zone, offset } => {
                            write!(text, "calendar {unit:?} {zone} {}", offset.micros())
                        }
                        WindowKind::Global(_) => write!(text, "global"),
                        WindowKind::Session { gap } => write!(text, "session {}", gap.micros()),
                    };
                    if window.emit.mode == EmitMode::Discarding {
                        text.push_str(" discarding");
                    }
                    let _ = write!(text, " {:?}", window.by);
                    for aggregate in &window.compute {
                        let AggregatePlan { name, function, argument, filter } = aggregate;
                        let _ = write!(text, " {name:?} {function:?} {argument:?} {filter:?}");
                    }
                }
            }
        }
        for output in &self.outputs {
            let _ = write!(text, "\noutput {:?} {:?}", output.name, output.from);
        }
        format!("{:016x}", xxh3_64(text.as_bytes()))
    }

    /// Whether the plan makes sense in itself.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let mut names = BTreeSet::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let place = format!("step {}", node.name);
            let problem = |problem: String| EngineError::Plan { place: place.clone(), problem };
            if !names.insert(&node.name) {
                return Err(problem("another step has this name".to_owned()));
            }
            for from in node.inputs() {
                self.check_upstream(from, index).map_err(problem)?;
            }
            match &node.operator {
                OperatorPlan::Where(_) | OperatorPlan::Select(_) => {}
                OperatorPlan::Rows(rows) => {
                    rows.check().map_err(|fault| problem(fault.to_string()))?;
                    if rows.needs_positions() && self.is_made(node.from) {
                        let needs = format!("{} needs rows with their positions, not results of a window", rows.kind());
                        return Err(problem(needs));
                    }
                    if rows.needs_time() && self.time.is_none() {
                        return Err(problem("needs `time`: the field that holds the event time".to_owned()));
                    }
                }
                OperatorPlan::Window(window) => self.check_window(window, node.from).map_err(problem)?,
                OperatorPlan::Join(join) => {
                    let timed = node.inputs().into_iter().try_for_each(|from| self.check_timed("a join", from));
                    timed.and_then(|()| join.check()).map_err(problem)?;
                }
                OperatorPlan::Enrich(plan) => plan.check().map_err(problem)?,
                OperatorPlan::Deduplicate(plan) => {
                    self.check_timed("deduplicate", node.from).and_then(|()| plan.check()).map_err(problem)?;
                }
            }
        }
        for output in &self.outputs {
            self.check_upstream(output.from, self.nodes.len())
                .map_err(|problem| EngineError::Plan { place: format!("output {}", output.name), problem })?;
        }
        self.check_time().map_err(|problem| EngineError::Plan { place: "time".to_owned(), problem })
    }

    fn check_upstream(&self, from: Upstream, nodes: usize) -> Result<(), String> {
        match from {
            Upstream::AllSources => Ok(()),
            Upstream::Source(index) if index < self.sources.len() => Ok(()),
            Upstream::Source(index) => Err(format!("takes from source {index} of {}", self.sources.len())),
            Upstream::Node(index) if index < nodes => Ok(()),
            Upstream::Node(index) => Err(format!("takes from step {index}, which does not come before it")),
        }
    }

    /// Whether rows from `from` have an event time, which `what` needs.
    fn check_timed(&self, what: &str, from: Upstream) -> Result<(), String> {
        if self.time.is_none() {
            return Err(format!("{what} needs `time`: the field that holds the event time"));
        }
        self.check_final(from)
    }

    fn check_window(&self, window: &WindowPlan, from: Upstream) -> Result<(), String> {
        if self.time.is_none() {
            return Err("a window needs `time`: the field that holds the event time".to_owned());
        }
        self.check_final(from)?;
        check_spans(window.window)?;
        let EmitPlan { mode: _, late, early_every, early_rows } = window.emit;
        if early_rows == Some(0) {
            return Err("emit.early_rows is 0; it must be at least 1".to_owned());
        }
        if let LateEmit::Every(every) = late {
            positive("emit.late", every)?;
        }
        early_every.map_or(Ok(()), |every| positive("emit.early_every", every))?;
        if let WindowKind::Global(global) = window.window {
            check_global(global, window)?;
        }
        if matches!(window.window, WindowKind::Session { .. }) && window.emit.mode == EmitMode::Discarding {
            return Err("sessions grow together, and what they said does not add up: they are accumulating".to_owned());
        }
        if window.lateness < TimeDelta::ZERO {
            return Err(format!("the lateness is {}; it cannot be negative", window.lateness));
        }
        let mut names: BTreeSet<&str> = RESULT_COLUMNS.into_iter().collect();
        let columns = window.by.iter().chain(window.compute.iter().map(|aggregate| &aggregate.name));
        for name in columns {
            if !names.insert(name) {
                return Err(format!("the result would have two columns called {name}"));
            }
        }
        window.compute.iter().try_for_each(check_aggregate)
    }

    /// Whether rows from `from` are never replaced by others later: what aggregates them would count both.
    fn check_final(&self, from: Upstream) -> Result<(), String> {
        let Upstream::Node(index) = from else { return Ok(()) };
        let node = &self.nodes[index];
        if let OperatorPlan::Window(window) = &node.operator
            && let Some(why) = window.revises()
        {
            return Err(format!(
                "takes the results of {}, which are replaced later ({why}): rows would count more than once; \
                 leave that out there, or take from what {} takes from",
                node.name, node.name
            ));
        }
        node.inputs().into_iter().try_for_each(|from| self.check_final(from))
    }

    /// Whether rows of the node `node` go to a window, or another step to which a row may be late.
    pub(crate) fn window_after(&self, node: usize) -> bool {
        let takes = |later: &Node| later.inputs().iter().any(|from| self.comes_from(*from, node));
        let hears_time = |later: &Node| later.operator.waits_for_time() && !later.operator.waits_for_rows();
        self.nodes.iter().any(|later| hears_time(later) && takes(later))
    }

    /// Whether rows from `from` have passed the node `node`.
    fn comes_from(&self, from: Upstream, node: usize) -> bool {
        let Upstream::Node(index) = from else { return false };
        index == node || self.nodes[index].inputs().iter().any(|from| self.comes_from(*from, node))
    }

    /// Of each node whether its rows are no longer those that were read.
    pub(crate) fn changed_records(&self) -> Vec<bool> {
        let mut changed: Vec<bool> = Vec::new();
        for node in &self.nodes {
            let before = node.inputs().iter().any(|from| match from {
                Upstream::Node(index) => {
                    let changes = |operator: &OperatorPlan| {
                        if let OperatorPlan::Rows(rows) = operator { rows.changes_records() } else { false }
                    };
                    changed[*index] || changes(&self.nodes[*index].operator)
                }
                Upstream::Source(_) | Upstream::AllSources => false,
            });
            changed.push(before);
        }
        changed
    }

    fn check_time(&self) -> Result<(), String> {
        let Some(time) = &self.time else { return Ok(()) };
        let delay = match &time.watermark {
            WatermarkPlan::Bounded { delay } | WatermarkPlan::Punctuated { delay, .. } => *delay,
            WatermarkPlan::Periodic { delay, every } if every.micros() > 0 => *delay,
            WatermarkPlan::Periodic { every, .. } => {
                return Err(format!("every is {every}; it must be longer than nothing"));
            }
        };
        let lengths = [("delay", delay), ("idle_after", time.idle_after), ("future_limit", time.future_limit)];
        for (name, value) in lengths.into_iter().chain(time.max_drift.map(|drift| ("max_drift", drift))) {
            if value < TimeDelta::ZERO {
                return Err(format!("{name} is {value}; it cannot be negative"));
            }
        }
        Ok(())
    }

    /// The sets of sources that nodes which wait for event time take from, and for each node which of them is its own.
    pub(crate) fn domains(&self) -> (Vec<Vec<usize>>, Vec<Option<usize>>) {
        let mut domains: Vec<Vec<usize>> = Vec::new();
        let of_nodes = self.nodes.iter().map(|node| {
            if !node.operator.waits_for_time() {
                return None;
            }
            let sources = self.sources_of(node);
            Some(domains.iter().position(|known| *known == sources).unwrap_or_else(|| {
                domains.push(sources);
                domains.len() - 1
            }))
        });
        let of_nodes = of_nodes.collect();
        if domains.is_empty() {
            // So that there is a watermark to show.
            domains.push((0..self.sources.len()).collect());
        }
        (domains, of_nodes)
    }

    fn sources_of(&self, node: &Node) -> Vec<usize> {
        let mut sources = BTreeSet::new();
        for from in node.inputs() {
            match from {
                Upstream::AllSources => sources.extend(0..self.sources.len()),
                Upstream::Source(index) => sources.extend([index]),
                Upstream::Node(index) => sources.extend(self.sources_of(&self.nodes[index])),
            }
        }
        sources.into_iter().collect()
    }
}

fn positive(what: &str, length: TimeDelta) -> Result<(), String> {
    if length > TimeDelta::ZERO {
        return Ok(());
    }
    Err(format!("{what} is {length}; it must be longer than nothing"))
}

fn check_spans(kind: WindowKind) -> Result<(), String> {
    match kind {
        WindowKind::Tumbling { size, .. } => positive("the size", size),
        WindowKind::Sliding { size, slide, .. } => {
            positive("the size", size)?;
            positive("the slide", slide)?;
            if slide > size {
                return Err(format!(
                    "the slide is {slide}, longer than the size {size}: rows in between would be in no window"
                ));
            }
            if size.micros() / slide.micros() > SLIDES_MAX {
                return Err(format!(
                    "{size} by {slide} makes more than {SLIDES_MAX} windows overlap; a longer slide makes fewer"
                ));
            }
            Ok(())
        }
        WindowKind::Global(_) => Ok(()),
        WindowKind::Session { gap } => positive("the gap", gap),
        WindowKind::Calendar { unit, offset, .. } => {
            let least = TimeDelta::from_secs(if unit == CalendarUnit::Hour { 3_600 } else { 86_400 });
            if offset < TimeDelta::ZERO || offset >= least {
                return Err(format!("the offset is {offset}; it must be shorter than {least} and not negative"));
            }
            Ok(())
        }
    }
}

/// A global window knows no end, and nothing that comes before or after one.
fn check_global(global: GlobalPlan, window: &WindowPlan) -> Result<(), String> {
    if global.every_rows == Some(0) {
        return Err("emit.every_rows is 0; it must be at least 1".to_owned());
    }
    if window.lateness > TimeDelta::ZERO {
        return Err("a global window never ends: no row is late for it, and lateness means nothing".to_owned());
    }
    if window.emit.early_rows.is_some() {
        return Err("emit.early_rows counts rows of all groups; a global window has emit.every_rows".to_owned());
    }
    global.forget_after.map_or(Ok(()), |after| positive("forget_after", after))
}

fn check_aggregate(aggregate: &AggregatePlan) -> Result<(), String> {
    let name = &aggregate.name;
    match &aggregate.function {
        Aggregate::Quantile(quantile) if !(0.0..=1.0).contains(quantile) => {
            Err(format!("{name}: the quantile {quantile} is not between 0 and 1"))
        }
        Aggregate::TopK(k) if !(1..=K_MAX).contains(k) => {
            Err(format!("{name}: {k} values of top_k are not between 1 and {K_MAX}"))
        }
        Aggregate::Other { .. } if aggregate.argument.is_some() => {
            Err(format!("{name}: the arguments of another aggregate are said with its name"))
        }
        function if aggregate.arguments().is_empty() && *function != Aggregate::Count => {
            Err(format!("{name}: needs an argument; only count goes without"))
        }
        _valid => Ok(()),
    }
}
