use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use weir_model::{ErrorKind, Vfs};

use crate::{
    ChecksummedWriter, DataFolder, Disk, Fault, FileLock, Occupant, Reserve, SimDisk, checksum_of, conformance,
    publish, read_file, remove_leftovers, temporary,
};

fn temp() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn the_real_disk_keeps_the_contract() {
    conformance::check(&Disk, &temp().path().join("root"));
}

#[test]
fn folders_and_files_are_for_their_owner_alone() {
    let temp = temp();
    Disk.create_folder(&temp.path().join("a/b")).expect("created");
    drop(Disk.create(&temp.path().join("a/b/f")).expect("created"));
    let mode = |path: &str| fs::metadata(temp.path().join(path)).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode("a"), mode("a/b"), mode("a/b/f")), (0o700, 0o700, 0o666 & !umask()));
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let temp = temp();
    let (target, link) = (temp.path().join("secret"), temp.path().join("link"));
    fs::write(&target, "secret").expect("written");
    std::os::unix::fs::symlink(&target, &link).expect("linked");
    assert!(Disk.open(&link, 0).is_err());
    assert!(Disk.append(&link).is_err());
    assert_eq!(read_file(&Disk, &link).expect_err("refused").kind, ErrorKind::Config);
    assert_eq!(Disk.list(temp.path()).expect("listed").len(), 1, "and it is not listed");
}

#[test]
fn a_published_file_is_whole_and_never_replaced() {
    let temp = temp();
    let path = temp.path().join("f");
    let published = publish(&Disk, &path, b"one").expect("published");
    assert_eq!((published.bytes, published.checksum), (3, checksum_of(b"one")));
    assert!(publish(&Disk, &path, b"two").is_err());
    assert_eq!(read_file(&Disk, &path).expect("read"), b"one");
}

#[test]
fn what_a_crash_leaves_half_written_is_removed_or_overwritten() {
    let temp = temp();
    let path = temp.path().join("f");
    let mut writer = ChecksummedWriter::create(&Disk, &path).expect("begun");
    writer.write_all(b"half").expect("written");
    drop(writer);
    assert!(temporary(&path).exists());
    publish(&Disk, &path, b"whole").expect("a leftover is no obstacle");
    fs::create_dir(temp.path().join("deep")).expect("created");
    fs::write(temp.path().join("deep/x.tmp"), "x").expect("written");
    assert_eq!(remove_leftovers(&Disk, temp.path()).expect("tidied"), 1);
    assert_eq!(read_file(&Disk, &path).expect("read"), b"whole");
    let writer = ChecksummedWriter::create(&Disk, &temp.path().join("g")).expect("begun");
    writer.discard(&Disk);
    assert_eq!(remove_leftovers(&Disk, temp.path()).expect("tidied"), 0);
}

#[test]
fn a_full_disk_is_worth_a_retry_and_a_failed_sync_is_the_end() {
    let disk = SimDisk::new(1);
    disk.create_folder(Path::new("/d")).expect("created");
    disk.set_capacity(Some(3));
    let full = publish(&disk, Path::new("/d/f"), b"four").expect_err("full");
    assert_eq!(full.kind, ErrorKind::Retry);
    assert!(full.message.contains("disk is full"), "{}", full.message);
    disk.set_capacity(None);
    // create (after removing the leftover), write, then the sync
    disk.fail_at(disk.operations() + 4, Fault::Full);
    let unknown = publish(&disk, Path::new("/d/f"), b"four").expect_err("the sync fails");
    assert_eq!(unknown.kind, ErrorKind::Closed, "{}", unknown.full());
}

#[test]
fn one_weir_at_a_time_has_a_data_folder() {
    let temp = temp();
    let path = temp.path().join("data");
    assert_eq!(DataFolder::peek(&path).expect("peeked"), None);
    let folder = DataFolder::open(&path, Arc::new(Disk)).expect("opened");
    let refused = DataFolder::open(&path, Arc::new(Disk)).expect_err("taken");
    assert_eq!(refused.kind, ErrorKind::Config);
    let (pid, dir) = (std::process::id(), path.display());
    assert_eq!(refused.message, format!("another weir (pid {pid}) is using {dir}; stop it or choose another --data"));
    assert_eq!(DataFolder::peek(&path).expect("peeked"), Some(Occupant { pid, http: None }));
    let http = "127.0.0.1:7280".parse().expect("an address");
    folder.announce(http).expect("announced");
    assert_eq!(DataFolder::peek(&path).expect("peeked"), Some(Occupant { pid, http: Some(http) }));
    drop(folder);
    assert_eq!(
        DataFolder::peek(&path).expect("peeked"),
        None,
        "what is written there outlives its writer, the lock does not"
    );
    DataFolder::open(&path, Arc::new(Disk)).expect("free again");
}

#[test]
fn a_file_is_not_a_data_folder() {
    let temp = temp();
    let path = temp.path().join("file");
    fs::write(&path, "x").expect("written");
    let error = DataFolder::open(&path, Arc::new(Disk)).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.full().contains("it must be a folder"), "{}", error.full());
}

#[test]
fn the_reserve_is_a_twentieth_of_a_small_disk_and_never_over_256_mib() {
    assert_eq!(Reserve::for_disk(1 << 20).bytes, (1 << 20) / 20);
    assert_eq!(Reserve::for_disk(1 << 50).bytes, 256 << 20);
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(100));
    let folder = DataFolder::simulated(Path::new("/d"), Arc::new(disk.clone())).expect("opened");
    let folder = folder.with_reserve(Reserve { bytes: 60 });
    assert!(folder.reserve_ok());
    assert!(!folder.reserve().allows(&disk, Path::new("/d"), 41).expect("asked"));
    disk.create(Path::new("/d/f")).expect("created").write_all(&[0; 50]).expect("written");
    assert!(!folder.reserve_ok());
}

/// What the process takes away from the modes of new files, as the kernel says.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("Linux tells the umask");
    u32::from_str_radix(line.trim(), 8).expect("it is octal")
}

#[test]
fn a_file_is_held_by_one_at_a_time_and_let_go_though_a_child_still_has_a_copy_of_it() {
    let temp = temp();
    let path = temp.path().join("lock");
    fs::write(&path, "in use").expect("written");
    let held = FileLock::take(&path).expect("it can be opened").expect("nobody has it");
    assert!(FileLock::take(&path).expect("it can be opened").is_none());
    let refused = FileLock::take_or(&path, "somebody is at it").expect_err("it is held");
    assert_eq!(refused.kind, ErrorKind::Config);
    assert_eq!(refused.message, format!("somebody is at it: {} is locked", path.display()));
    let copy = held.try_clone().expect("what a fork copies");
    drop(held);
    FileLock::take_or(&path, "somebody is at it").expect("it was let go");
    drop(copy);
    assert_eq!(fs::read_to_string(&path).expect("read"), "in use", "what is in it stays");
}
