//! A snapshot in the shape of another plan: steps, runs, sources and outputs go where they belong now. Decides nothing.

use std::sync::Arc;

use weir_model::Compiler;

use super::{Adoption, Outline, Reset, adopt};
use crate::counters::NodeCounts;
use crate::halves::Half;
use crate::snapshot::{Meta, NodeMeta};
use crate::{Engine, EngineError, Plan, Run, Snapshot};

impl Engine {
    /// An engine that goes on from `snapshot` without the state that `reset` names. A plan that is not quite the one that
    /// made the snapshot takes over what fits: see [`EngineError::Misfits`] for what does not. Rows that were in state
    /// that is left behind, or were settled by steps that are gone, count as filtered from then on.
    ///
    /// # Errors
    /// When the plan contradicts itself, the state of a step does not fit it, or the snapshot is damaged.
    pub fn restore_without(
        plan: Plan,
        compiler: Arc<dyn Compiler>,
        snapshot: Snapshot,
        reset: &Reset,
    ) -> Result<Self, EngineError> {
        let mut engine = Self::new(plan, compiler)?;
        engine.go_on_from(snapshot, reset)?;
        Ok(engine)
    }

    /// The same for an engine that has seen nothing yet.
    ///
    /// # Errors
    /// As [`Engine::restore_without`]; it is of no use any more then.
    pub fn go_on_from(&mut self, snapshot: Snapshot, reset: &Reset) -> Result<(), EngineError> {
        let Snapshot { plan_fingerprint: found, meta, mut runs } = snapshot;
        let expected = self.plan.fingerprint();
        if Half::made(&found) {
            return Err(EngineError::OtherPlan { expected, found });
        }
        let mut meta: Meta = serde_json::from_slice(&meta).map_err(|error| EngineError::Corrupt(error.to_string()))?;
        if found == expected && *reset == Reset::Nothing {
            return self.take_meta(meta, &runs);
        }
        let new = Outline::of(&self.plan);
        let old = match meta.plan.take() {
            Some(old) => old,
            None if found == expected => new.clone(),
            None => return Err(EngineError::OtherPlan { expected, found }),
        };
        let counted = (meta.sources.len(), meta.nodes.len(), meta.outputs.len());
        if counted != (old.sources.len(), old.nodes.len(), old.outputs.len()) {
            return Err(EngineError::Corrupt(format!("it counts {counted:?} sources, steps and outputs")));
        }
        let holds = |node: usize| meta.nodes[node].counts.open > 0 || runs.iter().any(|run| run.node == node);
        let adoption = adopt(&old, &new, holds, reset).map_err(EngineError::Misfits)?;
        runs = moved(runs, &adoption);
        self.take_meta(reshaped(meta, &old, &new, &adoption), &runs)?;
        self.settle_counts();
        Ok(())
    }
}

/// The runs of the steps that go on, with the places of these.
fn moved(runs: Vec<Run>, adoption: &Adoption) -> Vec<Run> {
    let place = |run: Run| {
        let node = adoption.state.iter().position(|from| *from == Some(run.node))?;
        Some(Run { node, ..run })
    };
    runs.into_iter().filter_map(place).collect()
}

fn reshaped(mut meta: Meta, old: &Outline, new: &Outline, adoption: &Adoption) -> Meta {
    let node = |(counts, state): (&Option<usize>, &Option<usize>)| {
        let mut counted = counts.map_or_else(NodeCounts::default, |from| meta.nodes[from].counts);
        if state.is_none() {
            counted.open = 0;
        }
        NodeMeta { counts: counted, state: state.and_then(|from| meta.nodes[from].state.take()) }
    };
    let nodes = adoption.counts.iter().zip(&adoption.state).map(node).collect();
    let by_name = |names: &[String], name: &String| names.iter().position(|known| known == name);
    let source_now = |source: usize| by_name(&new.sources, old.sources.get(source)?);
    let sources = new.sources.iter().map(|name| by_name(&old.sources, name).map(|at| meta.sources[at]));
    let output = |name: &String| by_name(&old.outputs, name);
    Meta {
        next_run: meta.next_run,
        progress: meta.progress.rearranged(source_now, &old.domains, &new.domains),
        sources: sources.map(Option::unwrap_or_default).collect(),
        nodes,
        outputs: new.outputs.iter().map(|name| output(name).map_or(0, |at| meta.outputs[at])).collect(),
        plan: None,
        before: new
            .outputs
            .iter()
            .map(|name| output(name).and_then(|at| meta.before.get(at).copied()))
            .map(Option::unwrap_or_default)
            .collect(),
    }
}
