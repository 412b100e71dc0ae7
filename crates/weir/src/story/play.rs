//! Plays a story: as it is written, looking where it says so, and then again cut into single rows and with restarts in
//! between, which must tell the same. Conservation is checked after every step without being asked for.

use std::sync::Arc;

use weir_model::{Balance, ProcessingTime};
use weir_sql::SqlCompiler;

use super::compare::Comparison;
use super::rows::Row;
use super::scene::{Form, Look, Scene, Story, Subject, Wanted, What};
use super::stage::{Act, Cut, Shown, Stage, latest_time};
use crate::plan::Job;

/// What the clock says at the beginning of a story whose records have no event time: 2026-01-01T00:00:00Z.
const CLOCK: ProcessingTime = ProcessingTime::from_micros(1_767_225_600_000_000);
/// How many plays of a story have one restart; of a longer story not every step is tried.
const RESTARTS_MAX: usize = 64;

/// What came of playing a story.
#[derive(Debug, Default)]
pub(super) struct Telling {
    pub(super) failures: Vec<Failure>,
    /// What was found where the story looked and saw something else, for `--update`.
    pub(super) findings: Vec<Finding>,
    /// How many more times it was played.
    pub(super) replays: usize,
}

/// Something that is not as it should be.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) line: usize,
    pub(super) problem: Problem,
}

#[derive(Debug)]
pub(super) enum Problem {
    /// The rows of an output are not those that were expected.
    Rows { output: String, comparison: Comparison },
    /// There are not so many rows.
    Count { output: String, expected: u64, found: Comparison },
    /// Rows came that no expectation looks at.
    Untold { output: String, found: Comparison },
    /// A number or a time is another one.
    Value { what: String, expected: String, found: String },
    /// `expect` names an output and says nothing yet.
    Blank { output: String },
    /// Rows are lost or counted twice.
    Unbalanced { output: String, balance: String },
    /// A result could not be processed.
    Trouble { message: String },
    /// Another play told something else.
    Replay { how: String, output: String, missing: Vec<String>, surplus: Vec<String> },
    /// It cannot be played at all.
    Unplayable { message: String },
}

/// What was found where a story looked.
#[derive(Debug)]
pub(super) struct Finding {
    /// The keys that lead to the expectation.
    pub(super) keys: Vec<String>,
    pub(super) found: Found,
}

#[derive(Debug)]
pub(super) enum Found {
    Rows { comparison: Comparison, comments: Vec<(usize, String)>, form: Form },
    Value(String),
}

/// Plays `story`. `clock` is what the clock says at its beginning, if the file says.
pub(super) fn play(
    story: &Story,
    job: &Job,
    compiler: &Arc<SqlCompiler>,
    clock: Option<ProcessingTime>,
    again: bool,
) -> Telling {
    let mut telling = Telling::default();
    let played = (|| {
        let acts: Vec<Act> = story.scenes.iter().filter_map(Scene::act).cloned().collect();
        let clock = match clock {
            Some(clock) => clock,
            None => latest_time(job, compiler, &acts)?.unwrap_or(CLOCK),
        };
        let mut narrator =
            Narrator { job, stage: Stage::new(job, compiler, clock, Cut::AsWritten)?, telling: &mut telling };
        narrator.play(story)?;
        if again && telling.failures.iter().all(|failure| matches!(failure.problem, Problem::Blank { .. })) {
            play_again(story, job, compiler, clock, &mut telling)?;
        }
        Ok::<(), String>(())
    })();
    if let Err(message) = played {
        telling.failures.push(Failure { line: story.line, problem: Problem::Unplayable { message } });
    }
    telling
}

impl Scene {
    fn act(&self) -> Option<&Act> {
        match &self.what {
            What::Act(act) => Some(act),
            What::Look(_) => None,
        }
    }
}

/// Plays a story as it is written, and looks where it says so.
struct Narrator<'a> {
    job: &'a Job,
    stage: Stage<'a>,
    telling: &'a mut Telling,
}

