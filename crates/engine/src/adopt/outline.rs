//! What a snapshot says of the plan that made it: enough to tell later which state fits another plan, and what of a step
//! was changed when it does not. Holds no state.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::plan::{AggregatePlan, EmitMode, OperatorPlan, Plan, RowsPlan, Upstream, WindowKind, WindowPlan};

/// A plan in outline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outline {
    pub(crate) sources: Vec<String>,
    /// As [`Plan::domains`] gives them.
    pub(crate) domains: Vec<Vec<usize>>,
    pub(crate) nodes: Vec<NodeOutline>,
    pub(crate) outputs: Vec<String>,
}

/// A step in outline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeOutline {
    pub(crate) name: String,
    pub(crate) kind: String,
    /// What its state depends on: what it is called, and what it is. Empty where a step remembers nothing that matters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<(String, String)>,
    /// Where its rows come from, by port: sources, and steps that remember something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) from: Vec<BTreeSet<String>>,
}

impl NodeOutline {
    /// Whether it remembers rows, or what it has seen of them.
    pub(crate) fn remembers(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Whether the state of one is the state of the other, if they take the same rows.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        (&self.kind, &self.parts) == (&other.kind, &other.parts)
    }
}

impl Outline {
    pub(crate) fn of(plan: &Plan) -> Self {
        let holds = plan.holds();
        let node = |index: usize| {
            let node = &plan.nodes[index];
            let mut parts = parts_of(&node.operator);
            if !parts.is_empty() && holds[index] > 0 {
                parts.push(("wait for the join before it".to_owned(), format!("{} us", holds[index])));
            }
            let from = if parts.is_empty() { Vec::new() } else { node.inputs() };
            let from = from.into_iter().map(|from| {
                let mut names = BTreeSet::new();
                origins(plan, from, &mut names);
                names
            });
            NodeOutline {
                name: node.name.clone(),
                kind: kind_of(&node.operator).to_owned(),
                parts,
                from: from.collect(),
            }
        };
        Self {
            sources: plan.sources.clone(),
            domains: plan.domains().0,
            nodes: (0..plan.nodes.len()).map(node).collect(),
            outputs: plan.outputs.iter().map(|output| output.name.clone()).collect(),
        }
    }
}

/// The sources, and the steps that remember something, whose rows come from `from` without another one in between.
fn origins(plan: &Plan, from: Upstream, names: &mut BTreeSet<String>) {
    match from {
        Upstream::AllSources => names.extend(plan.sources.iter().cloned()),
        Upstream::Source(index) => names.extend([plan.sources[index].clone()]),
        Upstream::Node(index) => {
            let node = &plan.nodes[index];
            if parts_of(&node.operator).is_empty() {
                node.inputs().into_iter().for_each(|from| origins(plan, from, names));
            } else {
                names.insert(node.name.clone());
            }
        }
    }
}

fn kind_of(operator: &OperatorPlan) -> &'static str {
    match operator {
        OperatorPlan::Where(_) => "where",
        OperatorPlan::Select(_) => "select",
        OperatorPlan::Rows(rows) => rows.kind(),
        OperatorPlan::Window(_) => "window",
        OperatorPlan::Deduplicate(_) => "deduplicate",
        OperatorPlan::Enrich(_) => "enrich",
        OperatorPlan::Join(_) => "join",
    }
}

fn parts_of(operator: &OperatorPlan) -> Vec<(String, String)> {
    let part = |name: &str, text: String| (name.to_owned(), text);
    match operator {
        // The version of its table is told anew at every start.
        OperatorPlan::Where(_) | OperatorPlan::Select(_) | OperatorPlan::Enrich(_) => Vec::new(),
        OperatorPlan::Rows(RowsPlan::JoinLines(plan)) => vec![part("column", plan.column.clone())],
        OperatorPlan::Rows(RowsPlan::RateLimit(plan)) => vec![part("limit", format!("{plan:?}"))],
        OperatorPlan::Rows(_) => Vec::new(),
        OperatorPlan::Join(join) => {
            vec![part("keys", format!("{:?}", join.on)), part("span", format!("{:?}", join.span))]
        }
        OperatorPlan::Deduplicate(plan) => vec![part("keys", listed(&plan.by)), part("span", plan.within.to_string())],
        OperatorPlan::Window(window) => window_parts(window),
    }
}

fn window_parts(window: &WindowPlan) -> Vec<(String, String)> {
    let spans = match window.window {
        WindowKind::Tumbling { size, offset } => format!("tumbling {size}, offset {offset}"),
        WindowKind::Sliding { size, slide, offset } => format!("sliding {size} every {slide}, offset {offset}"),
        WindowKind::Calendar { unit, zone, offset } => format!("calendar {unit:?} in {zone}, offset {offset}"),
        WindowKind::Global(_) => "global".to_owned(),
        WindowKind::Session { gap } => format!("sessions with a gap of {gap}"),
    };
    let aggregate = |plan: &AggregatePlan| {
        let AggregatePlan { name, function, argument, filter } = plan;
        let argument = argument.as_deref().unwrap_or("*");
        let filter = filter.as_ref().map(|filter| format!(" where {filter}")).unwrap_or_default();
        format!("{name}: {function:?} of {argument}{filter}")
    };
    let computed: Vec<String> = window.compute.iter().map(aggregate).collect();
    let mut parts = vec![
        ("window".to_owned(), spans),
        ("key columns".to_owned(), listed(&window.by)),
        ("aggregates".to_owned(), listed(&computed)),
    ];
    if window.emit.mode == EmitMode::Discarding {
        parts.push(("emit mode".to_owned(), "discarding".to_owned()));
    }
    parts
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
