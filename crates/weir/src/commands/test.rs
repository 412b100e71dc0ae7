//! `weir test`: plays stories against pipelines and says what is not as expected. Starts nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::WalkDir;
use weir_pipeline::{Diagnostic, Input};

use super::load;
use crate::cli::{SummaryFormat, TestArgs};
use crate::exit::{ExitCode, Failure};
use crate::story::{self, Played};

/// What a pattern may contain besides letters.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// Runs the command.
///
/// # Errors
/// When a story is not told as expected, or a file is wrong.
pub fn run(args: &TestArgs) -> Result<(), Failure> {
    let mut count = Count::default();
    let mut stories = Vec::new();
    for path in files(&args.stories)? {
        match story::play_file(&path, &job, !args.no_replay) {
            Ok(mut played) => {
                if let Some(text) = played.updated().filter(|_| args.update) {
                    write(&path, &text)?;
                    count.updated += 1;
                    match story::play_file(&path, &job, !args.no_replay) {
                        Ok(again) => played = again,
                        Err(wrong) => return Err(Failure::run(format!("what was written is wrong: {}", wrong[0]))),
                    }
                }
                count.add(&played);
                match args.format {
                    SummaryFormat::Text => say(&played.text()),
                    SummaryFormat::Json => stories.extend(played.json()),
                }
            }
            Err(wrong) => {
                count.wrong += 1;
                match args.format {
                    SummaryFormat::Text => wrong.iter().for_each(|diagnostic| eprintln!("{}", diagnostic.render())),
                    SummaryFormat::Json => stories
                        .push(serde_json::json!({ "file": path.display().to_string(), "ok": false, "errors": wrong })),
                }
            }
        }
    }
    match args.format {
        SummaryFormat::Text => say(&format!("{}\n", count.sentence())),
        SummaryFormat::Json => say(&format!(
            "{}\n",
            serde_json::json!({
                "ok": count.failed == 0 && count.wrong == 0,
                "passed": count.passed,
                "failed": count.failed,
                "wrong_files": count.wrong,
                "replays": count.replays,
                "stories": stories,
            })
        )),
    }
    count.outcome()
}

/// To standard output. Whoever has read enough of it and hung up is not told more.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The pipeline of a story. Overrides in the environment do not apply: a story must say the same on every machine.
fn job(path: &Path, overrides: &[String]) -> Result<crate::plan::Job, Vec<Diagnostic>> {
    load::load_without_environment(Input::File(path), overrides).map(|loaded| loaded.job)
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    wrong: usize,
    updated: usize,
    replays: usize,
}

impl Count {
    fn add(&mut self, played: &Played) {
        let (passed, failed) = played.count();
        (self.passed, self.failed) = (self.passed + passed, self.failed + failed);
        self.replays += played.replays();
    }

    fn sentence(&self) -> String {
        let mut sentence = format!("{} passed, {} failed", self.passed, self.failed);
        if self.replays > 0 {
            sentence.push_str(&format!("; played {} more times, cut and crashed", self.replays));
        }
        if self.updated > 0 {
            sentence.push_str(&format!("; {} updated: look at what changed", files_text(self.updated)));
        }
        if self.wrong > 0 {
            sentence.push_str(&format!("; {} could not be read", files_text(self.wrong)));
        }
        sentence
    }

    fn outcome(&self) -> Result<(), Failure> {
        match (self.wrong, self.failed) {
            (0, 0) => Ok(()),
            (0, 1) => Err(Failure::run("a story is not told as expected")),
            (0, failed) => Err(Failure::run(format!("{failed} stories are not told as expected"))),
            (wrong, _) => Err(Failure { code: ExitCode::Refused, message: format!("{} wrong", are(wrong)) }),
        }
    }
}

fn files_text(files: usize) -> String {
    if files == 1 { "1 file".to_owned() } else { format!("{files} files") }
}

fn are(files: usize) -> String {
    if files == 1 { "a story file is".to_owned() } else { format!("{files} story files are") }
}

/// Writes a file that somebody may be looking at: whole, or not at all.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::run(format!("{} cannot be updated: {error}", path.display()));
    let beside = path.with_extension("yaml.updating");
    fs::write(&beside, text).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

/// The story files that are meant, in the order of the arguments: a file, all of a folder, or what a pattern finds.
fn files(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files: Vec<PathBuf> = Vec::new();
    for argument in arguments {
        let found = expand(argument)?;
        if found.is_empty() {
            return Err(Failure::refused(format!("{}: no story is there", argument.display())));
        }
        files.extend(found.into_iter().filter(|path| !files.contains(path)).collect::<Vec<_>>());
    }
    Ok(files)
}

fn expand(argument: &Path) -> Result<Vec<PathBuf>, Failure> {
    let text = argument.to_string_lossy();
    if argument.is_dir() {
        let is_story =
            |path: &Path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        return walk(argument, is_story);
    }
    if argument.exists() || !text.contains(WILDCARDS) {
        return Ok(vec![argument.to_owned()]);
    }
    let glob = GlobBuilder::new(&text).literal_separator(true).build();
    let matcher: GlobMatcher = glob.map_err(|error| Failure::refused(error.to_string()))?.compile_matcher();
    let base: PathBuf =
        argument.components().take_while(|part| !part.as_os_str().to_string_lossy().contains(WILDCARDS)).collect();
    let base = if base.as_os_str().is_empty() { PathBuf::from(".") } else { base };
    let relative = !text.starts_with("./") && base == Path::new(".");
    walk(&base, |path| {
        let path = if relative { path.strip_prefix(".").unwrap_or(path) } else { path };
        matcher.is_match(path)
    })
}

fn walk(base: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in WalkDir::new(base).sort_by_file_name() {
        let entry = entry.map_err(|error| Failure::refused(error.to_string()))?;
        if entry.file_type().is_file() && wanted(entry.path()) {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}
