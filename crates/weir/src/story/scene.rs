//! From stories as written to what can be played: names become indexes, files become bytes, tables become cells. What
//! the pipeline does not have is an error at its place in the file.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use serde_json::Value;
use weir_model::PartitionId;
use weir_pipeline::{Diagnostic, Document};

use super::cell::Cell;
use super::script::{Expected, InOrder, Lines, PlaceMap, Records, Script, Step};
use super::stage::Act;
use super::table::{Table, Written};
use crate::plan::Job;

/// The largest file that a step may read records from.
const RECORDS_FILE_BYTES_MAX: u64 = 64 << 20;
/// What can be looked at besides outputs.
pub(super) const BALANCE: &str = "balance";
/// The other.
pub(super) const WATERMARK: &str = "watermark";
/// What a balance counts.
pub(super) const FATES: [&str; 8] = ["read", "added", "results", "filtered", "merged", "late", "rejected", "open"];

/// A story that can be played.
#[derive(Debug)]
pub(super) struct Story {
    /// The sentence that it shows.
    pub(super) name: String,
    /// Where it begins in the file.
    pub(super) line: usize,
    pub(super) scenes: Vec<Scene>,
}

/// One step of a story.
#[derive(Debug)]
pub(super) struct Scene {
    /// The word that begins it.
    pub(super) word: &'static str,
    pub(super) line: usize,
    pub(super) what: What,
}

#[derive(Debug)]
pub(super) enum What {
    Act(Act),
    Look(Vec<Look>),
}

/// One thing that is looked at.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) subject: Subject,
    /// What the story calls it.
    pub(super) name: String,
    /// The keys that lead to it in the file.
    pub(super) keys: Vec<String>,
    pub(super) line: usize,
    pub(super) wanted: Wanted,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The rows of an output; after the outputs of the plan come the late rows and the dead letters.
    Rows(usize),
    /// The balance of the output of this index.
    Balance(usize),
    /// The watermark.
    Watermark,
}

/// What is to be seen there.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Not written yet.
    Blank,
    /// So many rows.
    Count(u64),
    /// These rows, in any order; columns that are not named do not matter.
    Rows(Table, Form),
    /// These values, by name.
    Fields(Vec<(String, Value)>),
    /// This word.
    Word(String),
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Table,
    List,
    /// The word `none`.
    None,
}

/// Makes stories of a script.
///
/// # Errors
/// Everything in it that `job` does not have, and everything that cannot be read.
pub(super) fn resolve(
    script: &Script,
    document: &Document,
    folder: &Path,
    job: &Job,
) -> Result<Vec<Story>, Vec<Diagnostic>> {
    let mut resolver = Resolver { document, folder, job, wrong: Vec::new() };
    let stories: Vec<Story> = script.stories.0.iter().map(|(name, steps)| resolver.story(name, steps)).collect();
    if stories.is_empty() {
        resolver.wrong.push(document.error_at_keys(&["stories"], true, "there are no stories in this file"));
    }
    if resolver.wrong.is_empty() { Ok(stories) } else { Err(resolver.wrong) }
}

struct Resolver<'a> {
    document: &'a Document,
    folder: &'a Path,
    job: &'a Job,
    wrong: Vec<Diagnostic>,
}

