//! Keys in RocksDB: built against the library of the system, or what the crate brings, and held to the suite of every keyed
//! state. Apart from `ci`, because most builds are without it.

use std::path::Path;

use super::shell::{Outcome, step};

/// Where Debian and others have the library, by the machine.
const LIBRARIES: [&str; 5] =
    ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/opt/homebrew/lib"];

/// The suite, and a pipeline whose results must be those of one without it.
pub(crate) fn rocksdb() -> Outcome {
    let environment = library();
    match environment.first() {
        Some((_, folder)) => eprintln!("with the library in {folder}"),
        None => eprintln!("without a library of the system: RocksDB is compiled, which takes many minutes"),
    }
    step("keys", "cargo", &["test", "-p", "weir-state", "--features", "rocksdb", "--lib", "keys::"], &environment)?;
    step(
        "pipeline",
        "cargo",
        &["test", "-p", "weir", "--features", "rocksdb", "--test", "e2e", "budget::"],
        &environment,
    )
}

/// What makes the build take the system's library, if there is one and nothing else is said.
fn library() -> Vec<(&'static str, &'static str)> {
    if std::env::var_os("ROCKSDB_LIB_DIR").is_some() {
        return Vec::new();
    }
    let has =
        |folder: &&str| ["librocksdb.so", "librocksdb.dylib"].iter().any(|name| Path::new(folder).join(name).is_file());
    let Some(folder) = LIBRARIES.into_iter().find(|folder| has(folder)) else { return Vec::new() };
    let mut environment = vec![("ROCKSDB_LIB_DIR", folder)];
    if Path::new("/usr/include/rocksdb/c.h").is_file() {
        environment.push(("ROCKSDB_INCLUDE_DIR", "/usr/include"));
    }
    environment
}
