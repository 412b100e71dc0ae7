//! The lines of a story that are about steps which remember rows or look them up.

use weir_engine::{DeduplicatePlan, EnrichPlan, JoinKind, JoinPlan, JoinSpan, LateRows, Missing, Plan, Upstream};

use crate::Line;
use crate::story::{find, named, option};

/// `on key=id take team,owner missing=filter`.
pub(crate) fn enrich(text: &str) -> Result<EnrichPlan, String> {
    let word = |name: &str| {
        let rest = text.split_once(name).map(|(_, rest)| rest.split(' ').next().unwrap_or(rest));
        rest.ok_or_else(|| format!("enrich needs {name}"))
    };
    Ok(EnrichPlan {
        on: word("on ")?.split(',').map(named).collect::<Result<_, _>>()?,
        take: word("take ")?.split(',').map(str::to_owned).collect(),
        missing: match find(text, "missing") {
            Some("filter") => Missing::Filter,
            Some("dead_letter") => Missing::DeadLetter,
            _ => Missing::Keep,
        },
    })
}

/// `with right on key=key within=5s kind=left lateness=1s rows=10`, `before=` and `after=`, or `tumbling=`, or `as_of` with
/// `ttl=` and at the end `deleted CONDITION`.
pub(crate) fn join(text: &str, plan: &Plan) -> Result<JoinPlan, String> {
    let (text, deleted) =
        text.split_once(" deleted ").map_or((text, None), |(text, rest)| (text, Some(rest.to_owned())));
    let word = |name: &str| {
        let rest = text.split_once(name).map(|(_, rest)| rest.split(' ').next().unwrap_or(rest));
        rest.ok_or_else(|| format!("a join needs {name}"))
    };
    let with = word("with ")?;
    let source = plan.sources.iter().position(|source| source == with).map(Upstream::Source);
    let node = plan.nodes.iter().position(|node| node.name == with).map(Upstream::Node);
    let within = option(text, "within")?.unwrap_or_default();
    let rows_max = find(text, "rows").map(str::parse).transpose().map_err(|_| "rows is no number".to_owned())?;
    Ok(JoinPlan {
        with: source.or(node).ok_or_else(|| format!("there is no source or step {with}"))?,
        prefix: format!("{with}_"),
        on: word("on ")?.split(',').map(named).collect::<Result<_, _>>()?,
        span: match option(text, "tumbling")? {
            Some(size) => JoinSpan::Tumbling { size, offset: option(text, "offset")?.unwrap_or_default() },
            None if text.split(' ').any(|word| word == "as_of") => {
                JoinSpan::AsOf { ttl: option(text, "ttl")?, deleted }
            }
            None => JoinSpan::Within {
                before: option(text, "before")?.unwrap_or(within),
                after: option(text, "after")?.unwrap_or(within),
            },
        },
        kind: if find(text, "kind") == Some("left") { JoinKind::Left } else { JoinKind::Inner },
        lateness: option(text, "lateness")?.unwrap_or_default(),
        rows_max: rows_max.unwrap_or(1_000),
        known: Default::default(),
    })
}

/// `by key,name within=10s late=pass keys=5`.
pub(crate) fn deduplicate(text: &str) -> Result<DeduplicatePlan, String> {
    let by = text.strip_prefix("by ").and_then(|rest| rest.split(' ').next()).ok_or("deduplicate needs by")?;
    let keys_max = find(text, "keys").map(str::parse).transpose().map_err(|_| "keys is no number".to_owned())?;
    Ok(DeduplicatePlan {
        by: by.split(',').map(str::to_owned).collect(),
        within: option(text, "within")?.ok_or("deduplicate needs within")?,
        late: if find(text, "late") == Some("pass") { LateRows::Pass } else { LateRows::Aside },
        keys_max: keys_max.unwrap_or(1_000),
    })
}

/// `0: id team | a red | b blue`.
pub(crate) fn table(text: &str) -> Result<Line, String> {
    let (node, rest) = text.split_once(':').ok_or("a table is `table node: columns | row | row`")?;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut lines = rest.split('|');
    let columns = words(lines.next().unwrap_or_default());
    let row = |text: &str| words(text).into_iter().map(|word| Some(word).filter(|word| word != "-")).collect();
    let rows: Vec<Vec<Option<String>>> = lines.map(row).collect();
    match rows.iter().find(|row| row.len() != columns.len()) {
        Some(row) => Err(format!("{row:?} should have {} values", columns.len())),
        None => Ok(Line::Table { node: node.parse().map_err(|_| format!("{node} is no number"))?, columns, rows }),
    }
}
