//! What can be typed to save a data folder and to bring it back: `weir backup`, `restore`. It does nothing.

use std::path::PathBuf;

use clap::Args;

use super::SummaryFormat;

/// Arguments of `weir backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where backups are kept: a folder, or a place in a bucket: `s3://bucket/prefix`, `gs://`, `az://`. Contents that are there
    /// are not written again.
    #[arg(value_name = "FOLDER|URL")]
    pub to: String,
    /// Of a bucket: an option by the name that object stores have for it, such as `region=eu-central-1` or
    /// `endpoint=http://127.0.0.1:9000`. Keys and what is not said are taken from the environment, as the cloud's own tools do
    /// (AWS_ACCESS_KEY_ID and so on). May be repeated.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = bucket_option)]
    pub options: Vec<(String, String)>,
    /// The data folder; it may be in use.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// Deletes older backups afterwards: how many are kept, such as `10`, or how long, such as `7d`. The newest always is.
    #[arg(long, value_name = "N|AGE")]
    pub keep: Option<crate::backup::Keep>,
    /// Leaves rows that lie in buckets (`tiers`) there, and only names them: whatever is restored needs the buckets as they were.
    #[arg(long)]
    pub without_tiers: bool,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

/// Arguments of `weir restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Where backups are kept: a folder, or a place in a bucket.
    #[arg(value_name = "FOLDER|URL")]
    pub from: String,
    /// Of a bucket: an option, as of `weir backup`. May be repeated.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = bucket_option)]
    pub options: Vec<(String, String)>,
    /// Which backup; the newest without it.
    #[arg(long)]
    pub id: Option<String>,
    /// The data folder to make. It must be empty or not there.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// Only reads the backup and compares it with its checksums.
    #[arg(long, conflicts_with = "list")]
    pub verify: bool,
    /// Only lists the backups there are.
    #[arg(long)]
    pub list: bool,
}

/// `NAME=VALUE` of an option.
fn bucket_option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is NAME=VALUE, such as region=eu-central-1".to_owned()),
    }
}
