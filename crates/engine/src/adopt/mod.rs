//! What a snapshot means to a plan that is not quite the one that made it: which state fits, and which does not and why.
//! Refuses to guess: the state of a step is taken over whole, or not at all.

mod outline;
mod take_over;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

pub(crate) use outline::{NodeOutline, Outline};

/// State that is to be left behind, whether it fits or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// None: what does not fit is an error.
    #[default]
    Nothing,
    /// That of these steps, by their names now or then.
    Steps(BTreeSet<String>),
    /// That of all steps. Where event time stands is kept.
    Everything,
}

impl Reset {
    fn names(&self, step: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Steps(steps) => steps.contains(step),
            Self::Everything => true,
        }
    }
}

/// Why the state of a step does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// The step, by its name then.
    pub step: String,
    /// What was changed.
    pub why: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}", self.step, self.why)
    }
}

/// Which step of the plan goes on from which step of the snapshot, with its counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Adoption {
    /// Of each step now.
    pub(crate) counts: Vec<Option<usize>>,
    /// The same, where it takes over the state as well.
    pub(crate) state: Vec<Option<usize>>,
}

/// Matches the steps of two plans. `holds` says of a step then whether there is anything in its state.
pub(crate) fn adopt(
    old: &Outline,
    new: &Outline,
    holds: impl Fn(usize) -> bool,
    reset: &Reset,
) -> Result<Adoption, Vec<Misfit>> {
    let mut matched: Vec<Option<usize>> = vec![None; new.nodes.len()];
    for (index, node) in new.nodes.iter().enumerate() {
        matched[index] = old.nodes.iter().position(|was| (&was.name, &was.kind) == (&node.name, &node.kind));
    }
    // A step that was renamed is recognised where there is no doubt.
    for (index, node) in new.nodes.iter().enumerate().filter(|(_, node)| node.remembers()) {
        if matched[index].is_none() {
            let is_it =
                |was: &NodeOutline| was.is_like(node) && overlap(&called_now(old, new, &matched, was), &node.from);
            let mut free = (0..old.nodes.len()).filter(|at| !matched.contains(&Some(*at)) && is_it(&old.nodes[*at]));
            let only = free.next().filter(|_| free.next().is_none());
            let alike = new.nodes.iter().filter(|other| other.is_like(node)).count();
            matched[index] = only.filter(|_| alike == 1);
        }
    }
    let mut adoption = Adoption { counts: matched.clone(), state: matched.clone() };
    let mut misfits = Vec::new();
    for (at, was) in old.nodes.iter().enumerate().filter(|(_, node)| node.remembers()) {
        let now = matched.iter().position(|from| *from == Some(at));
        let left_behind = reset.names(&was.name) || now.is_some_and(|now| reset.names(&new.nodes[now].name));
        let why = match now {
            Some(now) => differences(was, &called_now(old, new, &matched, was), &new.nodes[now]),
            None => Some("it is gone".to_owned()),
        };
        if left_behind || (why.is_some() && !holds(at)) {
            adoption.state.iter_mut().filter(|from| **from == Some(at)).for_each(|from| *from = None);
        } else if let Some(why) = why {
            misfits.push(Misfit { step: was.name.clone(), why });
        }
    }
    misfits.extend(unknown(old, new, reset));
    if misfits.is_empty() { Ok(adoption) } else { Err(misfits) }
}

/// Steps that are to be reset and that nobody knows.
fn unknown(old: &Outline, new: &Outline, reset: &Reset) -> Vec<Misfit> {
    let Reset::Steps(steps) = reset else { return Vec::new() };
    let known: BTreeSet<&String> = old.nodes.iter().chain(&new.nodes).map(|node| &node.name).collect();
    let stateful: Vec<&str> = old.nodes.iter().filter(|node| node.remembers()).map(|node| node.name.as_str()).collect();
    let unknown = steps.iter().filter(|step| !known.contains(step));
    let misfit = |step: &String| Misfit {
        step: step.clone(),
        why: format!("there is no such step; with state there are: {}", stateful.join(", ")),
    };
    unknown.map(misfit).collect()
}

/// Where the rows of a step came from, by the names that these steps have now.
fn called_now(old: &Outline, new: &Outline, matched: &[Option<usize>], was: &NodeOutline) -> Vec<BTreeSet<String>> {
    let now = |name: &String| {
        let at = old.nodes.iter().position(|node| node.name == *name);
        let now = at.and_then(|at| matched.iter().position(|from| *from == Some(at)));
        now.map_or_else(|| name.clone(), |now| new.nodes[now].name.clone())
    };
    was.from.iter().map(|port| port.iter().map(now).collect()).collect()
}

/// Whether by every port some of the rows are the same.
fn overlap(from: &[BTreeSet<String>], other: &[BTreeSet<String>]) -> bool {
    from.len() == other.len() && from.iter().zip(other).all(|(one, other)| !one.is_disjoint(other))
}

/// What of a step was changed so that its state does not fit.
fn differences(was: &NodeOutline, from: &[BTreeSet<String>], is: &NodeOutline) -> Option<String> {
    let named = |parts: &[(String, String)], name: &str| {
        parts.iter().find(|(part, _)| part == name).map_or_else(|| "none".to_owned(), |(_, text)| text.clone())
    };
    let names: BTreeSet<&String> = was.parts.iter().chain(&is.parts).map(|(name, _)| name).collect();
    let mut changes: Vec<String> = Vec::new();
    for name in names {
        let (before, after) = (named(&was.parts, name), named(&is.parts, name));
        if before != after {
            changes.push(format!("{name} changed from `{before}` to `{after}`"));
        }
    }
    // More or fewer sources feed the same state; rows of something else altogether do not.
    let elsewhere = !overlap(from, &is.from);
    if elsewhere {
        let shown = |from: &[BTreeSet<String>]| {
            let ports: Vec<String> =
                from.iter().map(|port| port.iter().cloned().collect::<Vec<_>>().join(" and ")).collect();
            ports.join(" with ")
        };
        changes.push(format!("its rows came from {} and come from {}", shown(from), shown(&is.from)));
    }
    if changes.is_empty() { None } else { Some(changes.join(", ")) }
}
