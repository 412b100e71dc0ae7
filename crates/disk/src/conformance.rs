//! The contract of [`Vfs`] as tests: every disk runs them. Panics with the sentence that does not hold.

use std::io::{ErrorKind, Read};
use std::path::Path;

use weir_model::{FileKind, Vfs};

/// Checks every promise on `vfs` inside the folder `root`, which need not exist and is not tidied up.
///
/// # Panics
/// When a promise does not hold.
pub fn check(vfs: &dyn Vfs, root: &Path) {
    vfs.create_folder(&root.join("a/b")).expect("folders are created with those above them");
    vfs.create_folder(&root.join("a/b")).expect("creating a folder that is there changes nothing");
    files_are_written_and_read(vfs, &root.join("a"));
    names_are_taken_or_free(vfs, &root.join("a/b"));
    files_are_cut(vfs, &root.join("a"));
    assert_eq!(vfs.list(&root.join("nowhere")).expect("no error"), vec![], "a missing folder lists as empty");
    let (first, second) = (vfs.unused_name(), vfs.unused_name());
    assert!(first < second || first[..10] == second[..10], "names sort by when they were made");
    assert!(first != second && first.len() == 26 && first.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert!(vfs.free_bytes(root).expect("free space is known") > 0);
}

fn put(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) {
    let mut file = vfs.create(path).expect("a new file");
    file.write_all(bytes).expect("written");
    file.sync().expect("synced");
}

fn get(vfs: &dyn Vfs, path: &Path, from: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    vfs.open(path, from).expect("the file opens").read_to_end(&mut bytes).expect("the file reads");
    bytes
}

fn files_are_written_and_read(vfs: &dyn Vfs, folder: &Path) {
    let path = folder.join("file");
    put(vfs, &path, b"hello ");
    let again = vfs.create(&path).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(again, Err(ErrorKind::AlreadyExists), "create refuses a name that is taken");
    let mut file = vfs.append(&path).expect("append opens what is there");
    file.write_all(b"world").expect("appended");
    assert_eq!(get(vfs, &path, 0), b"hello world", "what was written is read before it is synced");
    file.sync().expect("synced");
    assert_eq!(get(vfs, &path, 6), b"world", "reading begins where it was asked to");
    assert_eq!(get(vfs, &path, 100), b"", "reading beyond the end finds nothing");
    assert_eq!(vfs.len(&path).expect("a length"), 11);
    drop(vfs.append(&folder.join("appended")).expect("append creates"));
    let missing = vfs.open(&folder.join("missing"), 0).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(missing, Err(ErrorKind::NotFound));
    let listed = vfs.list(folder).expect("a list");
    let expected = [("appended", FileKind::File), ("b", FileKind::Folder), ("file", FileKind::File)];
    assert_eq!(listed, expected.map(|(name, kind)| (folder.join(name), kind)), "a list is sorted by name");
    vfs.remove(&folder.join("appended")).expect("removed");
    assert_eq!(vfs.remove(&folder.join("appended")).map_err(|error| error.kind()), Err(ErrorKind::NotFound));
}

fn names_are_taken_or_free(vfs: &dyn Vfs, folder: &Path) {
    let (one, two) = (folder.join("one"), folder.join("two"));
    put(vfs, &one, b"1");
    put(vfs, &two, b"2");
    let taken = vfs.rename_new(&one, &two).map_err(|error| error.kind());
    assert_eq!(taken, Err(ErrorKind::AlreadyExists), "rename_new refuses a name that is taken");
    assert_eq!(get(vfs, &two, 0), b"2", "and leaves what was there");
    assert_eq!(get(vfs, &one, 0), b"1", "on both sides");
    vfs.rename(&one, &two).expect("rename replaces");
    assert_eq!(get(vfs, &two, 0), b"1");
    let three = folder.join("three");
    vfs.rename_new(&two, &three).expect("rename_new takes a free name");
    vfs.sync_folder(folder).expect("a folder syncs");
    assert_eq!(vfs.list(folder).expect("a list"), vec![(three, FileKind::File)]);
}

fn files_are_cut(vfs: &dyn Vfs, folder: &Path) {
    let path = folder.join("cut");
    put(vfs, &path, b"0123456789");
    vfs.truncate(&path, 4).expect("cut");
    assert_eq!(get(vfs, &path, 0), b"0123");
    let mut file = vfs.append(&path).expect("appending goes on at the cut");
    file.write_all(b"x").expect("written");
    assert_eq!(get(vfs, &path, 0), b"0123x");
}
