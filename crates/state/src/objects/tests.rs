use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store_remote::memory::InMemory;
use object_store_remote::path::Path;
use object_store_remote::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use weir_disk::SimDisk;
use weir_model::{Epoch, ErrorKind, Secret};

use super::bucket::Bucket;
use super::client::BucketClient;
use super::folder::FolderObjects;
use super::remote::RemoteObjects;
use crate::SnapshotStore;
use crate::tests::{assert_same, snapshot};

/// What goes wrong with the next requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    /// The server says 503, or is not there.
    Refused,
    /// It stores the object, and the answer is lost.
    AnswerLost,
    /// It never answers.
    Silent,
}

/// A bucket in memory whose next writes go wrong.
#[derive(Debug)]
struct Faulty {
    inner: InMemory,
    mishap: Mishap,
    left: AtomicUsize,
}

impl std::fmt::Display for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "faulty {}", self.inner)
    }
}

fn refused() -> Error {
    Error::Generic { store: "S3", source: "503 Service Unavailable".into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let goes_wrong =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        match self.mishap {
            Mishap::Refused if goes_wrong => Err(refused()),
            Mishap::Silent if goes_wrong => std::future::pending().await,
            Mishap::AnswerLost if goes_wrong => {
                // The client tries again by itself, and is told that the object is there.
                self.inner.put_opts(location, payload.clone(), opts.clone()).await?;
                self.inner.put_opts(location, payload, opts).await
            }
            _ => self.inner.put_opts(location, payload, opts).await,
        }
    }

    async fn put_multipart_opts(&self, at: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A bucket, and the disk of one machine after the other.
struct Setting {
    bucket: Arc<dyn ObjectStore>,
    disk: SimDisk,
}

impl Setting {
    fn new(bucket: impl ObjectStore) -> Self {
        Self { bucket: Arc::new(bucket), disk: SimDisk::new(1) }
    }

    fn faulty(mishap: Mishap, times: usize) -> Self {
        Self::new(Faulty { inner: InMemory::new(), mishap, left: AtomicUsize::new(times) })
    }

    /// A process that begins here.
    fn store(&self) -> SnapshotStore {
        let cache = FolderObjects { vfs: Arc::new(self.disk.clone()), folder: PathBuf::from("/state/p") };
        let prefix = Path::from("weir/p/owner");
        let bucket = BucketClient::of(Arc::clone(&self.bucket), prefix, "s3://bucket".to_owned());
        let remote = RemoteObjects::new(bucket.expect("a thread").within(Duration::from_secs(1)), cache);
        let store = SnapshotStore::new(Arc::new(self.disk.clone()), FilePath::new("/state"));
        store.place_at("p", Arc::new(remote));
        store
    }

    fn in_bucket(&self) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let mut all = runtime.block_on(list_all(&*self.bucket));
        all.sort();
        all
    }
}

async fn list_all(bucket: &dyn ObjectStore) -> Vec<String> {
    use futures::TryStreamExt;
    let all: Vec<ObjectMeta> = bucket.list(None).try_collect().await.expect("listed");
    all.into_iter().map(|object| object.location.to_string()).collect()
}

#[test]
fn snapshots_in_a_bucket_are_read_by_a_process_with_an_empty_disk() {
    let mut setting = Setting::new(InMemory::new());
    let first = setting.store();
    first.write("p", Epoch(1), &snapshot(1..30)).expect("written");
    let name = first.write("p", Epoch(2), &snapshot(2..32)).expect("written");
    assert_eq!(setting.in_bucket().len(), 2);
    assert!(setting.in_bucket()[1].starts_with("weir/p/owner/00000000000000000002-"), "{:?}", setting.in_bucket());
    setting.disk = SimDisk::new(2);
    let second = setting.store();
    assert_same(&second.read("p", &name).expect("read"), &snapshot(2..32));
    let third = second.write("p", Epoch(3), &snapshot(2..33)).expect("written");
    assert_eq!(
        second.describe("p", &third).expect("described").objects,
        3,
        "what is in the bucket is not written again"
    );
    let collected = second.collect("p", std::slice::from_ref(&third)).expect("collected");
    assert_eq!((collected.objects, setting.in_bucket().len()), (0, 3));
    second.write("p", Epoch(4), &snapshot(40..41)).expect("written");
    second.collect("p", &[]).expect("collected");
    assert_eq!(setting.in_bucket().len(), 1, "only what the last one needs");
}

#[test]
fn a_damaged_copy_is_fetched_again_and_a_damaged_object_is_named() {
    let setting = Setting::new(InMemory::new());
    let name = setting.store().write("p", Epoch(1), &snapshot(1..30)).expect("written");
    let copy = setting.disk.files()[0].0.clone();
    setting.disk.damage(&copy, |bytes| bytes[100] ^= 1);
    assert_same(&setting.store().read("p", &name).expect("fetched again"), &snapshot(1..30));
    setting.disk.damage(&copy, |bytes| bytes.truncate(50));
    assert_same(&setting.store().read("p", &name).expect("fetched again"), &snapshot(1..30));

    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let path = Path::from(setting.in_bucket()[0].as_str());
    let whole = runtime.block_on(async { setting.bucket.get(&path).await?.bytes().await }).expect("there");
    let mut bytes = whole.to_vec();
    bytes[100] ^= 1;
    runtime.block_on(setting.bucket.put(&path, bytes.clone().into())).expect("stored");
    setting.disk.damage(&copy, |copy| copy.clone_from(&bytes));
    let store = setting.store();
    let error = store.read("p", &name).expect_err("damaged in both places");
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("s3://bucket/weir/p/owner/") && error.message.contains("bytes 8 to"), "{error}");
    let moved = store.set_aside("p", std::slice::from_ref(&name), &[]).expect("put aside");
    assert_eq!(moved, [format!("s3://bucket/weir/p/owner/damaged/{name}.snap")]);
    assert_eq!(setting.in_bucket().len(), 1);
    let gone = setting.store().read("p", &name).expect_err("gone");
    assert_eq!(gone.kind, ErrorKind::Corrupt, "an object that is missing is damage: an older snapshot is used");
}

