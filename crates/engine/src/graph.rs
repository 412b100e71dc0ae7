//! The steps of a plan at work: rows flow from sources through nodes to outputs, and are counted on the way.

use std::sync::Arc;

use weir_model::{Compiler, PartitionId};

use crate::compiled::Trouble;
use crate::counters::Counters;
use crate::halves::{Groups, Half, Sent};
use crate::operator::{News, Operator, Outcome};
use crate::plan::{Node, Plan, Upstream};
use crate::rows::Rows;
use crate::{Effect, Run, RunStore};

/// The steps of a plan, and what became of the rows.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Where each node takes from, by port.
    inputs: Vec<Vec<Upstream>>,
    /// Where each output takes from.
    outputs: Vec<Upstream>,
    pub(crate) operators: Vec<Box<dyn Operator>>,
    /// Of each node that waits for event time the domain by which it is told.
    pub(crate) domains: Vec<Option<usize>>,
    /// How far behind the domain's watermark that of each node is: rows that steps before it make may be so late.
    pub(crate) holds: Vec<i64>,
    /// Of each node whether the rows that it takes are no longer those that were read.
    changed: Vec<bool>,
    /// Whether a node waits for the next row of a partition.
    pub(crate) waits_for_rows: bool,
    pub(crate) counters: Counters,
}

impl Graph {
    pub(crate) fn new(plan: &Plan, domains: Vec<Option<usize>>, half: Half, compiler: &Arc<dyn Compiler>) -> Self {
        let has = half.has(plan);
        Self {
            operators: (0..plan.nodes.len()).map(|node| half.build(plan, node, compiler)).collect(),
            inputs: plan.nodes.iter().map(Node::inputs).collect(),
            outputs: plan.outputs.iter().map(|output| output.from).collect(),
            domains,
            holds: plan.holds(),
            changed: plan.changed_records(),
            waits_for_rows: plan.nodes.iter().zip(has).any(|(node, has)| has && node.operator.waits_for_rows()),
            counters: Counters::new(plan),
        }
    }

    /// Lets rows flow from `from` to wherever they go, depth first, so that what comes of earlier rows comes earlier.
    pub(crate) fn flow(&mut self, from: Upstream, rows: Rows, effects: &mut Vec<Effect>) {
        self.flow_on(vec![(from, rows)], effects);
    }

    /// The same for what waits already, the last first.
    fn flow_on(&mut self, mut waiting: Vec<(Upstream, Rows)>, effects: &mut Vec<Effect>) {
        while let Some((from, rows)) = waiting.pop() {
            if rows.len() == 0 {
                continue;
            }
            for output in (0..self.outputs.len()).filter(|output| takes(self.outputs[*output], from)) {
                self.counters.outputs[output] += rows.origin.as_ref().map_or(0, |_| rows.len() as u64);
                effects.push(Effect::Emit { output, rows: rows.columns.clone() });
            }
            for node in 0..self.inputs.len() {
                for port in 0..self.inputs[node].len() {
                    if takes(self.inputs[node][port], from) {
                        self.through((node, port), &rows, &mut waiting, effects);
                    }
                }
            }
        }
    }

    /// Puts rows through a node, by one of its ports; what comes out waits to flow on.
    fn through(
        &mut self,
        (node, port): (usize, usize),
        rows: &Rows,
        waiting: &mut Vec<(Upstream, Rows)>,
        effects: &mut Vec<Effect>,
    ) {
        let already = effects.len();
        match self.operators[node].take(port, rows, effects) {
            Ok(mut outcome) => {
                if self.changed[node] {
                    show_rows(&mut effects[already..], rows);
                }
                // What flows on first is pushed last.
                let passed = outcome.rows.drain(..).rev();
                waiting.extend(passed.map(|rows| (Upstream::Node(node), rows)));
                self.count(node, &outcome, rows.origin.is_some());
            }
            Err(Trouble::Value(_)) if rows.len() > 1 => {
                // One of them is wrong. Halves, in order, until it stands alone.
                let half = rows.len() / 2;
                let mut of_first = Vec::new();
                self.through((node, port), &rows.slice(0, half), &mut of_first, effects);
                self.through((node, port), &rows.slice(half, rows.len() - half), waiting, effects);
                waiting.append(&mut of_first);
            }
            Err(Trouble::Types(reason) | Trouble::Value(reason)) => self.reject(node, rows, &reason, effects),
        }
    }

    /// Puts rows through a node that come from where they were read, and lets flow what comes out.
    pub(crate) fn enter(&mut self, place: (usize, usize), rows: &Rows, effects: &mut Vec<Effect>) {
        let mut waiting = Vec::new();
        self.through(place, rows, &mut waiting, effects);
        self.flow_on(waiting, effects);
    }

    /// The same for rows that were folded there.
    pub(crate) fn receive(&mut self, node: usize, groups: &Groups, effects: &mut Vec<Effect>) {
        let mut outcome = self.operators[node].receive(groups, effects);
        let results = std::mem::take(&mut outcome.rows);
        self.count(node, &outcome, true);
        for rows in results {
            self.flow(Upstream::Node(node), rows, effects);
        }
    }

    /// From which watermark on rows are folded where they are read.
    pub(crate) fn fold_from(&mut self, mark: i64) {
        self.operators.iter_mut().for_each(|operator| operator.fold_from(mark));
    }

