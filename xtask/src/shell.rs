//! Starting other programs and saying plainly when they fail. It hides none of their output.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The outcome of a step: nothing, or what went wrong in words for a person.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.to_path_buf(), Path::to_path_buf)
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A command that runs in the workspace's folder.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs a step with its output on the terminal.
pub(crate) fn step(name: &str, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    eprintln!("\n== {name}: {program} {}", arguments.join(" "));
    let status = command(program, arguments)
        .envs(environment.iter().copied())
        .status()
        .map_err(|error| format!("{name}: {program} could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name}: {program} ended with {status}")) }
}

/// Whether a program is on the path.
pub(crate) fn has(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
