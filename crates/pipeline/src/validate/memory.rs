//! Steps that remember rows or look them up: keys that are there, and for how long.

use std::collections::BTreeSet;

use weir_model::DurationText;

use super::Problem;
use super::times::{YEAR, at_most, between};
use crate::config::{
    DeduplicateConfig, EnrichConfig, HttpLookup, HttpTable, JoinConfig, JoinSpan, LookupFile, Named, PipelineConfig,
    StateBackend, StepKind,
};
use crate::feed::Feed;

/// A request does not take longer than this.
const TIMEOUT_MAX: DurationText = DurationText::secs(300);
/// A breaker does not stay open for longer than this the first time.
const OPEN_FOR_MAX: DurationText = DurationText::secs(60);
/// A row is not larger than this.
const ROW_BYTES_MAX: u64 = 16 << 20;
/// No more rows are asked for at a time.
const CONCURRENCY_MAX: u64 = 256;
/// No more answers are remembered.
const ENTRIES_MAX: u64 = 10_000_000;
/// A table is not larger than this.
const TABLE_BYTES_MAX: u64 = 256 << 20;
/// A file or an URL is not looked at more often than this.
const REFRESH_MIN: DurationText = DurationText::millis(100);

/// A join numbers the rows that it holds with 28 bits.
const JOIN_ROWS_MAX: u64 = 1 << 28;

/// Less memory for state does not hold what one batch may bring.
const STATE_BYTES_MIN: u64 = 1 << 20;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    if let Some(memory) = config.state.memory.filter(|memory| memory.0 < STATE_BYTES_MIN) {
        let problem = Problem::new("state.memory", format!("{memory} is too little: at least 1MiB"));
        problems.push(problem.hint("how much of the state is held in memory; the default is 1GiB"));
    }
    if config.state.backend == StateBackend::Rocksdb && config.workers.is_some() {
        let problem = Problem::new("state.backend", "workers have keys in the files of their snapshots alone");
        problems.push(problem.hint("leave `backend` out: partitions move between workers, and keys with them"));
    }
    for (index, step) in config.steps.iter().enumerate() {
        if let StepKind::Deduplicate(deduplicate) = &step.kind {
            let path = format!("steps[{index}].deduplicate");
            needs_time(config, &path, "deduplicate", problems);
            check_deduplicate(&path, deduplicate, problems);
        }
        if let StepKind::Enrich(enrich) = &step.kind {
            let path = format!("steps[{index}].enrich");
            check_enrich(&path, enrich, problems);
            let of_source = matches!(config.feed_of_step(index), None | Some(Feed::Sources | Feed::Source(_)));
            if let (LookupFile::HttpLookup(_), false) = (&enrich.table.file, of_source) {
                let problem = Problem::new(
                    format!("{path}.table.http_lookup"),
                    "rows are asked for when records are read: the step must be the first one after its source",
                );
                problems.push(problem.hint("put it first, or take the whole table with `http`"));
            }
        }
        if let StepKind::Join(join) = &step.kind {
            let path = format!("steps[{index}].join");
            needs_time(config, &path, "a join", problems);
            if config.feed_of_step(index) == Some(Feed::Sources) && config.sources.len() > 1 {
                let problem =
                    Problem::new(&path, "the left rows of a join are of one source or step, not of all sources");
                problems.push(problem.hint(format!("say `from` which, beside `join`: {}", names(config, &join.with))));
            }
            check_join(&path, join, problems);
        }
    }
}

fn needs_time(config: &PipelineConfig, path: &str, what: &str, problems: &mut Vec<Problem>) {
    if config.event_time().is_none() {
        let problem = Problem::new(path, format!("{what} needs event time, and the pipeline says nothing about it"));
        problems.push(problem.hint("add `time: { field: ts }` with the name of your time field").may_follow());
    }
}

