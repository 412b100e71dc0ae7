//! What a pipeline leaves unsaid, resolved: whose rows a step or an output takes, which field is the event time.
//! Refuses references that lead nowhere.

use crate::config::{PipelineConfig, StepKind, TimeConfig};

/// Where rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Feed<'a> {
    /// All sources together.
    Sources,
    /// The source of this name.
    Source(&'a str),
    /// The step at this index.
    Step(usize),
    /// A branch of the route at this index: the first, the second and so on.
    Branch(usize, usize),
}

impl PipelineConfig {
    /// The rows that step `index` takes; `None` when its `from` names neither a source nor an earlier step.
    pub fn feed_of_step(&self, index: usize) -> Option<Feed<'_>> {
        match self.steps.get(index)?.from.as_deref() {
            Some(name) => self.feed_named(name, index),
            None => Some(self.last_of(index)),
        }
    }

    /// The right rows that step `index` takes, if it is a join; `Err` with the name when its `with` names neither a source
    /// nor an earlier step.
    pub fn feed_of_join(&self, index: usize) -> Option<Result<Feed<'_>, &str>> {
        let StepKind::Join(join) = &self.steps.get(index)?.kind else { return None };
        Some(self.feed_named(&join.with, index).ok_or(join.with.as_str()))
    }

    /// The rows that output `index` takes; `None` when its `from` names neither a source nor a step.
    pub fn feed_of_output(&self, index: usize) -> Option<Feed<'_>> {
        match self.outputs.get(index)?.from.as_deref() {
            Some(name) => self.feed_named(name, self.steps.len()),
            None => Some(self.last_of(self.steps.len())),
        }
    }

    /// The pipeline as it is meant: with its event time, when that follows from the formats. What [`crate::load`] and
    /// the builder return is resolved already.
    #[must_use]
    pub fn resolved(self) -> Self {
        Self { time: self.event_time(), ..self.connected() }
    }

    /// What is meant about event time: what is written, or else the time field that the formats of all sources have
    /// in common, with everything else at its default. `None` when rows carry no event time.
    pub fn event_time(&self) -> Option<TimeConfig> {
        let mut fields = self.sources.values().map(|source| source.format.default_time_field());
        let common = || {
            let first = fields.next()??;
            fields.all(|other| other == Some(first)).then(|| TimeConfig::field(first))
        };
        self.time.clone().or_else(common)
    }

    /// The last of the first `steps` steps; all sources when there is none.
    fn last_of(&self, steps: usize) -> Feed<'_> {
        steps.checked_sub(1).map_or(Feed::Sources, Feed::Step)
    }

    fn feed_named(&self, name: &str, steps: usize) -> Option<Feed<'_>> {
        let step = self.steps[..steps].iter().position(|step| step.name.as_deref() == Some(name));
        let branch = || {
            self.steps[..steps].iter().enumerate().find_map(|(step, entry)| {
                let StepKind::Route(route) = &entry.kind else { return None };
                let branch = route.branches.iter().position(|(branch, _)| branch == name)?;
                Some(Feed::Branch(step, branch))
            })
        };
        let source = || self.sources.get_key_value(name).map(|(name, _)| Feed::Source(name));
        step.map(Feed::Step).or_else(branch).or_else(source)
    }
}
