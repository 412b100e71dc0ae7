//! Backups in a bucket: the same as in a folder, as far as anybody can tell. The bucket is in memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use tempfile::TempDir;
use weir_disk::{DataFolder, Disk};
use weir_model::{CommitPoint, Epoch, EpochCommit, ErrorKind};
use weir_registry::Shelf as Registry;
use weir_state::BucketClient;
use weir_store::{Store, StoreConfig, TableConfig};

use super::{Keep, Report, Vault, Wish, restore, take, verify};

/// A data folder that grows, and a bucket for its backups.
struct Setting {
    folder: TempDir,
    bucket: Arc<BucketClient>,
    vault: Vault,
    epoch: u64,
}

impl Setting {
    fn new() -> Self {
        let bucket = Arc::new(BucketClient::in_memory().expect("a bucket"));
        let vault = Vault::in_bucket(Arc::clone(&bucket), "memory://backups");
        let mut setting = Self { folder: tempfile::tempdir().expect("a folder"), bucket, vault, epoch: 0 };
        setting.add_rows(10);
        setting
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Commits so many rows more.
    fn add_rows(&mut self, rows: i64) {
        let folder = DataFolder::open(&self.data(), Arc::new(Disk)).expect("nobody has it");
        let store = Store::open(&folder, StoreConfig::default()).expect("a store");
        let mut writer = store.writer("t", TableConfig::default()).expect("a writer");
        let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        writer.append(&RecordBatch::try_from_iter([("n", values)]).expect("a batch")).expect("taken");
        self.epoch += 1;
        let prepared = writer.prepare(Epoch(self.epoch)).expect("prepared");
        let commit = EpochCommit {
            pipeline: "p".to_owned(),
            epoch: Epoch(self.epoch),
            prepared: [("t".to_owned(), prepared)].into(),
            ..EpochCommit::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(store.commit(commit)).expect("committed");
    }

    fn take(&self, keep: Option<Keep>, day: i64) -> Report {
        take(&Wish { keep, ..of(&self.data()) }, &self.vault, at(day), &|_, _| ()).expect("a backup")
    }

    fn restored(&self, id: Option<&str>, name: &str) -> u64 {
        let to = self.folder.path().join(name);
        restore(&self.vault, id, &to, &|_, _| ()).expect("restored");
        rows(&to)
    }
}

fn of(data: &Path) -> Wish<'_> {
    Wish { data, buckets: None, keep: None }
}

fn at(day: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(day)
}

fn rows(data: &Path) -> u64 {
    Store::open_read_only(data).expect("a store").snapshot().expect("readable").tables["t"].rows()
}

#[test]
fn a_backup_in_a_bucket_is_incremental_checked_and_restored() {
    let mut setting = Setting::new();
    let first = setting.take(None, 1);
    assert!(first.files >= 2 && first.new_bytes == first.bytes && first.troubles.is_empty(), "{first:?}");
    let again = setting.take(None, 2);
    assert!(again.new_bytes < first.new_bytes, "tables are not sent again: {again:?}");
    setting.add_rows(5);
    let second = setting.take(None, 3);
    assert_eq!(setting.vault.ids().expect("listed"), [first.id.clone(), again.id, second.id]);
    assert!(verify(&setting.vault, None, &|_, _| ()).expect("verified").damaged.is_empty());
    assert_eq!(setting.restored(None, "newest"), 15);
    assert_eq!(setting.restored(Some(&first.id), "first"), 10);

    let kept = setting.take("1".parse().ok(), 4);
    assert_eq!(kept.deleted.len(), 3, "{kept:?}");
    assert_eq!(setting.restored(None, "kept"), 15);
    let manifest = setting.vault.manifest(None).expect("readable");
    assert!(setting.bucket.list("objects").expect("listed").len() <= manifest.files.len(), "nothing else is left");
}

#[test]
fn the_schema_registry_is_in_the_backup_also_while_it_is_in_use() {
    let setting = Setting::new();
    let registry = Registry::open(&setting.data()).expect("a registry");
    setting.take(None, 1);
    let to = setting.folder.path().join("again");
    restore(&setting.vault, None, &to, &|_, _| ()).expect("restored");
    drop(registry);
    assert!(to.join("registry.sqlite").is_file());
    Registry::open(&to).expect("it is one");
}

#[test]
fn a_damaged_object_is_named_and_the_next_backup_mends_it() {
    let setting = Setting::new();
    setting.take(None, 1);
    let (name, _) = setting.bucket.list("objects").expect("listed").pop().expect("there are some");
    let sound = setting.bucket.read(&name).expect("read").expect("there");
    for damage in [[sound.as_slice(), b"x"].concat(), sound[1..].to_vec(), flipped(&sound)] {
        setting.bucket.put(&name, Bytes::from(damage)).expect("put");
        let verified = verify(&setting.vault, None, &|_, _| ()).expect("verified");
        assert!(verified.damaged.len() == 1 && verified.damaged[0].contains(&name), "{verified:?}");
        let to = setting.folder.path().join("never");
        let error = restore(&setting.vault, None, &to, &|_, _| ()).expect_err("refused");
        assert!(error.kind == ErrorKind::Corrupt && !to.exists(), "{error}");
    }
    setting.bucket.remove(&name).expect("removed");
    let error = restore(&setting.vault, None, &setting.folder.path().join("x"), &|_, _| ()).expect_err("refused");
    assert!(error.message.contains("it is missing"), "{error}");
    setting.take(None, 2);
    assert_eq!(setting.restored(None, "mended"), 10);
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    damaged
}

#[test]
fn two_backups_at_a_time_are_refused_and_an_ended_one_leaves_no_lock() {
    let setting = Setting::new();
    let held = setting.vault.lock().expect("free");
    let error = take(&of(&setting.data()), &setting.vault, at(1), &|_, _| ()).expect_err("refused");
    assert!(error.message.contains("another backup is being made here"), "{error}");
    drop(held);
    setting.take(None, 1);
    assert_eq!(setting.bucket.look_at("lock").expect("asked"), None);
}

#[test]
fn state_that_is_only_in_a_bucket_is_named_and_the_rest_is_saved() {
    let mut setting = Setting::new();
    let folder = setting.data().join("state/p");
    std::fs::create_dir_all(&folder).expect("a folder");
    // The commit names a snapshot of which this disk has no copy.
    let database = rusqlite::Connection::open(setting.data().join("catalog.sqlite")).expect("the catalog");
    let body: String = database.query_row("SELECT body FROM commits", [], |row| row.get(0)).expect("a commit");
    let name = "00000000000000000001-01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let body = body.replace("\"snapshot\":null", &format!("\"snapshot\":\"{name}\""));
    let checksum = weir_disk::checksum_of(body.as_bytes()).cast_signed();
    database
        .execute("UPDATE commits SET body = ?1, checksum = ?2", rusqlite::params![body, checksum])
        .expect("updated");
    drop(database);
    let refused = take(&of(&setting.data()), &setting.vault, at(1), &|_, _| ()).expect_err("the state is gone");
    assert_eq!(refused.kind, ErrorKind::Corrupt, "{refused}");
    std::fs::write(folder.join("owner"), "01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("it lies in a bucket");
    let report = setting.take(None, 1);
    assert!(report.troubles[0].contains("the state of pipeline p lies in its bucket"), "{report:?}");
    setting.epoch = 1;
    assert_eq!(setting.restored(None, "without"), 10);
}
