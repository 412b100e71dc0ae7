//! How the engine takes a batch: cut where event time reaches something, so that it advances per record.

use arrow::array::BooleanArray;
use arrow::buffer::ScalarBuffer;
use weir_model::{Batch, EventTime, PartitionId, ProcessingTime};

use crate::compiled::Trouble;
use crate::operator::News;
use crate::plan::Upstream;
use crate::rows::{Origin, Rows};
use crate::snapshot::{Meta, NodeMeta};
use crate::{Effect, Engine, EngineError, Run, Snapshot};

impl Engine {
    pub(crate) fn take(&mut self, source: usize, batch: Batch, effects: &mut Vec<Effect>) {
        let partition = batch.partition.clone();
        self.graph.counters.sources[source].read += batch.rows() as u64;
        self.progress.note_rows(source, &partition, batch.rows(), batch.offsets.last().copied());
        let rows = Rows {
            columns: batch.columns,
            origin: Some(Origin {
                source,
                partition: batch.partition,
                name: batch.origin,
                offsets: batch.offsets,
                times: batch.times,
                marks: ScalarBuffer::default(),
                held: self.progress.held(&partition).into(),
            }),
            made: None,
        };
        let already = effects.len();
        if self.plan.time.is_none() || rows.origin.as_ref().is_some_and(|origin| origin.times.is_empty()) {
            self.graph.flow(Upstream::Source(source), rows, effects);
        } else {
            let rows = self.reject_future(rows, effects);
            self.take_moving(source, &partition, &rows, effects);
        }
        join_emits(effects, already);
    }

    /// Finds out which rows move the watermark, and rejects those of which it cannot be told.
    fn take_moving(&mut self, source: usize, partition: &PartitionId, rows: &Rows, effects: &mut Vec<Effect>) {
        let Some(origin) = &rows.origin else { return };
        let moving = match &mut self.punctuation {
            Some(punctuation) => punctuation.moving(rows, &origin.times),
            None => Ok(origin.times.clone()),
        };
        match moving {
            Ok(moving) => self.take_timed(source, partition, (rows, &moving), effects),
            Err(Trouble::Value(_)) if rows.len() > 1 => {
                let half = rows.len() / 2;
                self.take_moving(source, partition, &rows.slice(0, half), effects);
                self.take_moving(source, partition, &rows.slice(half, rows.len() - half), effects);
            }
            Err(Trouble::Types(reason) | Trouble::Value(reason)) => {
                self.graph.counters.sources[source].rejected += rows.len() as u64;
                let reason = format!("whether it carries a watermark cannot be told: {reason}");
                effects.extend((0..rows.len()).map(|row| origin.rejected(row, reason.clone())));
            }
        }
    }

    /// Lets rows flow in parts, each ending with the row at which some window has something to do.
    fn take_timed(
        &mut self,
        source: usize,
        partition: &PartitionId,
        (rows, moving): (&Rows, &[i64]),
        effects: &mut Vec<Effect>,
    ) {
        let mut from = 0;
        while from < rows.len() {
            let stops = self.graph.next_stops(self.progress.domains(), |domain| self.progress.reached(domain));
            let marks = self.progress.advance(partition, &moving[from..], &stops);
            let mut part = rows.slice(from, marks.len());
            from += marks.len();
            if let Some(origin) = &mut part.origin {
                origin.marks = marks;
            }
            self.graph.flow(Upstream::Source(source), part, effects);
            self.advance(effects);
        }
    }

    /// Rejects the rows whose event time lies too far ahead of the last tick, and returns the others.
    fn reject_future(&mut self, rows: Rows, effects: &mut Vec<Effect>) -> Rows {
        let (Some((now, limit)), Some(origin)) = (self.progress.future_limit(), &rows.origin) else { return rows };
        if origin.times.iter().all(|time| *time <= limit) {
            return rows;
        }
        for (row, time) in origin.times.iter().enumerate().filter(|(_, time)| **time > limit) {
            self.graph.counters.sources[origin.source].rejected += 1;
            let reason = format!(
                "the event time {} is more than {} ahead of the clock ({}): a wrong clock or a wrong unit, or future_limit is too small",
                EventTime::from_micros(*time),
                EventTime::from_micros(limit) - EventTime::from_micros(now),
                ProcessingTime::from_micros(now)
            );
            effects.push(origin.rejected(row, reason));
        }
        let keep: BooleanArray = origin.times.iter().map(|time| Some(*time <= limit)).collect();
        rows.filter(&keep)
    }

