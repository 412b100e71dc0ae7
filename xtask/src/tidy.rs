//! The rules of the tree that no compiler checks. Each says why it exists when it is broken.

use std::fs;
use std::path::{Path, PathBuf};

use crate::planted;
use crate::shell::{Outcome, root};

/// A file longer than this is redesigned, not lengthened.
const LINES_MAX: usize = 800;

/// Crates whose results depend on their arguments alone.
const PURE: [&str; 4] = ["model", "schema", "decode", "engine"];

/// What a pure crate must not depend on.
const IMPURE_DEPENDENCIES: [&str; 7] = ["tokio", "tracing", "rand", "ulid", "rusqlite", "hyper", "axum"];

/// Only these crates may name the dependency.
const ONLY_IN: [(&str, &[&str]); 3] = [
    ("datafusion", &["sql", "query", "store"]),
    ("rdkafka", &["collect", "deliver", "kafka", "kafka-broker", "workers"]),
    ("rocksdb", &["state"]),
];

/// What only files may name whose path says so: the dependency that a crate has for one of its parts.
const ONLY_IN_FILES_OF: [(&str, &str); 1] = [("rdkafka", "kafka")];

/// A file name that says nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "manager", "misc"];

/// Checks every rule and prints what breaks one.
pub(crate) fn run() -> Outcome {
    let problems = check(&root());
    if problems.is_empty() {
        eprintln!("tidy: the tree is in order");
        return Ok(());
    }
    Err(format!("tidy: {} problems\n{}", problems.len(), problems.join("\n")))
}

/// Everything in the workspace at `root` that breaks a rule, as `path: what, and why it matters`.
fn check(root: &Path) -> Vec<String> {
    let (mut problems, mut texts) = (Vec::new(), Vec::new());
    let folders = ["crates", "bench", "xtask"];
    for file in folders.iter().flat_map(|folder| sources(&root.join(folder))) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let shown = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        problems.extend(check_source(&shown, &text).into_iter().map(|problem| format!("{shown}: {problem}")));
        if shown.starts_with("crates/") {
            texts.push(text);
        }
    }
    problems.extend(planted::check(root, &texts));
    for (name, manifest) in manifests(root) {
        problems.extend(
            check_manifest(&name, &manifest).into_iter().map(|problem| format!("crates/{name}/Cargo.toml: {problem}")),
        );
    }
    problems
}

fn check_source(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut must = |holds: bool, problem: String| {
        if !holds {
            problems.push(problem);
        }
    };
    let stem = Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let is_test = path.contains("/tests") || stem == "tests";
    let is_example = path.contains("/examples/");
    let crate_name = path.strip_prefix("crates/").and_then(|rest| rest.split('/').next()).unwrap_or("xtask");

    must(
        is_test || text.starts_with("//!"),
        "begins without `//!`: one sentence of what the file is, then what it refuses to do".into(),
    );
    must(
        text.lines().count() <= LINES_MAX || is_test,
        format!("longer than {LINES_MAX} lines: would two files read better?"),
    );
    must(!EMPTY_NAMES.contains(&stem.as_str()), format!("`{stem}` says nothing about what is inside"));
    for (name, word) in ONLY_IN_FILES_OF {
        let names = text.lines().any(|line| line.contains(&format!("{name}::")));
        must(!names || path.contains(word) || crate_name == "xtask", format!("only files of {word} may name {name}"));
    }
    for (number, line) in text.lines().enumerate() {
        let at = number + 1;
        if let Some(rest) = line.split("TODO").nth(1).filter(|_| crate_name != "xtask") {
            must(rest.starts_with("(#"), format!("line {at}: a TODO carries its issue number: TODO(#12)"));
        }
        if PURE.contains(&crate_name) && !is_test && !is_example && path != "crates/model/src/clock.rs" {
            let reads_clock = line.contains("SystemTime::now") || line.contains("Instant::now");
            must(!reads_clock, format!("line {at}: a pure crate is told the time, it never asks"));
        }
        if !["weir", "faults", "xtask", "kafka-broker"].contains(&crate_name)
            && !is_test
            && !path.ends_with("build.rs")
            && !is_example
        {
            let reads_environment = line.contains("env::var") || line.contains("env::args");
            must(!reads_environment, format!("line {at}: only the binary reads the environment"));
        }
    }
    problems
}

fn check_manifest(name: &str, manifest: &str) -> Vec<String> {
    // Features may be called like what they turn on.
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap_or_default();
    let dependencies: Vec<&str> = dependencies
        .split("[dev-dependencies]")
        .next()
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .collect();
    let mut problems = Vec::new();
    for dependency in IMPURE_DEPENDENCIES {
        if PURE.contains(&name) && dependencies.contains(&dependency) {
            problems.push(format!("`{name}` is pure and must not depend on {dependency}"));
        }
    }
    for (dependency, allowed) in ONLY_IN {
        if dependencies.contains(&dependency) && !allowed.contains(&name) {
            problems.push(format!("only {} may depend on {dependency}", allowed.join(", ")));
        }
    }
    if !manifest.contains("[lints]\nworkspace = true") {
        problems.push("does not take the workspace's lints".into());
    }
    problems
}

fn manifests(root: &Path) -> Vec<(String, String)> {
    let Ok(crates) = fs::read_dir(root.join("crates")) else { return Vec::new() };
    let mut found: Vec<_> = crates
        .flatten()
        .filter_map(|entry| {
            let text = fs::read_to_string(entry.path().join("Cargo.toml")).ok()?;
            Some((entry.file_name().to_string_lossy().into_owned(), text))
        })
        .collect();
    found.sort();
    found
}

/// All Rust files under `folder`, in a stable order.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let problems = check(&root());
        assert!(problems.is_empty(), "{}", problems.join("\n"));
    }

    #[test]
    fn each_rule_finds_what_breaks_it() {
        let source = |path: &str, text: &str| check_source(path, text).join("; ");
        assert!(source("crates/engine/src/pane.rs", "fn main() {}").contains("begins without"));
        assert!(source("crates/engine/src/pane.rs", "//! x\nlet t = Instant::now();").contains("told the time"));
        assert!(source("crates/store/src/utils.rs", "//! x").contains("says nothing"));
        assert!(source("crates/store/src/a.rs", "//! x\n// TODO later").contains("issue number"));
        assert!(source("crates/collect/src/file.rs", "//! x\nuse rdkafka::Offset;").contains("only files of kafka"));
        assert!(source("crates/collect/src/kafka/mod.rs", "//! x\nuse rdkafka::Offset;").is_empty());
        assert!(source("crates/store/src/a.rs", "//! x\nstd::env::var(\"A\")").contains("environment"));
        assert!(source("crates/store/src/a.rs", &format!("//! x\n{}", "x\n".repeat(LINES_MAX))).contains("longer"));
        let manifest =
            "[lints]\nworkspace = true\n[dependencies]\ntokio.workspace = true\ndatafusion.workspace = true\n";
        let problems = check_manifest("engine", manifest);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(check_manifest("weir", "[dependencies]\n").len(), 1);
    }
}