    /// How many rows and groups wait to be sent.
    pub(crate) fn unsent(&self) -> usize {
        self.operators.iter().map(|operator| operator.unsent()).sum()
    }

    /// Takes out what nodes have for the owners of keys.
    pub(crate) fn send(&mut self) -> Vec<(usize, Sent)> {
        let mut all = Vec::new();
        for (node, operator) in self.operators.iter_mut().enumerate() {
            all.extend(operator.send().into_iter().map(|sent| (node, sent)));
            self.counters.nodes[node].open = operator.open_rows();
        }
        all
    }

    /// Counts what became of rows. Those that a window made were counted when it fired.
    fn count(&mut self, node: usize, outcome: &Outcome, from_source: bool) {
        let counts = &mut self.counters.nodes[node];
        if from_source {
            counts.added += outcome.added;
            counts.merged += outcome.merged;
            counts.filtered += outcome.filtered;
            counts.late += outcome.late;
            counts.rejected += outcome.rejected;
        }
        counts.results += outcome.shown;
        counts.open = self.operators[node].open_rows();
    }

    fn reject(&mut self, node: usize, rows: &Rows, reason: &str, effects: &mut Vec<Effect>) {
        if rows.origin.is_some() {
            self.counters.nodes[node].rejected += rows.len() as u64;
        }
        let already = effects.len();
        let all: Vec<u32> = (0..rows.len() as u32).collect();
        rows.reject(node, &all, || reason.to_owned(), effects);
        if self.changed[node] {
            show_rows(&mut effects[already..], rows);
        }
    }

    /// Tells the nodes that nobody waits for `partition` any longer.
    pub(crate) fn partition_ends(&mut self, partition: &PartitionId, effects: &mut Vec<Effect>) {
        for node in 0..self.operators.len() {
            let mut outcome = self.operators[node].partition_ends(partition);
            let rows = std::mem::take(&mut outcome.rows);
            self.count(node, &outcome, true);
            for rows in rows {
                self.flow(Upstream::Node(node), rows, effects);
            }
        }
    }

    /// Of each domain the smallest watermark beyond `reached(domain)` at which one of its nodes has something to do.
    pub(crate) fn next_stops(&self, domains: usize, reached: impl Fn(usize) -> i64) -> Vec<i64> {
        let mut stops = vec![i64::MAX; domains];
        for ((operator, domain), hold) in self.operators.iter().zip(&self.domains).zip(&self.holds) {
            if let Some(domain) = *domain {
                let stop = operator.next_stop(reached(domain).saturating_sub(*hold)).saturating_add(*hold);
                stops[domain] = stops[domain].min(stop);
            }
        }
        stops
    }

    /// Tells the nodes that wait for event time what `news` has for their domain. In their order, whatever the domains: what
    /// a node makes of the news has reached those that take from it before they hear themselves.
    pub(crate) fn tell(&mut self, news: impl Fn(usize) -> Option<News>, effects: &mut Vec<Effect>) {
        for node in 0..self.operators.len() {
            let Some(news) = self.domains[node].and_then(&news) else { continue };
            let mut outcome = self.operators[node].hear(news.held_back(self.holds[node]));
            let results = std::mem::take(&mut outcome.rows);
            self.count(node, &outcome, true);
            for rows in results {
                self.flow(Upstream::Node(node), rows, effects);
            }
        }
    }

    /// Every run that is alive.
    pub(crate) fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        self.operators.iter_mut().flat_map(|operator| operator.seal(next_run)).collect()
    }

    /// Lets go of what `store` has until about `wanted` bytes are free.
    pub(crate) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let free = |freed: usize, operator: &mut Box<dyn Operator>| {
            if freed < wanted { freed + operator.release(wanted - freed, store) } else { freed }
        };
        self.operators.iter_mut().fold(0, free)
    }

    /// Says of what could not be loaded.
    pub(crate) fn tell_lost(&mut self, effects: &mut Vec<Effect>) {
        let lost = self.operators.iter_mut().enumerate();
        effects.extend(lost.filter_map(|(node, operator)| Some(Effect::Lost { node, error: operator.lost()? })));
    }

    pub(crate) fn state_bytes(&self) -> usize {
        self.operators.iter().map(|operator| operator.state_bytes()).sum()
    }
}

/// Rejects among `effects` show their row of `rows`, not the record that was read.
fn show_rows(effects: &mut [Effect], rows: &Rows) {
    let Some(origin) = &rows.origin else { return };
    let mut next = 0;
    for effect in effects {
        let Effect::Reject { partition, offset, reason } = effect else { continue };
        // Several rows may have one position: rejects come in their order.
        let later = origin.offsets[next..].iter().position(|known| *known == offset.0).map(|place| next + place);
        let place = later.or_else(|| origin.offsets.iter().position(|known| *known == offset.0));
        let Some(place) = place else { continue };
        next = place + 1;
        *effect = Effect::RejectRow {
            partition: partition.clone(),
            origin: origin.name.clone(),
            offset: *offset,
            row: rows.columns.slice(place, 1),
            reason: std::mem::take(reason),
        };
    }
}

/// Whether someone who takes from `wanted` takes what comes from `from`.
fn takes(wanted: Upstream, from: Upstream) -> bool {
    wanted == from || (wanted == Upstream::AllSources && matches!(from, Upstream::Source(_)))
}
