//! What the settings of a table cost and bring: the same rows of workload D in a table per setting, taken in, merged and asked
//! the same questions, whose answers have to be the same; and what it takes until rows have gone, or lie in a bucket. These
//! begin with a copy of what is kept without settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::asking::{Ask, Asked, Expect, Question, asked, checked, questions};
use super::bucket::Bucket;
use super::fields::{field, number};
use super::load::{Load, Trickle, for_posts, load};
use super::on_disk::{OnDisk, on_disk};
use super::options::Options;
use super::up::{Up, look_later};
use crate::shell::{Outcome, command};

/// Rows unless told otherwise.
pub(super) const ROWS: &str = "4_000_000";
/// As often as a pipeline commits of itself.
const EPOCH: &str = "1s";
/// The last rows are each in a commit of their own: segments of the last eight commits are neither merged nor moved.
const TRICKLE: Trickle = Trickle { rows: 12, apart: Duration::from_millis(1_200) };
/// For so long it is looked at what a server takes that has nothing to do.
const IDLE: Duration = Duration::from_secs(15);
/// Between two looks at what happens in the background, and how long that may take.
const LOOK: Duration = Duration::from_millis(500);
const BACKGROUND_MAX: Duration = Duration::from_secs(1_800);
/// Percentiles are estimates: two of them may differ by this part, where there are so many rows; of fewer by more.
const NEAR: f64 = 0.02;
const NEAR_ROWS_MIN: f64 = 10_000.0;

/// The rows that go.
const GOES: &str = "level = 'DEBUG'";

struct Setting {
    name: &'static str,
    /// As it stands behind the name of the table.
    chosen: &'static str,
    /// What happens to rows that are there; nothing: the setting holds before the first row comes.
    change: Option<Change>,
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    /// The time of some is over.
    Ttl,
    /// They go into a bucket.
    Tiers,
    /// Some are deleted.
    Delete,
}

/// The first is what the others are compared with, and what is changed.
const SETTINGS: [Setting; 8] = [
    setting("default", "", None),
    setting("full", ", index: full", None),
    setting("none", ", index: none", None),
    setting("sort", ", sort: { columns: [service, ts] }", None),
    setting("rollup", ", rollups: [{ every: 1m, by: [service, status], of: [duration_ms] }]", None),
    setting("ttl", ", ttl_by: { values: { debug: 1d } }", Some(Change::Ttl)),
    setting("tiers", "", Some(Change::Tiers)),
    setting("delete", "", Some(Change::Delete)),
];

const fn setting(name: &'static str, chosen: &'static str, change: Option<Change>) -> Setting {
    Setting { name, chosen, change }
}

/// What came of a setting.
struct Column {
    name: &'static str,
    /// CPU seconds of taking in and of merging; nothing where rows were there.
    made: Option<(f64, f64)>,
    found: OnDisk,
    asked: Vec<Asked>,
}

/// What it took until rows had gone or lay elsewhere.
struct Changed {
    rows: u64,
    cpu_secs: f64,
    wall_secs: f64,
}

struct Bench<'a> {
    weir: PathBuf,
    place: PathBuf,
    options: &'a Options,
    questions: Vec<Question>,
}