#[test]
fn a_server_that_refuses_is_asked_again_for_a_while() {
    let setting = Setting::faulty(Mishap::Refused, 1);
    let store = setting.store();
    let name = store.write("p", Epoch(1), &snapshot(1..5)).expect("the second try");
    assert_same(&store.read("p", &name).expect("read"), &snapshot(1..5));
    let refusing = Setting::faulty(Mishap::Refused, usize::MAX);
    let error = refusing.store().write("p", Epoch(1), &snapshot(1..5)).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Retry, "{}", error.full());
    assert!(error.full().contains("503"), "{}", error.full());
    assert!(refusing.in_bucket().is_empty());
}

#[test]
fn a_server_that_is_silent_is_given_up_and_may_be_asked_again() {
    let setting = Setting::faulty(Mishap::Silent, 1);
    let store = setting.store();
    let error = store.write("p", Epoch(1), &snapshot(1..5)).expect_err("no answer");
    assert_eq!(error.kind, ErrorKind::Retry, "{}", error.full());
    assert!(error.message.contains("cannot write s3://bucket/weir/p/owner/"), "{error}");
    assert!(setting.in_bucket().is_empty());
    let name = store.write("p", Epoch(1), &snapshot(1..5)).expect("the next time");
    assert_same(&store.read("p", &name).expect("read"), &snapshot(1..5));
    store.collect("p", std::slice::from_ref(&name)).expect("collected");
    assert_eq!(setting.in_bucket().len(), 1);
}

#[test]
fn an_answer_that_was_lost_does_not_make_a_snapshot_twice() {
    let setting = Setting::faulty(Mishap::AnswerLost, 1);
    let store = setting.store();
    let name = store.write("p", Epoch(1), &snapshot(1..5)).expect("it is there, byte for byte");
    assert_same(&store.read("p", &name).expect("read"), &snapshot(1..5));
    assert_eq!(setting.in_bucket().len(), 1);
}

#[test]
fn an_object_is_never_replaced() {
    let setting = Setting::new(InMemory::new());
    let store = setting.store();
    let name = store.write("p", Epoch(1), &snapshot(1..5)).expect("written");
    let error = store.objects("p").expect("placed").put(&name, b"something else".to_vec()).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Closed);
    assert_same(&store.read("p", &name).expect("read"), &snapshot(1..5));
}

#[test]
fn a_crash_after_the_upload_leaves_an_object_that_the_next_process_collects() {
    let setting = Setting::new(InMemory::new());
    let committed = setting.store().write("p", Epoch(1), &snapshot(1..5)).expect("written");
    setting.store().write("p", Epoch(2), &snapshot(1..6)).expect("written, and never committed");
    assert_eq!(setting.in_bucket().len(), 2);
    let next = setting.store();
    next.read("p", &committed).expect("read");
    assert_eq!(next.collect("p", std::slice::from_ref(&committed)).expect("collected").objects, 1);
    assert_eq!(setting.in_bucket().len(), 1);
}