fn check_deduplicate(path: &str, config: &DeduplicateConfig, problems: &mut Vec<Problem>) {
    if config.by.is_empty() {
        let problem = Problem::new(format!("{path}.by"), "there is no column by which rows could be equal");
        problems.push(problem.hint("such as `by: [event_id]`"));
    }
    check_list(&format!("{path}.by"), &config.by, problems);
    between(&format!("{path}.within"), config.within, DurationText::millis(1), YEAR, problems);
    if config.keys_max == 0 {
        problems.push(Problem::new(format!("{path}.keys_max"), "0 keys are too few: at least 1"));
    }
}

fn check_enrich(path: &str, config: &EnrichConfig, problems: &mut Vec<Problem>) {
    let (key, file) = config.table.path();
    match &config.table.file {
        LookupFile::Http(http) => check_http(&format!("{path}.table.http"), http, problems),
        LookupFile::HttpLookup(http) => check_lookup(&format!("{path}.table.http_lookup"), http, &config.on, problems),
        LookupFile::Csv(_) | LookupFile::Ndjson(_) | LookupFile::Parquet(_) if file.trim().is_empty() => {
            problems.push(Problem::new(format!("{path}.table.{key}"), "the path of the table is empty"));
        }
        LookupFile::Csv(_) | LookupFile::Ndjson(_) | LookupFile::Parquet(_) => {}
    }
    between(&format!("{path}.table.refresh"), config.table.refresh, REFRESH_MIN, YEAR, problems);
    if config.on.is_empty() {
        let problem = Problem::new(format!("{path}.on"), "there is nothing to look rows up by");
        problems.push(problem.hint("such as `on: { app_id: id }`: a column of the row, then one of the table"));
    }
    check_pairs(&format!("{path}.on"), &config.on, problems);
    if config.take.is_empty() {
        let problem = Problem::new(format!("{path}.take"), "no column is taken from the table");
        problems.push(problem.hint("such as `take: [team, owner]`"));
    }
    check_list(&format!("{path}.take"), &config.take, problems);
}

fn check_http(path: &str, http: &HttpTable, problems: &mut Vec<Problem>) {
    check_url(&format!("{path}.url"), &http.url, problems);
    between(&format!("{path}.timeout"), http.timeout, DurationText::millis(1), TIMEOUT_MAX, problems);
    if !(1..=TABLE_BYTES_MAX).contains(&http.body_max.0) {
        let message = format!("{} bytes are not possible: from 1 to {TABLE_BYTES_MAX}", http.body_max.0);
        problems.push(Problem::new(format!("{path}.body_max"), message));
    }
}

fn check_lookup(path: &str, http: &HttpLookup, on: &Named, problems: &mut Vec<Problem>) {
    let url = format!("{path}.url");
    check_url(&url, &http.url, problems);
    for (_, column) in on.iter() {
        if !http.url.contains(&format!("{{{column}}}")) {
            let problem =
                Problem::new(&url, format!("the URL does not say which row: there is no `{{{column}}}` in it"));
            problems.push(problem.hint(format!("such as `https://users.example/v1/users/{{{column}}}`")));
        }
    }
    let host = http.url.split("//").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
    if host.is_some_and(|host| host.contains('{')) {
        problems.push(Problem::new(&url, "a value cannot stand for the host: which one is asked is said here alone"));
    }
    between(&format!("{path}.timeout"), http.timeout, DurationText::millis(1), TIMEOUT_MAX, problems);
    between(&format!("{path}.cache.ttl"), http.cache.ttl, DurationText::millis(1), YEAR, problems);
    between(&format!("{path}.cache.negative_ttl"), http.cache.negative_ttl, DurationText::millis(1), YEAR, problems);
    between(
        &format!("{path}.breaker.open_for"),
        http.breaker.open_for,
        DurationText::millis(1),
        OPEN_FOR_MAX,
        problems,
    );
    for (key, value, max) in [
        ("body_max", http.body_max.0, ROW_BYTES_MAX),
        ("concurrency", u64::from(http.concurrency), CONCURRENCY_MAX),
        ("cache.entries_max", http.cache.entries_max, ENTRIES_MAX),
        ("breaker.failures", u64::from(http.breaker.failures), u64::from(u32::MAX)),
    ] {
        if !(1..=max).contains(&value) {
            problems.push(Problem::new(format!("{path}.{key}"), format!("{value} is not possible: from 1 to {max}")));
        }
    }
}

