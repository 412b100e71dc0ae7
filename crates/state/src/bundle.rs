//! What a worker remembers of everything it has, in one immutable object that every worker can read: so that the state of
//! a partition goes wherever the partition goes. Refuses to say which bundle counts: that is what a commit names.
//!
//! ```text
//! "WEIRBNDL"  { Arrow IPC stream } per run  header (JSON)  header length u64  XXH3-64 of all before u64  "WEIRBNDL"
//! ```
//! Numbers are little-endian.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_disk::{checksum_of, disk_error};
use weir_engine::{Run, RunRows, Snapshot};
use weir_model::{Epoch, ErrorKind, EventTime, SeamError, SeamResult, Vfs};

use crate::object::{damaged, is_name, new_name};
use crate::objects::Objects;
use crate::objects::bucket::Bucket;
use crate::objects::client::BucketClient;
use crate::objects::folder::{FolderObjects, SUFFIX};
use crate::objects::reading::ReadObjects;
use crate::objects::remote::RemoteObjects;
use crate::snapshots::{read_rows, write_rows};

const MAGIC: &[u8; 8] = b"WEIRBNDL";
const VERSION: u32 = 1;
/// Length of the header, checksum, magic.
const TRAILER: usize = 24;

/// What is remembered of one partition.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which: `topic/partition`.
    pub key: String,
    /// Where its reading goes on.
    pub offset: u64,
    /// What its decoder remembers, see [`weir_model::Decoder::carry`].
    pub carry: Option<String>,
    /// What its machine remembers.
    pub snapshot: Snapshot,
}

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    name: String,
    parts: Vec<PartHeader>,
}

#[derive(Serialize, Deserialize)]
struct PartHeader {
    key: String,
    offset: u64,
    carry: Option<String>,
    plan: String,
    meta: String,
    runs: Vec<RunHeader>,
}

#[derive(Serialize, Deserialize)]
struct RunHeader {
    id: u64,
    node: usize,
    pane: i64,
    from: u64,
    bytes: u64,
}

/// The bundles of one pipeline, in a folder or bucket that all of its workers share.
#[derive(Clone, Debug)]
pub struct Bundles {
    vfs: Arc<dyn Vfs>,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    Folder(FolderObjects),
    Bucket(Arc<RemoteObjects>),
    /// A bucket that is only looked at.
    Looked(Arc<ReadObjects>),
}

impl Bundles {
    /// In a folder that every worker sees under some path; `folder` is that of this pipeline.
    pub fn in_folder(vfs: Arc<dyn Vfs>, folder: &Path) -> Self {
        let place = Place::Folder(FolderObjects { vfs: Arc::clone(&vfs), folder: folder.to_owned() });
        Self { vfs, place }
    }

    /// In a bucket, under the pipeline's name; `cache` is a folder of this process alone.
    ///
    /// # Errors
    /// `Config` when the bucket makes no sense.
    pub fn in_bucket(vfs: Arc<dyn Vfs>, bucket: &Bucket, pipeline: &str, cache: &Path) -> SeamResult<Self> {
        let cache = FolderObjects { vfs: Arc::clone(&vfs), folder: cache.to_owned() };
        let remote = RemoteObjects::new(inside(bucket, pipeline)?, cache);
        Ok(Self { vfs, place: Place::Bucket(Arc::new(remote)) })
    }

    /// The same for somebody who only looks at them: nothing is written, here or there. What the folder `cache` has is used.
    ///
    /// # Errors
    /// `Config` when the bucket makes no sense.
    pub fn looked_at(vfs: Arc<dyn Vfs>, bucket: &Bucket, pipeline: &str, cache: &Path) -> SeamResult<Self> {
        let cache = FolderObjects { vfs: Arc::clone(&vfs), folder: cache.to_owned() };
        let read = ReadObjects::new(inside(bucket, pipeline)?, cache);
        Ok(Self { vfs, place: Place::Looked(Arc::new(read)) })
    }