#[test]
fn a_pipeline_that_moves_to_a_bucket_reads_what_it_has_and_writes_all_of_it_there() {
    let setting = Setting::new(InMemory::new());
    let here = SnapshotStore::new(Arc::new(setting.disk.clone()), FilePath::new("/state"));
    let name = here.write("p", Epoch(1), &snapshot(1..30)).expect("written");
    let moved = setting.store();
    assert_same(&moved.read("p", &name).expect("read from the disk"), &snapshot(1..30));
    let next = moved.write("p", Epoch(2), &snapshot(1..31)).expect("written");
    assert_eq!(moved.describe("p", &next).expect("described").objects, 1, "nothing of it is on the disk alone");
}

#[test]
fn addresses_that_make_no_sense_are_refused_and_secrets_are_not_shown() {
    let bucket = |url: &str, options: &[(&str, &str)]| Bucket {
        url: url.to_owned(),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect(),
    };
    for (url, why) in [
        ("/somewhere", "it has no ://"),
        ("s3://", "it names no bucket"),
        ("ftp://a/b", "ftp:// is none of s3://, gs:// and az://"),
    ] {
        let error = bucket(url, &[]).open().expect_err("refused");
        assert_eq!((error.kind, error.message.contains(why)), (ErrorKind::Config, true), "{error}");
    }
    let error = bucket("s3://a/b", &[("acess_key", "hunter2")]).open().expect_err("refused");
    assert!(error.message.contains("it has no option acess_key") && !error.full().contains("hunter2"), "{error}");
    let own = [("endpoint", "http://127.0.0.1:1"), ("access_key_id", "me"), ("secret_access_key", "hunter2")];
    let (store, prefix) = bucket("s3://a/b/c", &own).open().expect("it makes sense");
    assert_eq!(prefix.as_ref(), "b/c");
    assert!(!format!("{:?}", bucket("s3://a/b", &own)).contains("hunter2"), "{store}");
}

/// Against a real server: `WEIR_TEST_S3=http://127.0.0.1:7070 WEIR_TEST_S3_BUCKET=weir` and keys in the environment.
#[test]
fn a_real_server_keeps_snapshots() {
    let (Ok(endpoint), Ok(name)) = (std::env::var("WEIR_TEST_S3"), std::env::var("WEIR_TEST_S3_BUCKET")) else {
        eprintln!("WEIR_TEST_S3 and WEIR_TEST_S3_BUCKET name no server: nothing was tried");
        return;
    };
    let options = [("endpoint".to_owned(), Secret::new(endpoint)), ("region".to_owned(), Secret::new("us-east-1"))];
    // The simulated disk gives the same names every time, and nothing is ever replaced.
    let url = format!("s3://{name}/tests/{}", std::process::id());
    let bucket = Bucket { url, options: options.into() };
    let disk = SimDisk::new(std::process::id().into());
    let process = || {
        let store = SnapshotStore::new(Arc::new(disk.clone()), FilePath::new("/state"));
        store.place("p", Some(&bucket)).expect("placed");
        store
    };
    let store = process();
    let names: Vec<String> =
        (1..=5).map(|epoch| store.write("p", Epoch(epoch), &snapshot(epoch..epoch + 20)).expect("written")).collect();
    let again = store.objects("p").expect("placed").put(&names[4], b"something else".to_vec()).expect_err("there");
    assert_eq!(again.kind, ErrorKind::Closed, "if-none-match is kept: {}", again.full());
    for (path, _) in disk.files() {
        if path.extension().is_some() {
            weir_model::Vfs::remove(&disk, &path).expect("removed");
        }
    }
    let next = process();
    assert_same(&next.read("p", &names[4]).expect("read"), &snapshot(5..25));
    next.collect("p", &names[4..]).expect("collected");
    assert_same(&next.read("p", &names[4]).expect("read again"), &snapshot(5..25));
    let last = next.write("p", Epoch(6), &snapshot(100..101)).expect("written");
    next.collect("p", std::slice::from_ref(&last)).expect("collected");
    assert_eq!(next.objects("p").expect("placed").names().expect("listed").len(), 1);
}
