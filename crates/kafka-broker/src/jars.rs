//! The jars of Apache Kafka: from Maven Central, through `mvn`, once, into the cache folder. Refuses a jar whose checksum is
//! not the one that was written down.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::BrokerError;

/// Which Kafka; the name of its folder in the cache, another one for each list of jars. The versions of everything are in
/// `broker/pom.xml`.
const VERSION: &str = "kafka-4.3.1-tools";
const POM: &str = include_str!("../broker/pom.xml");
const CHECKSUMS: &str = include_str!("../broker/jars.sha256");
const GOAL: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/// How often Maven is asked: a registry that does not answer for a moment is no reason to fail.
const ATTEMPTS: usize = 3;

/// The folder with the jars; fetches them if they are not there yet. Several processes may ask at once.
///
/// # Errors
/// `Program` when `mvn` or `sha256sum` is missing, `Fetch` without a network, `Checksum`, `File`.
pub fn fetch() -> Result<PathBuf, BrokerError> {
    let cache = cache_folder();
    let jars = cache.join(VERSION);
    if jars.is_dir() {
        return Ok(jars);
    }
    fs::create_dir_all(&cache).map_err(BrokerError::file(&cache))?;
    let lock = cache.join("lock");
    let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(BrokerError::file(&lock))?;
    if !jars.is_dir() {
        let staging = tempfile::tempdir_in(&cache).map_err(BrokerError::file(&cache))?;
        fetch_into(staging.path(), &cache)?;
        // The folder appears whole or not at all.
        fs::rename(staging.path().join("jars"), &jars).map_err(BrokerError::file(&jars))?;
    }
    drop(lock);
    Ok(jars)
}

fn cache_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("weir/kafka")
}

fn fetch_into(staging: &Path, cache: &Path) -> Result<(), BrokerError> {
    let pom = staging.join("pom.xml");
    fs::write(&pom, POM).map_err(BrokerError::file(&pom))?;
    let jars = staging.join("jars");
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        let output = Command::new("mvn")
            .args(["--quiet", "--batch-mode", "--strict-checksums", "--file"])
            .arg(&pom)
            .arg(GOAL)
            .arg(format!("-DoutputDirectory={}", jars.display()))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| BrokerError::Program { program: "mvn", package: "maven", error })?;
        if output.status.success() {
            return verify(&jars);
        }
        said = tail(&[output.stdout, output.stderr].concat());
    }
    Err(BrokerError::Fetch { cache: cache.to_path_buf(), said })
}

/// Exactly the jars that were written down.
fn verify(jars: &Path) -> Result<(), BrokerError> {
    let found = fs::read_dir(jars).map_err(BrokerError::file(jars))?.count();
    let expected = CHECKSUMS.lines().count();
    if found != expected {
        return Err(BrokerError::Checksum { said: format!("{found} jars instead of {expected}") });
    }
    let missing = |error| BrokerError::Program { program: "sha256sum", package: "coreutils", error };
    let mut check = Command::new("sha256sum")
        .args(["--check", "--quiet", "-"])
        .current_dir(jars)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut input) = check.stdin.take() {
        input.write_all(CHECKSUMS.as_bytes()).map_err(BrokerError::file(jars))?;
    }
    let output = check.wait_with_output().map_err(missing)?;
    if output.status.success() {
        return Ok(());
    }
    Err(BrokerError::Checksum { said: tail(&[output.stdout, output.stderr].concat()) })
}

/// The end of what a program said, short enough to read.
pub(crate) fn tail(bytes: &[u8]) -> String {
    const LINES: usize = 30;
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