    /// Writes a bundle under a name that was never used before; returns the name, and how many bytes it has.
    ///
    /// # Errors
    /// `Retry` when there is no room or no answer, `Closed` when the disk failed.
    pub fn write(&self, epoch: Epoch, parts: &[Part]) -> SeamResult<(String, u64)> {
        let name = new_name(&*self.vfs, epoch);
        let bytes = to_bytes(&name, parts)?;
        let length = self.objects().put(&name, bytes)?;
        Ok((name, length))
    }

    /// Reads a bundle.
    ///
    /// # Errors
    /// `Corrupt` when it is gone or damaged.
    pub fn read(&self, name: &str) -> SeamResult<Vec<Part>> {
        if !is_name(name) {
            return Err(SeamError::new(ErrorKind::Corrupt, format!("{name:?} is not the name of a bundle")));
        }
        let objects = self.objects();
        let shown = objects.shown(name);
        let bytes = objects.read(name, 0, objects.len(name)?)?;
        from_bytes(name, &bytes).map_err(|why| damaged(&shown, why))
    }

    /// Removes a bundle that no commit names any more. One that is gone already needs no removing.
    ///
    /// # Errors
    /// As the disk or the bucket says.
    pub fn remove(&self, name: &str) -> SeamResult<()> {
        match (self.objects().remove(name), &self.place) {
            (Ok(_), _) => Ok(()),
            (Err(error), Place::Folder(folder)) if folder.has(name) => Err(error),
            (Err(_), Place::Folder(_)) => Ok(()),
            (Err(error), Place::Bucket(_) | Place::Looked(_)) => Err(error),
        }
    }

    /// The names of all bundles that are there now.
    ///
    /// # Errors
    /// As the disk or the bucket says.
    pub fn names(&self) -> SeamResult<BTreeSet<String>> {
        match &self.place {
            Place::Bucket(remote) => {
                // Others write there too.
                remote.forget_names();
                remote.names()
            }
            Place::Looked(read) => read.names(),
            // What is unfinished there is perhaps another worker's, and is left alone.
            Place::Folder(FolderObjects { vfs, folder }) => {
                vfs.create_folder(folder).map_err(|error| disk_error("create", folder, error))?;
                let files = vfs.list(folder).map_err(|error| disk_error("list", folder, error))?;
                let name = |path: &Path| path.file_name()?.to_str()?.strip_suffix(SUFFIX).map(str::to_owned);
                Ok(files.iter().filter_map(|(path, _)| name(path)).filter(|name| is_name(name)).collect())
            }
        }
    }

    fn objects(&self) -> &dyn Objects {
        match &self.place {
            Place::Folder(folder) => folder,
            Place::Bucket(remote) => remote.as_ref(),
            Place::Looked(read) => read.as_ref(),
        }
    }
}

/// Where the bundles of a pipeline lie in a bucket.
fn inside(bucket: &Bucket, pipeline: &str) -> SeamResult<BucketClient> {
    Ok(pipeline.split('/').chain(["workers"]).fold(BucketClient::open(bucket)?, BucketClient::inside))
}

fn to_bytes(name: &str, parts: &[Part]) -> SeamResult<Vec<u8>> {
    let closed = |error: serde_json::Error| SeamError::caused(ErrorKind::Closed, "cannot write a bundle", error);
    let mut bytes = MAGIC.to_vec();
    let mut headers = Vec::with_capacity(parts.len());
    for part in parts {
        let mut runs = Vec::with_capacity(part.snapshot.runs.len());
        for run in &part.snapshot.runs {
            let from = bytes.len();
            write_rows(run.batch(), &mut bytes)?;
            let length = (bytes.len() - from) as u64;
            runs.push(RunHeader {
                id: run.id,
                node: run.node,
                pane: run.pane.micros(),
                from: from as u64,
                bytes: length,
            });
        }
        let meta = String::from_utf8(part.snapshot.meta.clone())
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "what a machine remembers is not text", error))?;
        headers.push(PartHeader {
            key: part.key.clone(),
            offset: part.offset,
            carry: part.carry.clone(),
            plan: part.snapshot.plan_fingerprint.clone(),
            meta,
            runs,
        });
    }
    let header = Header { version: VERSION, name: name.to_owned(), parts: headers };
    let header = serde_json::to_vec(&header).map_err(closed)?;
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&checksum_of(&bytes).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    Ok(bytes)
}

