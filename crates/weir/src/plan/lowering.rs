//! From steps to nodes: most are one, a route is a `where` per branch. Remembers where in the file each node is from.

use weir_engine::{Node, OperatorPlan, Upstream};
use weir_pipeline::{Feed, MatchConfig, PipelineConfig, RouteConfig, StepKind};

use super::{Problem, node};

/// The nodes of a pipeline.
pub(super) struct Lowered {
    pub(super) nodes: Vec<Node>,
    /// Where each of them is from.
    pub(super) places: Vec<Place>,
    /// Where each step's rows are taken from.
    ends: Vec<Ends>,
}

/// Where a node is from.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The step.
    pub(super) step: usize,
    /// The key of its condition, if it is a branch of a route.
    branch: Option<String>,
    /// Whether it only repeats what another node says, so that nothing can be wrong with it alone.
    pub(super) repeats: bool,
}

impl Place {
    /// The key of the condition of a `where`.
    pub(super) fn condition(&self) -> String {
        self.branch.clone().unwrap_or_else(|| format!("steps[{}].where", self.step))
    }
}

/// Where a step's rows are taken from.
enum Ends {
    Step(Upstream),
    Branches(Vec<Upstream>),
}

impl Lowered {
    /// The nodes of `config`, or everything that is wrong with its steps.
    pub(super) fn of(config: &PipelineConfig) -> Result<Self, Vec<Problem>> {
        let mut steps = Self { nodes: Vec::new(), places: Vec::new(), ends: Vec::new() };
        let mut problems = Vec::new();
        for (index, step) in config.steps.iter().enumerate() {
            let from = steps.upstream(config, config.feed_of_step(index));
            let ends = match &step.kind {
                StepKind::Route(route) => Ends::Branches(steps.route(index, route, from)),
                _ => match node(index, step, from, || {
                    steps.upstream(config, config.feed_of_join(index).and_then(Result::ok))
                }) {
                    Ok(node) => Ends::Step(steps.push(node, Place { step: index, branch: None, repeats: false })),
                    Err(found) => {
                        problems.extend(found);
                        Ends::Step(from)
                    }
                },
            };
            steps.ends.push(ends);
        }
        if problems.is_empty() { Ok(steps) } else { Err(problems) }
    }

    /// Where a step or an output takes its rows from; `weir-pipeline` has checked that it exists.
    pub(super) fn upstream(&self, config: &PipelineConfig, feed: Option<Feed<'_>>) -> Upstream {
        let why = "the pipeline was validated";
        match feed.expect("`from` names a source, an earlier step or a branch: the pipeline was validated") {
            Feed::Sources => Upstream::AllSources,
            Feed::Source(name) => Upstream::Source(config.sources.keys().position(|source| source == name).expect(why)),
            Feed::Step(index) => match &self.ends[index] {
                Ends::Step(upstream) => *upstream,
                Ends::Branches(_) => unreachable!("nobody takes from a route as a whole: {why}"),
            },
            Feed::Branch(index, branch) => match &self.ends[index] {
                Ends::Step(_) => unreachable!("only a route has branches: {why}"),
                Ends::Branches(branches) => branches[branch],
            },
        }
    }

    fn push(&mut self, node: Node, place: Place) -> Upstream {
        self.nodes.push(node);
        self.places.push(place);
        Upstream::Node(self.nodes.len() - 1)
    }

    /// A `where` for each branch, and one for the rows that go past it where somebody takes these.
    fn route(&mut self, step: usize, route: &RouteConfig, from: Upstream) -> Vec<Upstream> {
        let (mut past, mut branches) = (from, Vec::new());
        let has_else = route.branches.iter().any(|(_, condition)| RouteConfig::is_else(condition));
        for (index, (name, condition)) in route.branches.iter().enumerate() {
            if RouteConfig::is_else(condition) {
                branches.push(past);
                continue;
            }
            let offered = match route.matching {
                MatchConfig::First => past,
                MatchConfig::All => from,
            };
            let branch = Some(format!("steps[{step}].route.{name}"));
            let place = Place { step, branch, repeats: false };
            let operator = OperatorPlan::Where(condition.to_owned());
            branches.push(self.push(Node { name: name.to_owned(), from: offered, operator }, place.clone()));
            let last = index + 1 == route.branches.len();
            if !last && (has_else || route.matching == MatchConfig::First) {
                let operator = OperatorPlan::Where(format!("({condition}) IS NOT TRUE"));
                let node = Node { name: format!("past-{name}"), from: past, operator };
                past = self.push(node, Place { repeats: true, ..place });
            }
        }
        branches
    }
}
