//! What strace says about a life: which calls there were that change what is on disk. Knows nothing of what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The calls by which anything reaches the disk, as strace is told them; `?` before those that not every processor has.
pub(super) const CALLS: &str = "write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,fallocate,truncate,ftruncate,\
                                fsync,fdatasync,?link,linkat,?rename,renameat,renameat2,?unlink,unlinkat,?mkdir,mkdirat";

/// A call that is killed as it begins: the `nth` of one thread by this name and on this path. Strace counts by thread.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    pub(super) name: String,
    /// Inside the folder of the life; of calls with two paths the first one.
    pub(super) path: PathBuf,
    pub(super) nth: u32,
}

/// The calls of a life in `folder` in the order in which they came, each once, and how many there were in all: what several
/// threads do with one file can only be told apart by how often each of them had done it.
pub(super) fn calls(trace: &str, folder: &Path) -> (Vec<Call>, u64) {
    let (mut calls, mut seen, mut all) = (Vec::new(), BTreeSet::new(), 0);
    let mut counts: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
    let folder = format!("{}/", folder.display());
    for line in trace.lines() {
        let Some((thread, name, path)) = began(line, &folder) else { continue };
        let count = counts.entry((thread, name, path)).or_default();
        *count += 1;
        all += 1;
        let call = Call { name: name.to_owned(), path: PathBuf::from(path), nth: *count };
        if seen.insert(call.clone()) {
            calls.push(call);
        }
    }
    (calls, all)
}

/// Thread, name and first path of the call that begins on a line, as in `7 fsync(12</folder/file>) = 0`; `None` when none
/// does, or none in the folder.
fn began<'a>(line: &'a str, folder: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (thread, call) = line.split_once(' ')?;
    let (name, arguments) = call.trim_start().split_once('(')?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || !name.bytes().all(is_name) {
        return None;
    }
    let (_, rest) = arguments.split_once(folder)?;
    let path = rest.split(['>', '"']).next()?;
    Some((thread, name, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_thread_name_and_path_and_only_where_they_begin() {
        let trace = "\
7 write(3</w/data/a.log>, \"\"..., 10) = 10
8 write(3</w/data/a.log>, \"\"..., 10 <unfinished ...>
7 fdatasync(3</w/data/a.log>) = 0
8 <... write resumed>) = 10
8 write(3</w/data/a.log>, \"\"..., 10) = 10
7 write(5<anon_inode:[eventfd]>, \"\"..., 8) = 8
7 renameat2(AT_FDCWD</w>, \"/w/data/b.tmp\", AT_FDCWD</w>, \"/w/data/b\", RENAME_NOREPLACE) = 0
7 +++ exited with 0 +++
";
        let (calls, all) = calls(trace, Path::new("/w"));
        let shown: Vec<String> =
            calls.iter().map(|call| format!("{} {} {}", call.name, call.path.display(), call.nth)).collect();
        assert_eq!(
            shown,
            ["write data/a.log 1", "fdatasync data/a.log 1", "write data/a.log 2", "renameat2 data/b.tmp 1"]
        );
        assert_eq!(all, 5);
    }
}