    /// Fires what is due after partitions have moved.
    pub(crate) fn advance(&mut self, effects: &mut Vec<Effect>) {
        let further = self.progress.reach();
        if !further.is_empty() {
            let reached = |domain| further.contains(&domain).then(|| News::Reached(self.progress.reached(domain)));
            self.graph.tell(reached, effects);
        }
    }

    /// The same, and where nothing more is to be expected for now, late changes do not wait for event time.
    pub(crate) fn advance_quietly(&mut self, effects: &mut Vec<Effect>) {
        self.advance(effects);
        let quiet = self.progress.quiet_domains();
        if !quiet.is_empty() {
            self.graph.tell(|domain| quiet.contains(&domain).then_some(News::Quiet), effects);
        }
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        let runs = self.graph.seal(&mut self.next_run);
        let nodes = self.graph.operators.iter().zip(&self.graph.counters.nodes);
        let nodes = nodes.map(|(operator, counts)| NodeMeta { counts: *counts, state: operator.meta() });
        let meta = Meta {
            next_run: self.next_run,
            progress: self.progress.meta(),
            sources: self.graph.counters.sources.clone(),
            nodes: nodes.collect(),
            outputs: self.graph.counters.outputs.clone(),
            plan: Some(self.outline.clone()),
            before: self.graph.counters.before.clone(),
        };
        let meta = serde_json::to_vec(&meta).expect("numbers and names are JSON");
        Snapshot { plan_fingerprint: self.plan.fingerprint(), meta, runs }
    }

    pub(crate) fn read_meta(&mut self, meta: &[u8], runs: &[Run]) -> Result<(), EngineError> {
        let meta = serde_json::from_slice(meta).map_err(|error| EngineError::Corrupt(error.to_string()))?;
        self.take_meta(meta, runs)
    }

    /// Takes over what a snapshot of this very plan says.
    pub(crate) fn take_meta(&mut self, meta: Meta, runs: &[Run]) -> Result<(), EngineError> {
        let counters = &mut self.graph.counters;
        let found = (meta.sources.len(), meta.nodes.len(), meta.outputs.len());
        let expected = (counters.sources.len(), counters.nodes.len(), counters.outputs.len());
        if found != expected {
            let what = format!("it counts {found:?} sources, steps and outputs where the plan has {expected:?}");
            return Err(EngineError::Corrupt(what));
        }
        self.next_run = meta.next_run;
        self.progress.restore(meta.progress);
        (counters.sources, counters.outputs, counters.before) = (meta.sources, meta.outputs, meta.before);
        counters.nodes = meta.nodes.iter().map(|node| node.counts).collect();
        let mut of_nodes: Vec<Vec<Run>> = vec![Vec::new(); self.graph.operators.len()];
        for run in runs {
            let Some(own) = of_nodes.get_mut(run.node) else { continue };
            let loads = self.graph.operators[run.node].loads_runs_itself();
            own.push(if loads { run.clone() } else { run.loaded().map_err(EngineError::Unreadable)? });
        }
        for (node, operator) in self.graph.operators.iter_mut().enumerate() {
            if let Some(state) = &meta.nodes[node].state {
                operator.restore(state, &of_nodes[node]).map_err(EngineError::Corrupt)?;
            }
        }
        Ok(())
    }

    /// Makes every balance even after steps or state were left behind.
    pub(crate) fn settle_counts(&mut self) {
        self.graph.counters.settle(&self.plan);
    }
}

/// Joins the emissions since `from` that follow each other to the same output with the same columns.
pub(crate) fn join_emits(effects: &mut Vec<Effect>, from: usize) {
    if effects.len() < from + 2 {
        return;
    }
    let mut joined: Vec<Effect> = Vec::new();
    let mut pending: Vec<(usize, Vec<arrow::array::RecordBatch>)> = Vec::new();
    for effect in effects.drain(from..) {
        let Effect::Emit { output, rows } = effect else {
            joined.push(effect);
            continue;
        };
        let last = pending.iter_mut().rev().find(|(own, _)| *own == output);
        match last {
            Some((_, batches)) if batches[0].schema() == rows.schema() => batches.push(rows),
            Some(_) | None => pending.push((output, vec![rows])),
        }
    }
    for (output, batches) in pending {
        let rows = arrow::compute::concat_batches(&batches[0].schema(), &batches);
        joined.push(Effect::Emit { output, rows: rows.expect("the schemas are equal") });
    }
    effects.append(&mut joined);
}
