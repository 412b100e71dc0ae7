//! The steps of a plan at work: rows flow from sources through nodes to outputs.

use std::sync::Arc;

use weir_model::{Compiler, Offset};

use crate::compiled::Trouble;
use crate::counters::Counters;
use crate::operator::{Select, Where};
use crate::plan::{OperatorPlan, Plan, Upstream};
use crate::rows::Rows;
use crate::window::Window;
use crate::{Effect, Run};

/// A step at work.
#[derive(Debug)]
pub(crate) enum Step {
    Where(Where),
    Select(Select),
    /// Boxed: it is many times larger than the others.
    Window(Box<Window>),
}

/// The steps of a plan, and what became of the rows.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Where each node takes from.
    nodes: Vec<Upstream>,
    /// Where each output takes from.
    outputs: Vec<Upstream>,
    pub(crate) steps: Vec<Step>,
    /// Of each window node the domain that its event time is told by.
    domains: Vec<Option<usize>>,
    pub(crate) counters: Counters,
}

impl Graph {
    pub(crate) fn new(plan: &Plan, domains: Vec<Option<usize>>, compiler: &Arc<dyn Compiler>) -> Self {
        let steps = plan.nodes.iter().map(|node| match &node.operator {
            OperatorPlan::Where(text) => Step::Where(Where::new(text, compiler.clone())),
            OperatorPlan::Select(columns) => Step::Select(Select::new(columns, compiler.clone())),
            OperatorPlan::Window(window) => {
                Step::Window(Box::new(Window::new(window, (&plan.pipeline, &node.name), plan.limits, compiler.clone())))
            }
        });
        Self {
            steps: steps.collect(),
            nodes: plan.nodes.iter().map(|node| node.from).collect(),
            outputs: plan.outputs.iter().map(|output| output.from).collect(),
            domains,
            counters: Counters::new(plan),
        }
    }

    /// Lets rows flow from `from` to wherever they go, depth first, so that what comes of earlier rows comes earlier.
    pub(crate) fn flow(&mut self, from: Upstream, rows: Rows, effects: &mut Vec<Effect>) {
        let mut waiting = vec![(from, rows)];
        while let Some((from, rows)) = waiting.pop() {
            if rows.len() == 0 {
                continue;
            }
            for output in (0..self.outputs.len()).filter(|output| takes(self.outputs[*output], from)) {
                self.counters.outputs[output] += rows.origin.as_ref().map_or(0, |_| rows.len() as u64);
                effects.push(Effect::Emit { output, rows: rows.columns.clone() });
            }
            for node in 0..self.nodes.len() {
                if takes(self.nodes[node], from) {
                    self.through(node, &rows, &mut waiting, effects);
                }
            }
        }
    }

    /// Puts rows through a node; what comes out waits to flow on.
    fn through(&mut self, node: usize, rows: &Rows, waiting: &mut Vec<(Upstream, Rows)>, effects: &mut Vec<Effect>) {
        let counts = &mut self.counters.nodes[node];
        let counted = rows.origin.is_some();
        let passed = match &mut self.steps[node] {
            Step::Where(step) => step.apply(rows).map(|kept| {
                counts.filtered += if counted { (rows.len() - kept.len()) as u64 } else { 0 };
                waiting.push((Upstream::Node(node), kept));
            }),
            Step::Select(step) => step.apply(rows).map(|selected| waiting.push((Upstream::Node(node), selected))),
            Step::Window(step) => step.take(node, rows, effects).map(|taken| {
                counts.late += taken.late;
                counts.rejected += taken.rejected;
                counts.results += taken.shown;
                counts.open = step.open_rows();
                waiting.extend(taken.results.into_iter().rev().map(|rows| (Upstream::Node(node), rows)));
            }),
        };
        match passed {
            Ok(()) => {}
            Err(Trouble::Value(_)) if rows.len() > 1 => {
                // One of them is wrong. Halves, in order, until it stands alone; what is pushed last flows on first.
                let half = rows.len() / 2;
                let mut of_first = Vec::new();
                self.through(node, &rows.slice(0, half), &mut of_first, effects);
                self.through(node, &rows.slice(half, rows.len() - half), waiting, effects);
                waiting.append(&mut of_first);
            }
            Err(Trouble::Types(reason) | Trouble::Value(reason)) => self.reject(node, rows, &reason, effects),
        }
    }

