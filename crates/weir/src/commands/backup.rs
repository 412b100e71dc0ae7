//! `weir backup` and `weir restore`: the data folder, saved and brought back.

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::io::IsTerminal;

use crate::backup::{self, Vault, Wish};
use crate::cli::{BackupArgs, RestoreArgs, SummaryFormat};
use crate::exit::Failure;
use crate::running::TierBuckets;

/// Makes a backup.
///
/// # Errors
/// When it could not be made, or is not whole because something in the data folder is damaged.
pub fn backup(args: &BackupArgs) -> Result<(), Failure> {
    let bar = bar();
    let vault = vault(&args.to, &args.options)?;
    let buckets = TierBuckets::default();
    let wish = Wish { data: &args.data, buckets: (!args.without_tiers).then_some(&buckets), keep: args.keep };
    let report = backup::take(&wish, &vault, chrono::Utc::now(), &|done, all| show(&bar, done, all))?;
    bar.finish_and_clear();
    match args.format {
        SummaryFormat::Json => println!("{}", json(&report)?),
        SummaryFormat::Text => {
            let (bytes, new) = (HumanBytes(report.bytes), HumanBytes(report.new_bytes));
            println!("backup {} in {}: {} files, {bytes}, of which {new} are new", report.id, args.to, report.files);
            for id in &report.deleted {
                println!("deleted backup {id}");
            }
        }
    }
    match report.troubles.as_slice() {
        [] => Ok(()),
        troubles => Err(Failure::run(format!("the backup is made, without these:\n{}", troubles.join("\n")))),
    }
}

/// Lists, checks or restores backups.
///
/// # Errors
/// When there is no such backup, it is damaged, or the folder is not free.
pub fn restore(args: &RestoreArgs) -> Result<(), Failure> {
    let vault = vault(&args.from, &args.options)?;
    let id = args.id.as_deref();
    if args.list {
        return list(&vault, args);
    }
    let bar = bar();
    let progress = |done, all| show(&bar, done, all);
    if args.verify {
        let verified = backup::verify(&vault, id, &progress)?;
        bar.finish_and_clear();
        return match verified.damaged.as_slice() {
            [] => {
                let (id, files, bytes) = (&verified.id, verified.files, HumanBytes(verified.bytes));
                println!("backup {id} is sound: {files} files, {bytes}");
                Ok(())
            }
            damaged => Err(Failure::run(format!("backup {} is damaged:\n{}", verified.id, damaged.join("\n")))),
        };
    }
    let manifest = backup::restore(&vault, id, &args.data, &progress)?;
    bar.finish_and_clear();
    println!("restored backup {} into {}: {} files", manifest.id, args.data.display(), manifest.files.len());
    for (pipeline, epoch) in &manifest.epochs {
        println!("pipeline {pipeline} goes on after epoch {epoch}");
    }
    Ok(())
}

fn list(vault: &Vault, args: &RestoreArgs) -> Result<(), Failure> {
    for id in vault.ids()? {
        let line = match vault.manifest(Some(&id)) {
            Ok(manifest) => {
                let bytes: u64 = manifest.files.iter().map(|entry| entry.bytes).sum();
                let (at, files) = (manifest.taken_at().format("%Y-%m-%d %H:%M:%S UTC"), manifest.files.len());
                format!("{id}  {at}  {files} files  {}  by weir {}", HumanBytes(bytes), manifest.weir)
            }
            Err(error) => format!("{id}  {}", error.full()),
        };
        println!("{line}");
    }
    if vault.ids()?.is_empty() {
        eprintln!("there is no backup in {}", args.from);
    }
    Ok(())
}

fn vault(place: &str, options: &[(String, String)]) -> Result<Vault, Failure> {
    let options = options.iter().map(|(name, value)| (name.clone(), weir_model::Secret::new(value.clone())));
    Ok(Vault::at(place, options.collect())?)
}

fn json(report: &backup::Report) -> Result<String, Failure> {
    serde_json::to_string(report).map_err(|error| Failure::run(error.to_string()))
}

fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {bytes} of {total_bytes}  {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    bar.set_position(done);
}
