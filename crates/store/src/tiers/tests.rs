use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use weir_model::{Epoch, ErrorKind, Prepared, SeamError, SeamResult};

use super::{Bucket, Buckets, Place};
use crate::settings::TierSettings;
use crate::tests::{Setting, block_on, commit, commit_of, files, ids, rows, visible, writer};
use crate::{Store, TableSettings, Ttl, bring_home, copy_catalog};
use weir_model::CommitPoint;

const SECOND: i64 = 1_000_000;

/// Buckets in memory, which can be away.
#[derive(Debug, Default)]
struct Memory {
    objects: Mutex<BTreeMap<(String, String), Bytes>>,
    is_away: AtomicBool,
}

#[derive(Debug)]
struct InMemory(Arc<Memory>, String);

#[derive(Debug)]
struct Shelf(Arc<Memory>);

impl Buckets for Shelf {
    fn bucket(&self, place: &Place) -> Arc<dyn Bucket> {
        Arc::new(InMemory(Arc::clone(&self.0), place.url.clone()))
    }
}

impl InMemory {
    fn objects(&self) -> SeamResult<std::sync::MutexGuard<'_, BTreeMap<(String, String), Bytes>>> {
        match self.0.is_away.load(Ordering::Relaxed) {
            true => Err(SeamError::new(ErrorKind::Retry, "the bucket does not answer")),
            false => Ok(self.0.objects.lock().expect("no test panics here")),
        }
    }
}

impl Bucket for InMemory {
    fn put(&self, name: &str, bytes: Bytes) -> SeamResult<()> {
        self.objects()?.insert((self.1.clone(), name.to_owned()), bytes);
        Ok(())
    }

    fn read(&self, name: &str, offset: u64, bytes: u64) -> SeamResult<Bytes> {
        let objects = self.objects()?;
        let object = objects.get(&(self.1.clone(), name.to_owned()));
        let gone = || SeamError::new(ErrorKind::Corrupt, format!("{name} is not there"));
        Ok(object.ok_or_else(gone)?.slice(offset as usize..(offset + bytes) as usize))
    }

    fn remove(&self, name: &str) -> SeamResult<()> {
        self.objects()?.remove(&(self.1.clone(), name.to_owned()));
        Ok(())
    }
}

fn tier(seconds: i64, url: &str) -> TierSettings {
    TierSettings { after_us: seconds * SECOND, place: Place { url: url.to_owned(), ..Place::default() } }
}

fn open(setting: &Setting, memory: &Arc<Memory>) -> Arc<Store> {
    let store = setting.open().expect("opened");
    store.set_buckets(Arc::new(Shelf(Arc::clone(memory))));
    store
}

fn settle(store: &Store, tiers: Vec<TierSettings>) {
    let settings = TableSettings { tiers, ..store.settings("logs") };
    store.settle(&BTreeMap::from([("logs".to_owned(), settings)])).expect("settled");
}

/// Writes so many epochs of ten rows; all but the last can be moved.
fn write(setting: &mut Setting, memory: &Arc<Memory>, epochs: i64) -> Arc<Store> {
    setting.config.commits_kept = 1;
    let store = open(setting, memory);
    let mut writer = writer(&store);
    for epoch in 0..epochs {
        writer.append(&rows(epoch * 10..epoch * 10 + 10)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned() + 1, 1);
    }
    store
}

fn moves(store: &Store) -> usize {
    std::iter::from_fn(|| store.move_once().expect("moved")).count()
}

fn objects(memory: &Memory, url: &str) -> usize {
    memory.objects.lock().expect("no test panics here").keys().filter(|(of, _)| of == url).count()
}

#[test]
fn old_segments_move_and_move_on_and_every_row_is_seen_once_throughout() {
    let memory = Arc::new(Memory::default());
    let mut setting = Setting::new();
    let store = write(&mut setting, &memory, 5);
    settle(&store, vec![tier(100, "s3://warm"), tier(1_000, "s3://cold")]);
    assert_eq!(moves(&store), 0, "nothing is old enough");
    setting.pass(Duration::from_secs(125));
    let before = store.snapshot().expect("a snapshot");
    assert_eq!(moves(&store), 2, "those whose last row is old enough");
    assert_eq!((objects(&memory, "s3://warm"), visible(&store)), (2, (0..50).collect()));
    setting.pass(store.config().grace * 2);
    store.sweep().expect("swept");
    assert_eq!(ids(&**store.vfs(), &before), (0..50).collect::<Vec<_>>(), "who began before reads the files");
    drop(before);
    assert_eq!(moves(&store), 5, "all are old enough for the last tier");
    store.sweep().expect("swept");
    assert_eq!(objects(&memory, "s3://warm"), 2, "others may still read what lay there");
    setting.pass(store.config().grace * 2);
    store.sweep().expect("swept");
    assert_eq!((objects(&memory, "s3://warm"), objects(&memory, "s3://cold")), (0, 5));
    assert!(files(&setting).is_empty(), "nothing is left here");
    assert_eq!(visible(&store), (0..50).collect::<Vec<_>>());
    drop(store);

    let store = setting.open().expect("opened again");
    assert_eq!(store.troubles(), [], "what lies in a bucket is not missing");
    store.set_buckets(Arc::new(Shelf(Arc::clone(&memory))));
    assert_eq!(visible(&store), (0..50).collect::<Vec<_>>());
    assert_eq!(store.verify().expect("verified"), []);
    assert!(store.compact_once().expect("looked").is_none(), "what lies in a bucket is not merged");
}

