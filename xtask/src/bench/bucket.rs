//! A bucket on this machine: the server of the S3 API that the tests have, in a Python of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Running;
use super::rivals::install;
use crate::shell::Outcome;

const SERVER: &str = include_str!("../../../crates/weir/tests/e2e/s3_server.py");

/// A server with the empty bucket `weir`, until this is dropped.
pub(super) struct Bucket {
    _process: Running,
    address: String,
}

impl Bucket {
    /// Installs what it needs below `home`, once.
    pub(super) fn start(home: &Path) -> Outcome<Self> {
        std::fs::create_dir_all(home).map_err(|error| format!("{}: {error}", home.display()))?;
        let needs = SERVER.lines().next().and_then(|line| line.strip_prefix("# needs "));
        let needs: Vec<&str> =
            needs.ok_or_else(|| "the bucket's server does not say what it needs".to_owned())?.split(' ').collect();
        let mut command = Command::new(install(&needs, home)?);
        command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Running(command.spawn().map_err(|error| format!("{command:?}: {error}"))?);
        let said = process.0.stdout.take().ok_or("the bucket's server has no output")?;
        let mut address = String::new();
        BufReader::new(said).read_line(&mut address).map_err(|error| format!("the bucket's server: {error}"))?;
        match address.trim() {
            "" => Err("the bucket's server has ended before it was up".to_owned()),
            address => Ok(Self { _process: process, address: address.to_owned() }),
        }
    }

    /// The place `name` in it, with what a table's tier needs to reach it.
    pub(super) fn place(&self, name: &str) -> String {
        let Self { address, .. } = self;
        format!(
            "url: \"s3://weir/{name}\", options: {{ endpoint: \"http://{address}\", region: us-east-1, access_key_id: me, \
             secret_access_key: nobody-checks-it }}"
        )
    }
}
