//! What is said on the command line of a benchmark. Runs nothing.

use std::path::PathBuf;

use crate::shell::Outcome;

/// The options that every benchmark knows; each takes those that mean something to it.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) file: Option<PathBuf>,
    pub(super) rows: u64,
    pub(super) seed: u64,
    pub(super) runs: u32,
    pub(super) out: Option<PathBuf>,
    pub(super) json: bool,
    /// How often an epoch commits.
    pub(super) epoch: String,
    /// How many threads read and decode; as many as the pipeline takes of itself if it is not said.
    pub(super) tasks: Option<u64>,
    /// For how long a live benchmark runs.
    pub(super) seconds: u64,
    /// Rows per second of a live benchmark, if it is said.
    pub(super) rate: Option<u64>,
    /// Groups that are open at a time.
    pub(super) groups: u64,
    /// A release binary that is built already.
    pub(super) weir: Option<PathBuf>,
    /// Which rivals run; all if none is named.
    pub(super) only: Vec<String>,
}

pub(super) fn parse(words: &[&str]) -> Outcome<Options> {
    let mut options = Options {
        file: None,
        rows: 1_000_000,
        seed: 1,
        runs: 3,
        out: None,
        json: false,
        epoch: "10s".to_owned(),
        tasks: None,
        seconds: 60,
        rate: None,
        groups: 100_000,
        weir: None,
        only: Vec::new(),
    };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        let mut value = || words.next().copied().ok_or_else(|| format!("{word} needs a value"));
        match word {
            "--file" => options.file = Some(PathBuf::from(value()?)),
            "--rows" => options.rows = number(word, value()?)?,
            "--seed" => options.seed = number(word, value()?)?,
            "--runs" => {
                options.runs = u32::try_from(number(word, value()?)?.max(1)).map_err(|_| "too many runs".to_owned())?
            }
            "--out" => options.out = Some(PathBuf::from(value()?)),
            "--json" => options.json = true,
            "--epoch" => options.epoch = value()?.to_owned(),
            "--tasks" => options.tasks = Some(number(word, value()?)?),
            "--seconds" => options.seconds = number(word, value()?)?.max(5),
            "--rate" => options.rate = Some(number(word, value()?)?.max(1)),
            "--groups" => options.groups = number(word, value()?)?.max(1_000),
            "--weir" => options.weir = Some(PathBuf::from(value()?)),
            "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
            _ => return Err(format!("bench: unknown option {word}")),
        }
    }
    Ok(options)
}

fn number(option: &str, text: &str) -> Outcome<u64> {
    text.replace('_', "").parse().map_err(|_| format!("{option} needs a whole number, not {text}"))
}