fn check_url(path: &str, url: &str, problems: &mut Vec<Problem>) {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    if rest.is_none_or(|rest| rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace)) {
        let problem = Problem::new(path, "this is no URL that can be asked");
        problems.push(problem.hint("such as `https://teams.example/v1/teams`"));
    }
}

/// The sources besides one.
fn names(config: &PipelineConfig, besides: &str) -> String {
    config.sources.keys().map(String::as_str).filter(|name| *name != besides).collect::<Vec<_>>().join(" or ")
}

fn check_join(path: &str, config: &JoinConfig, problems: &mut Vec<Problem>) {
    if config.on.is_empty() {
        let problem = Problem::new(format!("{path}.on"), "there is nothing that must be equal");
        problems
            .push(problem.hint("such as `on: { order_id: order_id }`: a column of the left row, then of the right"));
    }
    check_pairs(&format!("{path}.on"), &config.on, problems);
    match &config.span {
        JoinSpan::Within(within) => at_most(&format!("{path}.within"), *within, YEAR, problems),
        JoinSpan::Between(span) => {
            at_most(&format!("{path}.between.before"), span.before, YEAR, problems);
            at_most(&format!("{path}.between.after"), span.after, YEAR, problems);
        }
        JoinSpan::Tumbling(size) => {
            between(&format!("{path}.tumbling"), *size, DurationText::millis(1), YEAR, problems);
        }
        JoinSpan::AsOf(table) => {
            if let Some(ttl) = table.ttl {
                between(&format!("{path}.as_of.ttl"), ttl, DurationText::millis(1), YEAR, problems);
            }
            if table.deleted.as_ref().is_some_and(|deleted| deleted.trim().is_empty()) {
                let problem = Problem::new(format!("{path}.as_of.deleted"), "the condition is empty");
                problems.push(problem.hint("such as `op = 'd'` or `price IS NULL`, or leave it out"));
            }
        }
    }
    at_most(&format!("{path}.lateness"), config.lateness, YEAR, problems);
    if config.prefix.as_ref().is_some_and(|prefix| prefix.trim().is_empty()) {
        let problem =
            Problem::new(format!("{path}.prefix"), "the prefix is empty: right columns could be called like left ones");
        problems.push(problem.hint("leave it out for the name of the right stream and `_`"));
    }
    if config.rows_max == 0 {
        problems.push(Problem::new(format!("{path}.rows_max"), "0 rows are too few: at least 1"));
    }
    if config.rows_max > JOIN_ROWS_MAX {
        let message = format!("{} rows are too many: at most {JOIN_ROWS_MAX}", config.rows_max);
        problems.push(Problem::new(format!("{path}.rows_max"), message));
    }
}

/// Names that are there, each once.
fn check_list(path: &str, names: &[String], problems: &mut Vec<Problem>) {
    let mut known = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if name.trim().is_empty() {
            problems.push(Problem::new(path, "the name of a column is empty"));
        } else if !known.insert(name) {
            problems.push(Problem::new(path, format!("`{name}` is given twice")));
        }
    }
}

/// Columns on both sides of a comparison.
fn check_pairs(path: &str, pairs: &Named, problems: &mut Vec<Problem>) {
    for (left, right) in pairs.iter() {
        if left.trim().is_empty() || right.trim().is_empty() {
            problems.push(Problem::new(path, format!("`{left}: {right}` compares with nothing")));
        }
    }
}
