//! Whether what is chosen about tables makes sense. Refuses to know which columns the data will have.

use std::collections::{BTreeMap, BTreeSet};

use weir_deliver::{OutputConfig, RollupConfig, SortConfig, TableOutput};
use weir_model::DurationText;

use super::Problem;
use crate::config::PipelineConfig;

const DAY_US: i64 = 86_400_000_000;
/// The most columns that rows are sorted by.
const SORT_COLUMNS_MAX: usize = 8;
/// The most values of which it is said how long their rows stay.
const TTL_VALUES_MAX: usize = 64;
/// The most rollups of a table.
const ROLLUPS_MAX: usize = 16;
/// The most tiers of a table.
const TIERS_MAX: usize = 4;
/// The most columns by which a rollup tells rows apart.
const ROLLUP_BY_MAX: usize = 4;
/// The most columns whose numbers it sums up.
const ROLLUP_OF_MAX: usize = 8;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    let mut known: BTreeMap<&str, (String, &TableOutput)> = BTreeMap::new();
    for (path, output) in config.all_outputs() {
        let OutputConfig::Table(table) = output else { continue };
        let path = format!("{path}.table");
        of_one(&path, table, problems);
        // Who chooses nothing agrees with everybody.
        let (settings, nothing) = (table.settings(), TableOutput::named(&table.name).settings());
        match known.get(table.name.as_str()) {
            _ if settings == nothing => {}
            Some((first, other)) if other.settings() != settings => {
                let message = format!("the table `{}` is kept differently by {first}", table.name);
                problems.push(Problem::new(&path, message).hint("say the same for both, or for one of them only"));
            }
            Some(_) => {}
            None => drop(known.insert(&table.name, (path, table))),
        }
    }
}

fn of_one(path: &str, table: &TableOutput, problems: &mut Vec<Problem>) {
    if let Some(ttl) = table.ttl {
        length(&format!("{path}.ttl"), ttl, problems);
    }
    if let Some(by) = &table.ttl_by {
        let path = format!("{path}.ttl_by");
        column(&format!("{path}.column"), &by.column, problems);
        let values = format!("{path}.values");
        if by.values.is_empty() {
            problems.push(Problem::new(&values, "there is no value: leave `ttl_by` out").may_follow());
        }
        at_most(&values, by.values.len(), TTL_VALUES_MAX, "values", problems);
        let mut folded = BTreeMap::new();
        for (value, ttl) in &by.values {
            let path = format!("{values}.{}", super::columns::quoted(value));
            length(&path, *ttl, problems);
            if let Some(other) = folded.insert(value.to_ascii_lowercase(), value) {
                problems.push(Problem::new(
                    path,
                    format!("`{value}` and `{other}` are the same value: case does not matter"),
                ));
            }
        }
    }
    if let SortConfig::Columns(columns) = &table.sort {
        let path = format!("{path}.sort.columns");
        if columns.is_empty() {
            problems.push(
                Problem::new(&path, "there is no column to sort by").hint("`sort: arrival` leaves rows as they came"),
            );
        }
        at_most(&path, columns.len(), SORT_COLUMNS_MAX, "columns", problems);
        distinct(&path, columns, problems);
    }
    at_most(&format!("{path}.tiers"), table.tiers.len(), TIERS_MAX, "tiers", problems);
    for (index, tier) in table.tiers.iter().enumerate() {
        let path = format!("{path}.tiers[{index}]");
        if tier.after.delta().micros() <= 0 {
            let problem = Problem::new(format!("{path}.after"), "rows are never that old when they come");
            problems.push(problem.hint("such as 12h or 30d"));
        }
        if let Some(first) = table.tiers[..index].iter().position(|other| other.after >= tier.after) {
            let message = format!("tiers[{first}] is for rows that are as old or older");
            problems.push(Problem::new(format!("{path}.after"), message).hint("the youngest first"));
        }
    }
    at_most(&format!("{path}.rollups"), table.rollups.len(), ROLLUPS_MAX, "rollups", problems);
    for (index, rollup) in table.rollups.iter().enumerate() {
        of_rollup(&format!("{path}.rollups[{index}]"), rollup, problems);
        let same = |other: &RollupConfig| other.every == rollup.every && other.by == rollup.by;
        if let Some(first) = table.rollups[..index].iter().position(same) {
            let message = format!("rollups[{first}] has the same spans and columns");
            problems.push(Problem::new(format!("{path}.rollups[{index}]"), message).hint("put their `of` together"));
        }
    }
}

fn of_rollup(path: &str, rollup: &RollupConfig, problems: &mut Vec<Problem>) {
    let every = rollup.every.delta().micros();
    if every <= 0 || DAY_US % every != 0 {
        let message = format!("spans of {} do not divide a day", rollup.every);
        let problem = Problem::new(format!("{path}.every"), message);
        problems.push(problem.hint("such as 10s, 1m, 15m, 1h or 1d: questions are about such spans"));
    }
    let (by, of) = (format!("{path}.by"), format!("{path}.of"));
    at_most(&by, rollup.by.len(), ROLLUP_BY_MAX, "columns", problems);
    at_most(&of, rollup.of.len(), ROLLUP_OF_MAX, "columns", problems);
    distinct(&by, &rollup.by, problems);
    distinct(&of, &rollup.of, problems);
}

fn length(path: &str, ttl: DurationText, problems: &mut Vec<Problem>) {
    if ttl.delta().micros() <= 0 {
        problems.push(
            Problem::new(path, format!("rows that stay for {ttl} would never be there")).hint("such as 12h or 30d"),
        );
    }
}

fn at_most(path: &str, count: usize, most: usize, what: &str, problems: &mut Vec<Problem>) {
    if count > most {
        problems.push(Problem::new(path, format!("{count} {what} are more than {most}")));
    }
}

fn distinct(path: &str, columns: &[String], problems: &mut Vec<Problem>) {
    let mut seen = BTreeSet::new();
    for (index, name) in columns.iter().enumerate() {
        let path = format!("{path}[{index}]");
        column(&path, name, problems);
        if !seen.insert(name) {
            problems.push(Problem::new(path, format!("`{name}` is given twice")));
        }
    }
}

fn column(path: &str, name: &str, problems: &mut Vec<Problem>) {
    if name.trim().is_empty() {
        problems.push(Problem::new(path, "the name of a column is empty"));
    }
}
