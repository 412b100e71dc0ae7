//! The list of planted bugs in docs, compared with the code: every bug is planted somewhere and described there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where the bugs are named.
const BUGS: &str = "crates/model/src/planted.rs";
/// Where people read of them.
const LIST: &str = "docs/planted-bugs.md";

/// What of the list and the code does not agree.
pub(crate) fn check(root: &Path, sources: &[String]) -> Vec<String> {
    let Ok(text) = fs::read_to_string(root.join(BUGS)) else { return Vec::new() };
    let list = fs::read_to_string(root.join(LIST)).unwrap_or_default();
    let planted: BTreeSet<&str> = sources.iter().flat_map(|source| names(source)).collect();
    let mut problems = Vec::new();
    for (bug, name, what) in bugs(&text) {
        if !list.contains(&format!("| `{name}` | {what} |")) {
            problems.push(format!("{LIST}: lacks the line `| `{name}` | {what} |`"));
        }
        if !planted.contains(bug) {
            problems.push(format!("{BUGS}: {bug} is planted nowhere"));
        }
    }
    problems
}

/// The bugs that are planted in a source file.
fn names(source: &str) -> impl Iterator<Item = &str> {
    source.split("planted!(").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Of each line `Bug = "name": "what",` the three.
fn bugs(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.lines().filter_map(|line| {
        let (bug, rest) = line.trim().split_once(" = \"")?;
        let (name, what) = rest.split_once("\": \"")?;
        Some((bug, name, what.strip_suffix("\",")?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bugs_and_where_they_are_planted_are_found() {
        let found: Vec<_> = bugs("bugs! {\n    AckEarly = \"ack-early\": \"it is too early\",\n}").collect();
        assert_eq!(found, [("AckEarly", "ack-early", "it is too early")]);
        assert_eq!(names("if planted!(AckEarly) || planted!(B) {").collect::<Vec<_>>(), ["AckEarly", "B"]);
    }
}
