//! Workload D: all fields of the rows in a table, then questions, by Weir and by others, on the same rows in one run. The
//! script `bench/rivals/store.py` asks; the answers of all are compared.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::options::Options;
use super::rivals::install;
use crate::shell::{Outcome, root};

const SCRIPT: &str = "bench/rivals/store.py";
const PIPELINE: &str = "examples/bench-store.yaml";
/// Each engine, and its packages.
const ENGINES: [(&str, &[&str]); 4] = [
    ("weir", &[]),
    ("duckdb", &["duckdb==2.0.0"]),
    ("chdb", &["chdb-core==26.9.0"]),
    ("datafusion", &["datafusion==55.0.0"]),
];
/// The generator's rows of one hour.
const HOUR_ROWS: u64 = 5_000_000;

/// Of more rows nobody wants a file.
const FILE_ROWS_MAX: u64 = 40_000_000;

pub(super) fn run(options: &Options) -> Outcome {
    if options.file.is_none() && options.rows > FILE_ROWS_MAX {
        return super::large::run(options);
    }
    let weir = super::binary(options)?;
    let scratch = super::scratch()?;
    let input = super::input(options, &weir, &scratch)?;
    let rows = super::count_lines(&input)?;
    let place = scratch.join("store");
    fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let questions = place.join("questions.json");
    fs::write(&questions, questions_for(rows)).map_err(|error| format!("{}: {error}", questions.display()))?;
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut results = Vec::new();
    for (name, packages) in ENGINES.into_iter().filter(|(name, _)| wanted(name)) {
        let home = scratch.join("rivals").join(name);
        fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let result = install(packages, &home).and_then(|python| {
            let folder = place.join(name);
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let result = ask(&python, name, [&input, &folder, &questions], options, &weir);
            let _ = fs::remove_dir_all(&folder);
            result
        });
        match result {
            Ok(result) => results.push(result),
            Err(why) => eprintln!(
                "{name} did not run: {}",
                why.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim()
            ),
        }
    }
    let mut table = Command::new("python3");
    table.arg(root().join(SCRIPT)).arg("table").arg(rows.to_string()).args(&results);
    let status = table.status().map_err(|error| format!("{table:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err("the results could not be compared".to_owned()) }
}

/// The questions of the workload, over an hour in the middle if there are so many rows, else over all of them.
fn questions_for(rows: u64) -> String {
    let hour = u64::from(rows >= 2 * HOUR_ROWS);
    let range =
        format!("ts >= TIMESTAMP '2026-01-01 {hour:02}:00:00' AND ts < TIMESTAMP '2026-01-01 {:02}:00:00'", hour + 1);
    let questions = [
        ("q1", format!("SELECT level, count(*) AS n FROM logs WHERE {range} GROUP BY level ORDER BY level")),
        (
            "q2",
            format!(
                "SELECT service, count(*) AS n FROM logs WHERE {range} AND level = 'ERROR' GROUP BY service \
                 ORDER BY n DESC, service LIMIT 10"
            ),
        ),
        ("q3", "SELECT count(*) AS n FROM logs WHERE message LIKE '%needle-7f3a%'".to_owned()),
        ("q4", "SELECT * FROM logs WHERE app_id = 'app-0042' ORDER BY ts DESC LIMIT 100".to_owned()),
        ("q5", format!("SELECT {{minute}} AS m, {{p95}} AS p FROM logs WHERE {range} GROUP BY 1 ORDER BY 1")),
        ("q6", "SELECT host, count(*) AS n FROM logs GROUP BY host ORDER BY host".to_owned()),
        (
            "q7",
            "SELECT service, count(*) AS n FROM logs WHERE message LIKE '%OutOfMemoryError%' GROUP BY service ORDER BY service"
                .to_owned(),
        ),
    ];
    let lines: Vec<String> = questions.iter().map(|(name, sql)| format!("{name:?}: {sql:?}")).collect();
    format!("{{{}}}", lines.join(",\n"))
}

fn ask(python: &Path, name: &str, paths: [&PathBuf; 3], options: &Options, weir: &Path) -> Outcome<PathBuf> {
    eprintln!("== {name}");
    let home = paths[1].with_extension("said");
    let result = paths[1].with_extension("json");
    let (out, said) = (File::create(&result), File::create(&home));
    let (out, said) = (out.map_err(|error| error.to_string())?, said.map_err(|error| error.to_string())?);
    let mut command = Command::new(python);
    command.arg(root().join(SCRIPT)).args(["ask", name]).args(paths).arg(options.runs.to_string());
    command.arg(weir).arg(root().join(PIPELINE)).stdin(Stdio::null()).stdout(out).stderr(said);
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        return Ok(result);
    }
    Err(fs::read_to_string(&home).unwrap_or_default())
}
