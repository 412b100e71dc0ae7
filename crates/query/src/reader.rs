//! Reads segments, those on the local disk through the cache of footers, and remembers which file it was that could not be read.
//! A bucket that does not answer is no damage.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetRowSelection};
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use futures::future::{BoxFuture, FutureExt};
use weir_store::Remote;

use crate::local::LocalFile;

/// The files that one query could not read, with the reasons.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damage(Arc<Mutex<Vec<(PathBuf, String)>>>);

impl Damage {
    fn add(&self, path: &str, error: &ParquetError) {
        let path = PathBuf::from(format!("/{}", path.trim_start_matches('/')));
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.push((path, error.to_string()));
    }

    /// The files and the reasons so far; later calls do not return them again.
    pub(crate) fn take(&self) -> Vec<(PathBuf, String)> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes the readers of one scan.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) cached: CachedParquetFileReaderFactory,
    pub(crate) damage: Damage,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        if let Some(remote) = file.extension::<Arc<Remote>>() {
            let (remote, bytes) = (Arc::clone(remote), file.object_meta.size);
            return Ok(Box::new(RemoteReader { remote, bytes }));
        }
        let path = file.path().to_string();
        let local = file.extension::<LocalFile>().cloned();
        let local = local.ok_or_else(|| DataFusionError::Internal(format!("{path} is not said to be a file")))?;
        let counter = |name: &'static str| MetricBuilder::new(metrics).counter(name, partition_index);
        let (bytes, reads, waits) = (counter("bytes_read"), counter("reads"), counter("reads_from_disk"));
        let picks_rows = file.extension::<ParquetRowSelection>().is_some();
        let footers = self.cached.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        let damage = self.damage.clone();
        Ok(Box::new(Reader { footers, picks_rows, local, path, damage, bytes, reads, waits }))
    }
}

struct Reader {
    /// Reads footers, which are kept.
    footers: Box<dyn AsyncFileReader + Send>,
    /// Only some rows are wanted: those who do not know where pages are read all of a column for them.
    picks_rows: bool,
    local: LocalFile,
    path: String,
    damage: Damage,
    bytes: Count,
    reads: Count,
    /// Times that the disk was waited for.
    waits: Count,
}

impl Reader {
    async fn read(&mut self, ranges: Vec<Range<u64>>) -> ParquetResult<Vec<Bytes>> {
        let read = self.local.read(ranges).await.map_err(|error| ParquetError::External(Box::new(error)));
        let read = read.inspect_err(|error| self.damage.add(&self.path, error))?;
        self.bytes.add(read.bytes.iter().map(Bytes::len).sum());
        self.reads.add(read.reads);
        self.waits.add(usize::from(read.waited));
        Ok(read.bytes)
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { Ok(self.read(vec![range]).await?.remove(0)) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.read(ranges).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let (footers, path, damage, picks_rows) = (&mut self.footers, &self.path, &self.damage, self.picks_rows);
        async move {
            let with_pages = options.cloned().unwrap_or_default().with_page_index_policy(PageIndexPolicy::Optional);
            let options = if picks_rows { Some(&with_pages) } else { options };
            footers.get_metadata(options).await.inspect_err(|error| damage.add(path, error))
        }
        .boxed()
    }
}

/// Bytes of the end of an object that are fetched at first: most footers are in them.
const REMOTE_FOOTER_BYTES: usize = 64 << 10;

/// Reads a segment in a bucket, a range at a time.
struct RemoteReader {
    remote: Arc<Remote>,
    bytes: u64,
}

impl AsyncFileReader for RemoteReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        let remote = Arc::clone(&self.remote);
        async move {
            // A bucket is asked on a thread that may wait.
            let read = tokio::task::spawn_blocking(move || remote.read(range.start, range.end - range.start)).await;
            let read = read.map_err(|error| ParquetError::External(Box::new(error)))?;
            read.map_err(|error| ParquetError::External(Box::new(error)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let pages = options.map_or(PageIndexPolicy::Optional, ArrowReaderOptions::offset_index_policy);
            let reader = ParquetMetaDataReader::new().with_page_index_policy(pages);
            let reader = reader.with_prefetch_hint(Some(REMOTE_FOOTER_BYTES));
            let (bytes, shown) = (self.bytes, self.remote.shown());
            let read = reader.load_and_finish(self, bytes).await.map(Arc::new);
            read.map_err(|error| match error {
                // The bucket's error names the object.
                ParquetError::External(_) => error,
                _ => ParquetError::General(format!("{shown} is damaged: {error}")),
            })
        }
        .boxed()
    }
}
