//! Keys in RocksDB. It is a copy that can be made anew: written without waiting for the disk, and thrown away where it is
//! damaged.
//!
//! `k`, the start of the bucket (big-endian, with its sign turned round, so that it sorts as a number) and the digest
//! (big-endian) stand for the name of the run and the time (little-endian, 8 bytes each); `r` and the name of a run for how
//! many keys it has. What belongs together is one batch: after a crash RocksDB has all batches up to some point, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, IteratorMode, Options, WriteBatch};
use weir_engine::{KeyStore, KeysOfRun, StoredKey};
use weir_model::{ErrorKind, SeamError, SeamResult};

/// Memory for blocks that were read.
const CACHE_BYTES: usize = 16 << 20;
/// Memory for what is not written to a table yet; there are two of these.
const WRITE_BUFFER_BYTES: usize = 8 << 20;
/// Files that are open at a time.
const OPEN_FILES_MAX: i32 = 256;
/// Bits of a table's filter for each key: one of a hundred keys that a table does not have is looked for in vain.
const FILTER_BITS: f64 = 10.0;
/// A file of this name says that what lies beside it is damaged.
const DAMAGED: &str = "WEIR_DAMAGED";

const KEY: u8 = b'k';
const RUN: u8 = b'r';

/// Keys in RocksDB, in a folder of their own.
pub(crate) struct RocksKeys {
    db: DB,
    folder: PathBuf,
}

impl std::fmt::Debug for RocksKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksKeys").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl RocksKeys {
    /// Opens what is in `folder`; what is damaged there is thrown away.
    pub(crate) fn open(folder: PathBuf) -> SeamResult<Self> {
        if folder.join(DAMAGED).exists() {
            throw_away(&folder, "it was found damaged when it was read")?;
        }
        fs::create_dir_all(&folder).map_err(|error| disk_error(&folder, error))?;
        match DB::open(&options(), &folder) {
            Ok(db) => Ok(Self { db, folder }),
            Err(error) if is_lock(&error) => Err(refused(&folder, ErrorKind::Config, error)),
            Err(error) => {
                throw_away(&folder, error.as_ref())?;
                fs::create_dir_all(&folder).map_err(|error| disk_error(&folder, error))?;
                let db = DB::open(&options(), &folder).map_err(|error| refused(&folder, ErrorKind::Closed, error))?;
                Ok(Self { db, folder })
            }
        }
    }

    /// An error of reading: the next life begins without what is here.
    fn damaged(&self, error: rocksdb::Error) -> SeamError {
        if let Err(error) = fs::write(self.folder.join(DAMAGED), error.as_ref()) {
            tracing::error!(folder = %self.folder.display(), %error, "damage could not be noted: remove the folder by hand");
        }
        refused(&self.folder, ErrorKind::Corrupt, error)
    }

    fn write(&self, batch: WriteBatch) -> SeamResult<()> {
        self.db.write(batch).map_err(|error| refused(&self.folder, ErrorKind::Retry, error))
    }
}

impl KeyStore for RocksKeys {
    fn runs(&mut self) -> SeamResult<BTreeMap<u64, u64>> {
        let mut runs = BTreeMap::new();
        for entry in self.db.iterator(IteratorMode::From(&[RUN], rocksdb::Direction::Forward)) {
            let (name, keys) = entry.map_err(|error| self.damaged(error))?;
            let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
            if let Some((run, keys)) = name.strip_prefix(&[RUN]).and_then(number).zip(number(&keys)) {
                runs.insert(run, keys);
            }
        }
        Ok(runs)
    }

    fn keep(&mut self, alive: &BTreeSet<u64>, first: i64) -> SeamResult<()> {
        let mut batch = WriteBatch::default();
        for run in self.runs()?.into_keys().filter(|run| !alive.contains(run)) {
            batch.delete(run_name(run));
        }
        // Up to the first key of that bucket, which stays.
        batch.delete_range(key_name(i64::MIN, 0), key_name(first, 0));
        self.write(batch)
    }

    fn add(&mut self, run: &KeysOfRun<'_>) -> SeamResult<()> {
        let mut batch = WriteBatch::default();
        for (key, time) in run.keys.iter().zip(run.times) {
            let mut value = [0; 16];
            value[..8].copy_from_slice(&run.id.to_le_bytes());
            value[8..].copy_from_slice(&time.to_le_bytes());
            batch.put(key_name(run.bucket, *key), value);
        }
        batch.put(run_name(run.id), (run.keys.len() as u64).to_be_bytes());
        self.write(batch)
    }

    fn get(&mut self, wanted: &[(i64, u128)]) -> SeamResult<Vec<Option<StoredKey>>> {
        let names = wanted.iter().map(|(bucket, key)| key_name(*bucket, *key));
        let found = self.db.multi_get(names).into_iter().map(|value| {
            let value = value.map_err(|error| self.damaged(error))?;
            Ok(value.and_then(|value| stored(&value)))
        });
        found.collect()
    }
}

fn stored(value: &[u8]) -> Option<StoredKey> {
    let (run, time) = value.split_at_checked(8)?;
    Some(StoredKey { run: u64::from_le_bytes(run.try_into().ok()?), time: i64::from_le_bytes(time.try_into().ok()?) })
}

fn key_name(bucket: i64, key: u128) -> [u8; 25] {
    let mut name = [KEY; 25];
    name[1..9].copy_from_slice(&(bucket.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    name[9..].copy_from_slice(&key.to_be_bytes());
    name
}

fn run_name(run: u64) -> [u8; 9] {
    let mut name = [RUN; 9];
    name[1..].copy_from_slice(&run.to_be_bytes());
    name
}

fn options() -> Options {
    let mut tables = BlockBasedOptions::default();
    tables.set_bloom_filter(FILTER_BITS, false);
    tables.set_cache_index_and_filter_blocks(true);
    // Without memory for it, its own default is used.
    if let Ok(cache) = Cache::new_lru_cache(CACHE_BYTES) {
        tables.set_block_cache(&cache);
    }
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&tables);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_open_files(OPEN_FILES_MAX);
    // Digests do not become shorter.
    options.set_compression_type(DBCompressionType::None);
    options.set_keep_log_file_num(1);
    options
}

/// Whether somebody else has the folder.
fn is_lock(error: &rocksdb::Error) -> bool {
    let text: &str = error.as_ref();
    text.contains("While lock file") || text.contains("lock hold by")
}

fn throw_away(folder: &Path, why: &str) -> SeamResult<()> {
    tracing::warn!(folder = %folder.display(), why, "keys are copied anew from the snapshot: their copy is of no use");
    fs::remove_dir_all(folder).map_err(|error| disk_error(folder, error))
}

fn disk_error(folder: &Path, error: std::io::Error) -> SeamError {
    SeamError::caused(ErrorKind::Closed, format!("cannot use {} for keys", folder.display()), error)
}

fn refused(folder: &Path, kind: ErrorKind, error: rocksdb::Error) -> SeamError {
    SeamError::caused(kind, format!("RocksDB in {}", folder.display()), error)
}