impl Narrator<'_> {
    fn play(&mut self, story: &Story) -> Result<(), String> {
        for scene in &story.scenes {
            match &scene.what {
                What::Act(act) => self.stage.act(act)?,
                What::Look(looks) => looks.iter().for_each(|look| self.look(look)),
            }
            self.check(scene);
        }
        self.look_at_what_is_left(story);
        Ok(())
    }

    fn fail(&mut self, line: usize, problem: Problem) {
        self.telling.failures.push(Failure { line, problem });
    }

    /// What must hold after every step.
    fn check(&mut self, scene: &Scene) {
        for (output, balance) in self.job.outputs.iter().zip(self.stage.balances()) {
            if !balance.holds() {
                let (output, balance) = (output.name.clone(), format!("{balance:?}"));
                self.fail(scene.line, Problem::Unbalanced { output, balance });
            }
        }
        for message in self.stage.troubles() {
            self.fail(scene.line, Problem::Trouble { message });
        }
    }

    fn look(&mut self, look: &Look) {
        match look.subject {
            Subject::Rows(output) => self.look_at_rows(look, output),
            Subject::Balance(output) => self.look_at_balance(look, output),
            Subject::Watermark => {
                let found = self.stage.watermark().to_string();
                match &look.wanted {
                    Wanted::Word(word) => self.look_at_value(look, None, (word, &found)),
                    _ => self.blank(look, Found::Value(found)),
                }
            }
        }
    }

    fn look_at_rows(&mut self, look: &Look, output: usize) {
        let found = self.stage.tell(output);
        let (wanted, form) = match &look.wanted {
            Wanted::Rows(table, form) => (table, *form),
            Wanted::Count(expected) => {
                let rows = found.len() as u64;
                if rows != *expected {
                    self.find(look, None, Found::Value(rows.to_string()));
                    let (expected, found) = (*expected, Comparison::surplus(found));
                    self.fail(look.line, Problem::Count { output: look.name.clone(), expected, found });
                }
                return;
            }
            Wanted::Blank | Wanted::Fields(_) | Wanted::Word(_) => {
                let comparison = Comparison::surplus(found);
                return self.blank(look, Found::Rows { comparison, comments: Vec::new(), form: Form::None });
            }
        };
        let comparison = Comparison::new(wanted, found);
        if !comparison.holds() {
            let line = comparison.first_line().unwrap_or(look.line);
            let comments = wanted.comments.clone();
            self.find(look, None, Found::Rows { comparison: comparison.clone(), comments, form });
            self.fail(line, Problem::Rows { output: look.name.clone(), comparison });
        }
    }

    fn look_at_balance(&mut self, look: &Look, output: usize) {
        let Wanted::Fields(fields) = &look.wanted else { return };
        let balance = self.stage.balances()[output];
        for (name, expected) in fields {
            let found = fate(&balance, name).to_string();
            self.look_at_value(look, Some(name), (&expected.to_string(), &found));
        }
    }

    fn look_at_value(&mut self, look: &Look, field: Option<&str>, (expected, found): (&str, &str)) {
        if super::cell::Cell::plain(expected).agrees(&serde_json::Value::String(found.to_owned())) {
            return;
        }
        self.find(look, field, Found::Value(found.to_owned()));
        let what = match field {
            Some(field) => format!("{field} of {}", look.name),
            None => look.name.clone(),
        };
        self.fail(look.line, Problem::Value { what, expected: expected.to_owned(), found: found.to_owned() });
    }

    fn blank(&mut self, look: &Look, found: Found) {
        self.find(look, None, found);
        self.fail(look.line, Problem::Blank { output: look.name.clone() });
    }

    fn find(&mut self, look: &Look, field: Option<&str>, found: Found) {
        let keys = look.keys.iter().map(String::as_str).chain(field).map(str::to_owned).collect();
        self.telling.findings.push(Finding { keys, found });
    }

    /// Rows of outputs that the story looks at must all be looked at; late rows and dead letters always.
    fn look_at_what_is_left(&mut self, story: &Story) {
        let own = self.job.outputs.len();
        let looks = story.scenes.iter().filter_map(|scene| match &scene.what {
            What::Look(looks) => Some(looks),
            What::Act(_) => None,
        });
        let looks: Vec<Subject> = looks.flatten().map(|look| look.subject).collect();
        let names: Vec<String> = self.job.all_outputs().map(|output| output.name.clone()).collect();
        let line = story.scenes.last().map_or(story.line, |scene| scene.line);
        for (output, name) in names.into_iter().enumerate() {
            if output < own && !looks.contains(&Subject::Rows(output)) {
                continue;
            }
            let left = self.stage.tell(output);
            if !left.is_empty() {
                self.fail(line, Problem::Untold { output: name, found: Comparison::surplus(left) });
            }
        }
    }
}