#[test]
fn rows_in_a_bucket_are_deleted_expire_and_are_taken_back_like_others() {
    let memory = Arc::new(Memory::default());
    let mut setting = Setting::new();
    let store = write(&mut setting, &memory, 4);
    settle(&store, vec![tier(100, "s3://cold")]);
    setting.pass(Duration::from_secs(2_000));
    assert_eq!(moves(&store), 4);
    let removed = store.remove_committed("logs", |batch| {
        let times = batch.column(0);
        Ok((0..times.len()).map(|row| Some(row % 2 == 0)).collect())
    });
    assert_eq!(removed.expect("removed"), 20);
    assert_eq!(moves(&store), 4, "what was written anew moves again");
    let ttl = Ttl { rows_us: Some(1_985 * SECOND), ..Ttl::default() };
    let settings = TableSettings { ttl, ..store.settings("logs") };
    store.settle(&BTreeMap::from([("logs".to_owned(), settings)])).expect("settled");
    assert_eq!(store.expire_once().expect("expired").map(|gone| gone.dropped), Some(1));
    let left = visible(&store);
    assert_eq!(left.len(), 15);
    block_on(store.go_back(Epoch(4), commit_of("p", 5, 1, Prepared::default()))).expect("back to where it is");
    assert_eq!(visible(&store), left);
    setting.pass(store.config().grace * 2);
    store.sweep().expect("swept");
    assert_eq!((objects(&memory, "s3://cold"), visible(&store)), (3, left), "objects go with their segments");
}

#[test]
fn what_is_brought_home_stays_there_although_its_file_was_about_to_go() {
    let memory = Arc::new(Memory::default());
    let mut setting = Setting::new();
    let store = write(&mut setting, &memory, 3);
    settle(&store, vec![tier(100, "s3://cold")]);
    setting.pass(Duration::from_secs(2_000));
    assert_eq!(moves(&store), 3);
    drop(store);
    let catalog = setting.path().join("copy.sqlite");
    let copy = copy_catalog(setting.path(), &catalog, |_| Ok(())).expect("copied");
    assert_eq!((copy.segments.len(), copy.objects.len()), (0, 3));
    let home = copy.objects.iter().map(|object| {
        let fetched = object.remote(&Shelf(Arc::clone(&memory))).read(0, object.file.bytes).expect("fetched");
        std::fs::write(setting.path().join(&object.file.path), fetched).expect("written");
        object.file.path.clone()
    });
    bring_home(&catalog, &home.collect()).expect("brought home");
    std::fs::rename(&catalog, setting.path().join("catalog.sqlite")).expect("in its place");

    let store = setting.open().expect("opened");
    setting.pass(store.config().grace * 2);
    store.sweep().expect("swept");
    assert_eq!((visible(&store), store.verify().expect("verified")), ((0..30).collect(), vec![]), "without a bucket");
    assert_eq!((files(&setting).len(), objects(&memory, "s3://cold")), (3, 3), "and what is there is left alone");
}

#[test]
fn a_bucket_that_does_not_answer_is_waited_for_and_nothing_is_put_aside() {
    let memory = Arc::new(Memory::default());
    let mut setting = Setting::new();
    let store = write(&mut setting, &memory, 3);
    settle(&store, vec![tier(100, "s3://cold")]);
    setting.pass(Duration::from_secs(2_000));
    memory.is_away.store(true, Ordering::Relaxed);
    assert_eq!(store.move_once().expect_err("it does not answer").kind, ErrorKind::Retry);
    assert_eq!(visible(&store), (0..30).collect::<Vec<_>>(), "they are still here");
    memory.is_away.store(false, Ordering::Relaxed);
    assert_eq!(moves(&store), 3);
    memory.is_away.store(true, Ordering::Relaxed);
    let none = |batch: &arrow::array::RecordBatch| Ok(vec![true; batch.num_rows()].into());
    assert_eq!(store.remove_committed("logs", none).expect_err("they cannot be read").kind, ErrorKind::Retry);
    assert_eq!(store.troubles(), []);
    memory.is_away.store(false, Ordering::Relaxed);
    assert_eq!(visible(&store), (0..30).collect::<Vec<_>>());
}

#[test]
fn whoever_looks_sees_every_row_once_while_segments_move() {
    let memory = Arc::new(Memory::default());
    let mut setting = Setting::new();
    setting.config.grace = Duration::ZERO;
    let store = write(&mut setting, &memory, 40);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let look = || {
            let mut looks = 0;
            while !done.load(Ordering::Acquire) || looks == 0 {
                assert_eq!(visible(&store), (0..400).collect::<Vec<_>>());
                looks += 1;
            }
        };
        let lookers = [scope.spawn(look), scope.spawn(look)];
        setting.pass(Duration::from_secs(10_000));
        for url in ["s3://one", "s3://two", "s3://one"] {
            settle(&store, vec![tier(100, url)]);
            while store.move_once().expect("moved").is_some() {
                store.sweep().expect("swept");
            }
        }
        done.store(true, Ordering::Release);
        for looker in lookers {
            looker.join().expect("every look was right");
        }
    });
    store.sweep().expect("swept");
    assert_eq!((objects(&memory, "s3://one"), objects(&memory, "s3://two")), (40, 0));
}