pub(super) fn run(options: &Options) -> Outcome {
    let place = match &options.out {
        Some(out) => out.clone(),
        None => super::scratch()?.join("settings"),
    };
    let bench = Bench { weir: super::binary(options)?, place, options, questions: what_is_asked(options.rows) };
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut columns = vec![bench.chosen(&SETTINGS[0])?];
    let left = bench.left()?;
    let (mut changes, mut wrong) = (Vec::new(), Vec::new());
    for setting in SETTINGS[1..].iter().filter(|setting| wanted(setting.name)) {
        eprintln!("== {}", setting.name);
        let column = match setting.change {
            None => bench.chosen(setting)?,
            Some(change) => {
                let (column, changed) = bench.changed(setting, change, &left)?;
                changes.push((setting.name, changed));
                column
            }
        };
        let expected: Vec<&String> = match setting.change {
            None | Some(Change::Tiers) => columns[0].asked.iter().map(|asked| &asked.body).collect(),
            Some(Change::Ttl | Change::Delete) => left.answers.iter().collect(),
        };
        wrong.extend(bench.differing(&column, &expected));
        let _ = fs::remove_dir_all(bench.place.join(setting.name));
        columns.push(column);
    }
    bench.report(&columns, &changes, left.idle_cpu_secs);
    if options.out.is_none() {
        let _ = fs::remove_dir_all(&bench.place);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// Those of the store's questions, and one for which each setting is chosen.
fn what_is_asked(rows: u64) -> Vec<Question> {
    const ASKED: [&str; 8] = ["q1", "q2", "q3", "q4", "q5", "q6", "q7", "word"];
    let sql = |name, text: &str| Question { name, ask: Ask::Sql(text.to_owned()), expect: Expect::Anything };
    let mut all = questions(rows);
    all.retain(|question| ASKED.contains(&question.name));
    // With the rows that percentiles are of.
    for Question { ask, .. } in all.iter_mut().filter(|question| question.name == "q5") {
        if let Ask::Sql(text) = ask {
            *text = text.replace(" AS p FROM", " AS p, count(*) AS n FROM");
        }
    }
    all.push(sql(
        "service",
        "SELECT host, count(*) AS n FROM logs WHERE service = 'svc-07' GROUP BY host ORDER BY host",
    ));
    all.push(sql(
        "status",
        "SELECT status, count(*) AS n, max(duration_ms) AS longest FROM logs GROUP BY status ORDER BY status",
    ));
    all
}

/// What there has to be once the rows are gone that go.
struct Left {
    gone: u64,
    /// To each question.
    answers: Vec<String>,
    /// Of a server that is asked nothing, in a second.
    idle_cpu_secs: f64,
}

impl Bench<'_> {
    fn folder(&self, name: &str) -> Outcome<PathBuf> {
        let folder = self.place.join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(folder)
    }

    fn up(&self, folder: &Path, chosen: &str) -> Outcome<Up> {
        Up::start(&self.weir, &folder.join("data"), &[&for_posts(folder, chosen)?])
    }

    /// Rows come into a table of which this is chosen.
    fn chosen(&self, &Setting { name, chosen, .. }: &Setting) -> Outcome<Column> {
        let folder = self.folder(name)?;
        let cost = load(&self.weir, &folder, self.options, &Load { chosen, epoch: EPOCH, trickle: Some(TRICKLE) })?;
        let up = self.up(&folder, chosen)?;
        up.settle()?;
        let merged = up.cpu_secs()?;
        drop(up);
        let (found, asked) = (on_disk(&folder.join("data"))?, self.asked(&folder, chosen)?);
        for (question, asked) in self.questions.iter().zip(&asked) {
            checked(question, &asked.body).map_err(|why| format!("{name}: {}: {why}", question.name))?;
        }
        Ok(Column { name, made: Some((cost.cpu_secs, merged)), found, asked })
    }

    /// Each question, to a server that was asked nothing before.
    fn asked(&self, folder: &Path, chosen: &str) -> Outcome<Vec<Asked>> {
        let up = self.up(folder, chosen)?;
        self.questions.iter().map(|question| asked(&up, &question.ask, self.options.runs)).collect()
    }

    /// What the rows of the first setting say of those that have to be left.
    fn left(&self) -> Outcome<Left> {
        let up = self.up(&self.place.join(SETTINGS[0].name), "")?;
        let before = up.cpu_secs()?;
        look_later(IDLE);
        let idle_cpu_secs = (up.cpu_secs()? - before) / IDLE.as_secs_f64();
        let mut client = up.client()?;
        let gone = client.sql(&format!("SELECT count(*) AS n FROM logs WHERE {GOES}"))?;
        let stay = format!("FROM (SELECT * FROM logs WHERE ({GOES}) IS NOT TRUE) AS logs");
        let answers = self.questions.iter().map(|question| match &question.ask {
            Ask::Sql(text) => client.sql(&text.replace("FROM logs", &stay)),
            Ask::Get(path) => Err(format!("{path} is no question in SQL")),
        });
        let answers = answers.collect::<Outcome<Vec<_>>>()?;
        Ok(Left { gone: number(&gone, "n")? as u64, answers, idle_cpu_secs })
    }

    /// A copy of the rows of the first setting, and what happens to it.
    fn changed(&self, setting: &Setting, change: Change, left: &Left) -> Outcome<(Column, Changed)> {
        let (name, folder) = (setting.name, self.folder(setting.name)?);
        copy(&self.place.join(SETTINGS[0].name).join("data"), &folder.join("data"))?;
        let home = super::scratch()?.join("rivals/bucket");
        // Until the questions are answered.
        let bucket = if change == Change::Tiers { Some(Bucket::start(&home)?) } else { None };
        let tiers = bucket.as_ref().map(|bucket| format!(", tiers: [{{ after: 1d, {} }}]", bucket.place("settings")));
        let chosen = tiers.as_deref().unwrap_or(setting.chosen);
        let up = self.up(&folder, chosen)?;
        let (before, began) = (up.cpu_secs()?, Instant::now());
        let rows = match change {
            Change::Ttl => self.await_ttl(&up, left)?,
            Change::Tiers => self.await_moves(&folder)?,
            Change::Delete => self.delete(&folder, left)?,
        };
        let changed = Changed { rows, cpu_secs: up.cpu_secs()? - before, wall_secs: began.elapsed().as_secs_f64() };
        up.settle()?;
        drop(up);
        let (found, asked) = (on_disk(&folder.join("data"))?, self.asked(&folder, chosen)?);
        Ok((Column { name, made: None, found, asked }, changed))
    }

    /// Waits until all rows are gone whose time is over; how many that are.
    fn await_ttl(&self, up: &Up, left: &Left) -> Outcome<u64> {
        let stay = self.options.rows - left.gone;
        awaited("rows go", || Ok(up.rows()? == stay))?;
        Ok(left.gone)
    }

    /// Waits until all rows lie in the bucket that may; how many these are.
    fn await_moves(&self, folder: &Path) -> Outcome<u64> {
        let mut here = self.options.rows;
        awaited("rows move", || {
            here = on_disk(&folder.join("data"))?.rows_here;
            Ok(here <= TRICKLE.rows)
        })?;
        Ok(self.options.rows - here)
    }

    /// Deletes the rows that go; how many these were.
    fn delete(&self, folder: &Path, left: &Left) -> Outcome<u64> {
        let mut delete = command(&self.weir.to_string_lossy(), &["delete", "logs", "--where", GOES, "--yes", "--data"]);
        let output = delete.arg(folder.join("data")).output().map_err(|error| format!("{delete:?}: {error}"))?;
        let (said, wanted) = (String::from_utf8_lossy(&output.stdout), format!("{} rows of logs deleted", left.gone));
        if output.status.success() && said.lines().any(|line| line == wanted) {
            return Ok(left.gone);
        }
        Err(format!("not `{wanted}`, but: {}{}", said, String::from_utf8_lossy(&output.stderr)))
    }

    /// The questions to which a setting has another answer than is expected.
    fn differing(&self, column: &Column, expected: &[&String]) -> Vec<String> {
        let asked = self.questions.iter().zip(&column.asked).zip(expected);
        let differing = asked.filter_map(|((question, asked), expected)| {
            let (is, must) = difference(question.name, &asked.body, expected)?;
            Some(format!("{}: {} is answered with {is} and should be with {must}", column.name, question.name))
        });
        differing.collect()
    }

    fn report(&self, columns: &[Column], changes: &[(&str, Changed)], idle_cpu_secs: f64) {
        let million = self.options.rows as f64 / 1e6;
        println!("{} rows, a commit every {EPOCH}; CPU ms warm (cold), wall ms warm (cold)", self.options.rows);
        let line = |what: &str, cell: &dyn Fn(&Column) -> String| {
            let cells: Vec<String> = columns.iter().map(cell).collect();
            println!("| {what} | {} |", cells.join(" | "));
        };
        line("", &|column| column.name.to_owned());
        println!("|---{}|", "|---".repeat(columns.len()));
        let made = |cost: Option<f64>| cost.map_or(String::new(), |cost| format!("{:.2}", cost / million));
        line("taken in, CPU-s per million rows", &|column| made(column.made.map(|(taken, _)| taken)));
        line("merged, CPU-s per million rows", &|column| made(column.made.map(|(_, merged)| merged)));
        let mb = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
        line("segments", &|column| column.found.segments.to_string());
        line("rows, MB", &|column| mb(column.found.rows_bytes));
        line("index, MB", &|column| mb(column.found.index_bytes));
        line("rollups, MB", &|column| mb(column.found.rollup_bytes));
        line("in the bucket, MB", &|column| mb(column.found.bucket_bytes));
        for (at, question) in self.questions.iter().enumerate() {
            line(question.name, &|column| {
                let Asked { cold_cpu_ms, cold_wall_ms, warm_cpu_ms, warm_wall_ms, .. } = &column.asked[at];
                format!("{warm_cpu_ms:.1} ({cold_cpu_ms:.0}), {warm_wall_ms:.1} ({cold_wall_ms:.0})")
            });
        }
        println!(
            "\nof {} rows; a server with nothing to do takes {:.0} ms of CPU in a second, and looks every 10 s",
            self.options.rows,
            idle_cpu_secs * 1e3
        );
        println!("| | rows that went | CPU-s | CPU-s per million rows of the table | wall s |\n|---|---|---|---|---|");
        for (name, Changed { rows, cpu_secs, wall_secs }) in changes {
            println!("| {name} | {rows} | {cpu_secs:.2} | {:.2} | {wall_secs:.1} |", cpu_secs / million);
        }
    }
}

fn awaited(what: &str, mut so: impl FnMut() -> Outcome<bool>) -> Outcome {
    let began = Instant::now();
    while !so()? {
        if began.elapsed() > BACKGROUND_MAX {
            return Err(format!("waited in vain for {} s until {what}", BACKGROUND_MAX.as_secs()));
        }
        look_later(LOOK);
    }
    Ok(())
}

/// Makes `to` a copy of the folder `from`.
fn copy(from: &Path, to: &Path) -> Outcome {
    let failed = |error| format!("{}: {error}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// The first lines in which two answers say something else: whole rows go by their times, as those of one moment are in no
/// order.
fn difference(question: &str, one: &str, other: &str) -> Option<(String, String)> {
    let near = |one: &str, other: &str| match (number(one, "p"), number(other, "p"), number(one, "n")) {
        (Ok(one), Ok(other), Ok(rows)) => {
            rows < NEAR_ROWS_MIN || (one - other).abs() <= NEAR * one.abs().max(other.abs())
        }
        _ => false,
    };
    let are_alike = |one: &str, other: &str| match question {
        "q4" => field(one, "ts") == field(other, "ts"),
        "q5" => ["m", "n"].iter().all(|name| field(one, name) == field(other, name)) && near(one, other),
        _ => one == other,
    };
    let (mut one, mut other) = (one.lines(), other.lines());
    loop {
        match (one.next(), other.next()) {
            (None, None) => return None,
            (Some(one), Some(other)) if are_alike(one, other) => {}
            (one, other) => {
                let shown = |line: Option<&str>| line.unwrap_or("nothing more").to_owned();
                return Some((shown(one), shown(other)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_differ_in_percentiles_that_are_not_near_and_in_rows_that_are_not_of_the_same_moments() {
        let alike = |question, one: &str, other: &str| difference(question, one, other).is_none();
        let percentile = |p: f64, n: u32| format!("{{\"m\":\"2026-01-01T00:02:00Z\",\"p\":{p},\"n\":{n}}}\n");
        assert!(alike("q5", &percentile(100.0, 10_000), &percentile(101.9, 10_000)));
        assert!(!alike("q5", &percentile(100.0, 10_000), &percentile(103.0, 10_000)));
        assert!(alike("q5", &percentile(100.0, 9), &percentile(103.0, 9)), "of few rows they say little");
        assert!(!alike("q5", &percentile(100.0, 9), &percentile(100.0, 8)), "a row is missing");
        let row = |at: u32, host: &str| format!("{{\"ts\":\"2026-01-01T00:02:0{at}Z\",\"host\":\"{host}\"}}\n");
        assert!(alike("q4", &row(1, "a"), &row(1, "b")) && !alike("q4", &row(1, "a"), &row(2, "a")));
        assert!(alike("q6", &row(1, "a"), &row(1, "a")) && !alike("q6", &row(1, "a"), &row(1, "b")));
        let missing = difference("q6", &row(1, "a"), "").expect("a line is missing");
        assert_eq!(missing, (row(1, "a").trim().to_owned(), "nothing more".to_owned()));
    }
}
