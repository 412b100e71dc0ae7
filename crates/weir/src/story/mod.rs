//! Users' own stories against their own pipelines, in virtual time: `weir test`. What a story says takes the place of
//! sources, clock and disk; decoding, steps and windows are those of a running pipeline. Refuses to open a data folder,
//! to look at the clock, and to touch any file but the stories it is told to update.
//!
//! ```text
//!  script (YAML) ─▶ scene (names and bytes resolved) ─▶ play on a stage (decode ▶ engine) ─▶ compare ─▶ report, update
//! ```

mod cell;
mod compare;
mod play;
mod report;
mod rows;
mod scene;
mod script;
mod stage;
mod table;
#[cfg(test)]
mod tests;
mod update;

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use weir_model::ProcessingTime;
use weir_pipeline::{Diagnostic, Document, Input, load_yaml};
use weir_sql::SqlCompiler;

use crate::plan::Job;
use play::{Finding, Telling};
pub use rows::Row;
use script::Script;

/// A file of stories that was played.
#[derive(Debug)]
pub struct Played {
    file: String,
    document: Document,
    stories: Vec<Told>,
}

/// A story that was played.
#[derive(Debug)]
struct Told {
    name: String,
    line: usize,
    telling: Telling,
}

/// Makes a job of the pipeline file at a path with overrides, in the way of the command line.
pub type LoadJob<'a> = &'a dyn Fn(&Path, &[String]) -> Result<Job, Vec<Diagnostic>>;

/// Plays the stories in the file at `path`, each once as it is written and, with `replay`, in all other ways.
///
/// # Errors
/// Everything that is wrong with the file or with its pipeline.
pub fn play_file(path: &Path, load: LoadJob<'_>, replay: bool) -> Result<Played, Vec<Diagnostic>> {
    let (script, document) = load_yaml::<Script>(Input::File(path))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let job = load(&folder.join(&script.pipeline), &script.set)?;
    let stories = scene::resolve(&script, &document, folder, &job)?;
    let compiler = Arc::new(SqlCompiler::new());
    let clock = script.clock.map(|time| ProcessingTime::from_micros(time.0.micros()));
    let told = stories.into_iter().map(|story| {
        let telling = play::play(&story, &job, &compiler, clock, replay && script.replay);
        Told { name: story.name, line: story.line, telling }
    });
    Ok(Played { file: path.display().to_string(), stories: told.collect(), document })
}

impl Played {
    /// How many stories are told as expected, and how many are not.
    pub fn count(&self) -> (usize, usize) {
        let failed = self.stories.iter().filter(|told| !told.telling.failures.is_empty()).count();
        (self.stories.len() - failed, failed)
    }

    /// How many more times stories were played.
    pub fn replays(&self) -> usize {
        self.stories.iter().map(|told| told.telling.replays).sum()
    }

    /// What happened, for people.
    pub fn text(&self) -> String {
        let stories = self.stories.iter().map(|told| report::text(&self.file, told));
        format!("{}\n{}", self.file, stories.collect::<String>())
    }

    /// What happened, for machines: an object per story.
    pub fn json(&self) -> Vec<Value> {
        self.stories.iter().map(|told| report::json(&self.file, told)).collect()
    }

    /// The text of the file with what was found in the place of what was expected, when they differ.
    pub fn updated(&self) -> Option<String> {
        let findings: Vec<&Finding> = self.stories.iter().flat_map(|told| &told.telling.findings).collect();
        (!findings.is_empty()).then(|| update::updated(&self.document, &findings))
    }
}