fn from_bytes(name: &str, bytes: &[u8]) -> Result<Vec<Part>, String> {
    let body = bytes.len().checked_sub(TRAILER).ok_or("it is too short")?;
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    if bytes[body + 16..] != *MAGIC || bytes[..MAGIC.len()] != *MAGIC {
        return Err("it does not begin or end as a bundle".to_owned());
    }
    if checksum_of(&bytes[..body + 8]) != word(body + 8) {
        return Err("its bytes do not match their checksum".to_owned());
    }
    let length = usize::try_from(word(body)).unwrap_or(usize::MAX);
    let from = body.checked_sub(length).ok_or("its header is longer than it")?;
    let header: Header = serde_json::from_slice(&bytes[from..body]).map_err(|error| error.to_string())?;
    if header.version != VERSION || header.name != name {
        return Err(format!("it is bundle {} of layout {}", header.name, header.version));
    }
    let run = |run: RunHeader| {
        let from = usize::try_from(run.from).unwrap_or(usize::MAX);
        let end = from.saturating_add(usize::try_from(run.bytes).unwrap_or(usize::MAX));
        let rows = bytes.get(from..end).ok_or("a run lies beyond its end")?;
        let pane = EventTime::from_micros(run.pane);
        Ok(Run { id: run.id, node: run.node, pane, rows: RunRows::Held(read_rows(rows.to_vec())?) })
    };
    let part = |part: PartHeader| {
        let runs = part.runs.into_iter().map(run).collect::<Result<_, String>>()?;
        let snapshot = Snapshot { plan_fingerprint: part.plan, meta: part.meta.into_bytes(), runs };
        Ok(Part { key: part.key, offset: part.offset, carry: part.carry, snapshot })
    };
    header.parts.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, RecordBatch};
    use weir_disk::Disk;

    use super::*;

    fn part(key: &str) -> Part {
        let batch = RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1, 2, 3])) as _)]).expect("rows");
        let runs = vec![Run { id: 7, node: 1, pane: EventTime::from_micros(60), rows: RunRows::Held(batch) }];
        let snapshot = Snapshot { plan_fingerprint: "p".into(), meta: b"{}".to_vec(), runs };
        Part { key: key.to_owned(), offset: 42, carry: Some("app".into()), snapshot }
    }

    #[test]
    fn what_one_worker_wrote_another_reads() {
        let folder = tempfile::tempdir().expect("a folder");
        let bundles = || Bundles::in_folder(Arc::new(Disk), folder.path());
        let (name, bytes) = bundles().write(Epoch(3), &[part("in/0"), part("in/1")]).expect("written");
        assert!(bytes > 0 && name.starts_with("00000000000000000003-"), "{name}");
        let read = bundles().read(&name).expect("read");
        assert_eq!(read.iter().map(|part| part.key.as_str()).collect::<Vec<_>>(), ["in/0", "in/1"]);
        assert_eq!((read[1].offset, read[1].carry.as_deref()), (42, Some("app")));
        assert_eq!(read[1].snapshot.runs[0].batch(), part("").snapshot.runs[0].batch());
        assert_eq!(bundles().names().expect("names"), [name.clone()].into());
        bundles().remove(&name).expect("removed");
        bundles().remove(&name).expect("it is gone already");
        assert_eq!(bundles().read(&name).expect_err("gone").kind, ErrorKind::Corrupt);
    }

    #[test]
    fn a_changed_bit_is_noticed_wherever_it_is() {
        let bytes = to_bytes("n", &[part("in/0")]).expect("bytes");
        assert!(from_bytes("n", &bytes).is_ok());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(from_bytes("n", &changed).is_err(), "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(from_bytes("n", &bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