impl Resolver<'_> {
    fn story(&mut self, name: &str, steps: &[Step]) -> Story {
        let mut known = BTreeMap::new();
        let scenes = steps.iter().enumerate().filter_map(|(index, step)| {
            let index = index.to_string();
            let keys = ["stories", name, &index, step.word()];
            let what = self.what(step, &keys, &mut known)?;
            Some(Scene { word: step.word(), line: self.document.line_of(&keys), what })
        });
        let scenes = scenes.collect();
        Story { name: name.to_owned(), line: self.document.line_of(&["stories", name]), scenes }
    }

    fn what(&mut self, step: &Step, keys: &[&str], known: &mut BTreeMap<PartitionId, usize>) -> Option<What> {
        let act = match step {
            Step::Records(records) => self.records(records, keys, known)?,
            Step::Added(place) => {
                let (source, partition) = self.partition(&place.0, keys, known)?;
                Act::Added { source, partition }
            }
            Step::CaughtUp(place) => Act::CaughtUp(self.known_partition(&place.0, keys, known)?),
            Step::Finished(place) => Act::Finished(self.known_partition(&place.0, keys, known)?),
            Step::Wait(duration) => Act::Wait(duration.delta()),
            Step::Checkpoint => Act::Checkpoint,
            Step::Crash => Act::Crash,
            Step::End => Act::End,
            Step::Expect(expectations) => return Some(What::Look(self.looks(expectations, keys))),
        };
        Some(What::Act(act))
    }

    fn refuse(&mut self, keys: &[&str], key: Option<&str>, message: impl Into<String>) -> &mut Diagnostic {
        let keys: Vec<&str> = keys.iter().copied().chain(key).collect();
        self.wrong.push(self.document.error_at_keys(&keys, false, message));
        self.wrong.last_mut().expect("it was pushed just now")
    }

    fn records(&mut self, records: &Records, keys: &[&str], known: &mut BTreeMap<PartitionId, usize>) -> Option<Act> {
        let map = &records.0;
        let place = PlaceMap { source: map.source.clone(), partition: map.partition.clone() };
        let (source, partition) = self.partition(&place, keys, known)?;
        let bytes = match (&map.lines, &map.file) {
            (Some(Lines(text)), _) => Bytes::from(text.clone()),
            (None, file) => self.file(file.as_deref().unwrap_or_default(), keys)?,
        };
        Some(Act::Records { source, partition, bytes })
    }

    fn file(&mut self, name: &str, keys: &[&str]) -> Option<Bytes> {
        let path = self.folder.join(name);
        let content = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.len() > RECORDS_FILE_BYTES_MAX => {
                Err(format!("is longer than {RECORDS_FILE_BYTES_MAX} bytes: a story is short"))
            }
            Ok(_) | Err(_) => std::fs::read(&path).map_err(|error| format!("cannot be read: {error}")),
        };
        match content {
            Ok(content) => Some(Bytes::from(content)),
            Err(problem) => {
                self.refuse(keys, Some("file"), format!("{} {problem}", path.display()));
                None
            }
        }
    }

    /// The source and the partition that are meant, where a partition may be new.
    fn partition(
        &mut self,
        place: &PlaceMap,
        keys: &[&str],
        known: &mut BTreeMap<PartitionId, usize>,
    ) -> Option<(usize, PartitionId)> {
        let named = place.partition.as_deref().map(PartitionId::new);
        let before = named.as_ref().and_then(|id| known.get(id).copied());
        let source = match (&place.source, before) {
            (None, Some(source)) => source,
            (None, None) => self.only_source(keys)?,
            (Some(name), before) => {
                let source = self.source(name, keys)?;
                if let Some(other) = before.filter(|before| *before != source) {
                    let other = &self.job.sources[other].name;
                    let message = format!("this partition is of the source {other}: give it another name");
                    self.refuse(keys, Some("partition"), message);
                    return None;
                }
                source
            }
        };
        let partition = named.unwrap_or_else(|| PartitionId::new(self.job.sources[source].name.as_str()));
        known.insert(partition.clone(), source);
        Some((source, partition))
    }

    fn only_source(&mut self, keys: &[&str]) -> Option<usize> {
        if self.job.sources.len() == 1 {
            return Some(0);
        }
        let names: Vec<&str> = self.job.sources.iter().map(|source| source.name.as_str()).collect();
        let message = format!("of which source? The pipeline has {}: add `source:`", names.join(", "));
        self.refuse(keys, None, message);
        None
    }

    fn source(&mut self, name: &str, keys: &[&str]) -> Option<usize> {
        let found = self.job.sources.iter().position(|source| source.name == name);
        if found.is_none() {
            let names: Vec<&str> = self.job.sources.iter().map(|source| source.name.as_str()).collect();
            let refused = self.refuse(keys, Some("source"), format!("the pipeline has no source `{name}`"));
            *refused = refused.clone().allowing(name, names);
        }
        found
    }

    /// A partition that the story has spoken of; `Some(None)` means all of them.
    fn known_partition(
        &mut self,
        place: &PlaceMap,
        keys: &[&str],
        known: &BTreeMap<PartitionId, usize>,
    ) -> Option<Option<PartitionId>> {
        let Some(name) = &place.partition else { return Some(None) };
        let id = PartitionId::new(name.as_str());
        if known.contains_key(&id) {
            return Some(Some(id));
        }
        let key = place.source.as_ref().map(|_| "partition");
        let refused = self.refuse(keys, key, format!("the story has not spoken of a partition `{name}` before"));
        *refused = refused.clone().allowing(name, known.keys().map(PartitionId::as_str));
        None
    }

    fn looks(&mut self, expectations: &InOrder<Expected>, keys: &[&str]) -> Vec<Look> {
        let mut looks = Vec::new();
        for (name, expected) in &expectations.0 {
            let keys: Vec<&str> = keys.iter().copied().chain([name.as_str()]).collect();
            let output = self.job.all_outputs().position(|output| output.name == *name);
            match (name.as_str(), output) {
                (_, Some(output)) => looks.extend(self.rows(output, name, expected, &keys)),
                (BALANCE, None) => looks.extend(self.balances(expected, &keys)),
                (WATERMARK, None) => looks.extend(self.watermark(expected, &keys)),
                (_, None) => {
                    let names = self.job.all_outputs().map(|output| output.name.as_str()).chain([BALANCE, WATERMARK]);
                    let message = format!("the pipeline has no output `{name}`");
                    self.wrong.push(self.document.error_at_keys(&keys, true, message).allowing(name, names));
                }
            }
        }
        looks
    }

    fn look(&self, subject: Subject, name: &str, keys: &[&str], wanted: Wanted) -> Look {
        let line = self.document.line_of(keys);
        Look { subject, name: name.to_owned(), keys: keys.iter().map(|key| (*key).to_owned()).collect(), line, wanted }
    }

    fn rows(&mut self, output: usize, name: &str, expected: &Expected, keys: &[&str]) -> Option<Look> {
        let wanted = match expected {
            Expected::Blank => Wanted::Blank,
            Expected::Count(rows) => Wanted::Count(*rows),
            Expected::Text(text) if text.trim() == "none" => Wanted::Rows(Table::default(), Form::None),
            Expected::Text(text) => Wanted::Rows(self.table(text, keys)?, Form::Table),
            Expected::Rows(rows) => Wanted::Rows(self.list(rows, keys), Form::List),
            Expected::Fields(_) => {
                self.refuse(keys, None, "rows are a table, a list of maps, how many there are, or `none`");
                return None;
            }
        };
        Some(self.look(Subject::Rows(output), name, keys, wanted))
    }

    fn table(&mut self, text: &str, keys: &[&str]) -> Option<Table> {
        let written = self.document.written(keys).map(|range| &self.document.text()[range]);
        let is_block = written.is_some_and(|written| written.starts_with('|'));
        let first_line = self.document.line_of(keys) + usize::from(is_block);
        let hint = "a table begins with `|` on the line of its name, then a line of column names, then a line per row";
        let refused = match Table::parse(text) {
            Ok(mut table) if !table.columns.is_empty() => {
                table.rows.iter_mut().for_each(|row| row.line += first_line);
                return Some(table);
            }
            Ok(_) => self.document.error_at_keys(keys, false, "the table has no columns: its first line names them"),
            Err(flaw) => self.document.error_on_line(keys, first_line + flaw.line, flaw.message),
        };
        self.wrong.push(refused.with_hint(hint));
        None
    }

    /// Rows that are maps; what a row does not name does not matter in it.
    fn list(&self, rows: &[InOrder<Value>], keys: &[&str]) -> Table {
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in rows.iter().flat_map(|row| &row.0) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        let row = |(index, row): (usize, &InOrder<Value>)| {
            let cell = |column: &String| row.0.iter().find(|(name, _)| name == column).map(|(_, value)| value);
            let index = index.to_string();
            let keys: Vec<&str> = keys.iter().copied().chain([index.as_str()]).collect();
            Written {
                cells: columns.iter().map(|column| cell(column).map_or(Cell::Any, Cell::of_value)).collect(),
                line: self.document.line_of(&keys),
            }
        };
        let rows = rows.iter().enumerate().map(row).collect();
        Table { columns, rows, comments: Vec::new() }
    }

    fn balances(&mut self, expected: &Expected, keys: &[&str]) -> Vec<Look> {
        let Expected::Fields(fields) = expected else {
            self.refuse(keys, None, "a balance is a map from outputs to numbers: `{ errors: { read: 3, open: 1 } }`");
            return Vec::new();
        };
        let mut looks = Vec::new();
        for (name, value) in &fields.0 {
            let keys: Vec<&str> = keys.iter().copied().chain([name.as_str()]).collect();
            let Some(output) = self.job.outputs.iter().position(|output| output.name == *name) else {
                let message = format!("the pipeline has no output `{name}`");
                let names = self.job.outputs.iter().map(|output| output.name.as_str());
                self.wrong.push(self.document.error_at_keys(&keys, true, message).allowing(name, names));
                continue;
            };
            if let Some(fields) = self.balance(value, &keys) {
                looks.push(self.look(Subject::Balance(output), name, &keys, Wanted::Fields(fields)));
            }
        }
        looks
    }

    fn balance(&mut self, value: &Value, keys: &[&str]) -> Option<Vec<(String, Value)>> {
        let Value::Object(counts) = value else {
            self.refuse(keys, None, "a balance is numbers by name: `{ read: 3, results: 2, open: 1 }`");
            return None;
        };
        for (name, count) in counts {
            if !FATES.contains(&name.as_str()) {
                let keys: Vec<&str> = keys.iter().copied().chain([name.as_str()]).collect();
                let message = format!("a balance does not count `{name}`");
                self.wrong.push(self.document.error_at_keys(&keys, true, message).allowing(name, FATES));
            } else if !count.is_u64() {
                self.refuse(keys, Some(name), "a number of rows is a whole number that is not negative");
            }
        }
        Some(counts.clone().into_iter().collect())
    }

    fn watermark(&mut self, expected: &Expected, keys: &[&str]) -> Option<Look> {
        let wanted = match expected {
            Expected::Blank => Wanted::Blank,
            Expected::Text(text) => Wanted::Word(text.trim().to_owned()),
            Expected::Count(_) | Expected::Rows(_) | Expected::Fields(_) => {
                self.refuse(keys, None, "a watermark is a time such as 2026-01-01T10:00:00Z, or `unknown`");
                return None;
            }
        };
        Some(self.look(Subject::Watermark, WATERMARK, keys, wanted))
    }
}