fn fate(balance: &Balance, name: &str) -> u64 {
    // A count that is not written is zero.
    let counts = serde_json::to_value(balance).unwrap_or_default();
    counts.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0)
}

/// How a story is played once more.
struct Way {
    how: String,
    cut: Cut,
    /// Before which of the acts everything is started again.
    restarts: Vec<usize>,
}

fn ways(story: &Story) -> Vec<Way> {
    let acts: Vec<&Scene> = story.scenes.iter().filter(|scene| scene.act().is_some()).collect();
    let mut ways = vec![
        Way { how: "cut into single records".to_owned(), cut: Cut::Single, restarts: Vec::new() },
        Way {
            how: "cut into single records, with a crash after every step".to_owned(),
            cut: Cut::Single,
            restarts: (0..acts.len()).collect(),
        },
    ];
    for index in (0..acts.len()).step_by(acts.len().div_ceil(RESTARTS_MAX).max(1)) {
        let how = format!("with a checkpoint before `{}` on line {}, and a crash", acts[index].word, acts[index].line);
        ways.push(Way { how, cut: Cut::AsWritten, restarts: vec![index] });
    }
    ways
}

fn play_again(
    story: &Story,
    job: &Job,
    compiler: &Arc<SqlCompiler>,
    clock: ProcessingTime,
    telling: &mut Telling,
) -> Result<(), String> {
    let straight = Way { how: String::new(), cut: Cut::AsWritten, restarts: Vec::new() };
    let expected = outcome(story, job, compiler, clock, &straight)?;
    for way in ways(story) {
        let found = outcome(story, job, compiler, clock, &way)?;
        telling.replays += 1;
        for ((name, expected), (_, found)) in expected.iter().zip(&found) {
            if expected != found {
                let only = |these: &[String], those: &[String]| without(these, those);
                telling.failures.push(Failure {
                    line: story.line,
                    problem: Problem::Replay {
                        how: way.how.clone(),
                        output: name.clone(),
                        missing: only(expected, found),
                        surplus: only(found, expected),
                    },
                });
                // One difference is enough to look into.
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Everything that came out, per output, and what became of the rows, in an order that does not depend on the play.
type Outcome = Vec<(String, Vec<String>)>;

fn outcome(
    story: &Story,
    job: &Job,
    compiler: &Arc<SqlCompiler>,
    clock: ProcessingTime,
    way: &Way,
) -> Result<Outcome, String> {
    let mut stage = Stage::new(job, compiler, clock, way.cut)?;
    for (index, act) in story.scenes.iter().filter_map(Scene::act).enumerate() {
        if way.restarts.contains(&index) {
            stage.restart()?;
        }
        stage.act(act)?;
    }
    let rows = job.all_outputs().zip(stage.shown()).map(|(output, shown)| (output.name.clone(), meanings(shown)));
    let balances = job.outputs.iter().zip(stage.balances());
    let balances =
        balances.map(|(output, balance)| (format!("balance of {}", output.name), vec![format!("{balance:?}")]));
    Ok(rows.chain(balances).collect())
}

fn meanings(shown: &[Shown]) -> Vec<String> {
    let row = |shown: &Shown| -> String { Row::meaning(&shown.row, None) };
    let mut meanings: Vec<String> = shown.iter().map(row).collect();
    meanings.sort_unstable();
    meanings
}

/// Those of `these` that are not in `those`, as often as they are missing there.
fn without(these: &[String], those: &[String]) -> Vec<String> {
    let mut those: Vec<&String> = those.iter().collect();
    let missing = these.iter().filter(|this| match those.iter().position(|that| that == this) {
        Some(index) => {
            those.swap_remove(index);
            false
        }
        None => true,
    });
    missing.cloned().collect()
}