    fn reject(&mut self, node: usize, rows: &Rows, reason: &str, effects: &mut Vec<Effect>) {
        let Some(origin) = &rows.origin else {
            effects.push(Effect::RejectResult { node, rows: rows.columns.clone(), reason: reason.to_owned() });
            return;
        };
        self.counters.nodes[node].rejected += rows.len() as u64;
        effects.extend(origin.offsets.iter().map(|offset| Effect::Reject {
            partition: origin.partition.clone(),
            offset: Offset(*offset),
            reason: reason.to_owned(),
        }));
    }

    /// Of each domain the smallest watermark beyond `reached(domain)` at which one of its windows has something to do.
    pub(crate) fn next_stops(&self, domains: usize, reached: impl Fn(usize) -> i64) -> Vec<i64> {
        let mut stops = vec![i64::MAX; domains];
        for (step, domain) in self.steps.iter().zip(&self.domains) {
            if let (Step::Window(window), Some(domain)) = (step, domain) {
                stops[*domain] = stops[*domain].min(window.next_stop(reached(*domain)));
            }
        }
        stops
    }

    /// Tells the windows of a domain that the watermark has come to `reached`.
    pub(crate) fn advance(&mut self, domain: usize, reached: i64, effects: &mut Vec<Effect>) {
        self.speak(Some(domain), |window| window.advance(reached), effects);
    }

    /// Tells the windows of a domain that no more is to be expected, with the watermark at `reached`.
    pub(crate) fn end(&mut self, domain: usize, reached: i64, effects: &mut Vec<Effect>) {
        self.speak(Some(domain), |window| window.end(reached), effects);
    }

    /// Makes the windows of a domain emit what late rows have changed.
    pub(crate) fn flush_late(&mut self, domain: usize, effects: &mut Vec<Effect>) {
        self.speak(Some(domain), Window::flush_late, effects);
    }

    /// Tells every window that processing time has gone on.
    pub(crate) fn tick(&mut self, before: i64, now: i64, effects: &mut Vec<Effect>) {
        self.speak(None, |window| window.tick(before, now), effects);
    }

    /// Lets the windows of a domain, or all, emit what they have to say.
    fn speak(
        &mut self,
        domain: Option<usize>,
        what: impl Fn(&mut Window) -> (Vec<Rows>, u64),
        effects: &mut Vec<Effect>,
    ) {
        for node in 0..self.steps.len() {
            let Step::Window(window) = &mut self.steps[node] else { continue };
            if domain.is_some() && self.domains[node] != domain {
                continue;
            }
            let (results, rows) = what(window);
            self.counters.nodes[node].results += rows;
            self.counters.nodes[node].open = window.open_rows();
            for rows in results {
                self.flow(Upstream::Node(node), rows, effects);
            }
        }
    }

    /// Every run that is alive.
    pub(crate) fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        let mut runs = Vec::new();
        for (node, step) in self.steps.iter_mut().enumerate() {
            if let Step::Window(window) = step {
                runs.extend(window.seal(node, next_run));
            }
        }
        runs
    }

    pub(crate) fn state_bytes(&self) -> usize {
        let bytes = self.steps.iter().map(|step| match step {
            Step::Where(_) | Step::Select(_) => 0,
            Step::Window(window) => window.state_bytes(),
        });
        bytes.sum()
    }
}

/// Whether someone who takes from `wanted` takes what comes from `from`.
fn takes(wanted: Upstream, from: Upstream) -> bool {
    wanted == from || (wanted == Upstream::AllSources && matches!(from, Upstream::Source(_)))
}
