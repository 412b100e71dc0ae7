//! Reads segments through the cache of footers, and remembers which file it was that could not be read.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::future::{BoxFuture, FutureExt};

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
        let path = file.path().to_string();
        let inner = self.cached.create_reader(partition_index, file, metadata_size_hint, metrics)?;
        Ok(Box::new(Reader { inner, path, damage: self.damage.clone() }))
    }
}

struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
    path: String,
    damage: Damage,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        let (inner, path, damage) = (&mut self.inner, &self.path, &self.damage);
        async move { inner.get_bytes(range).await.inspect_err(|error| damage.add(path, error)) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        let (inner, path, damage) = (&mut self.inner, &self.path, &self.damage);
        async move { inner.get_byte_ranges(ranges).await.inspect_err(|error| damage.add(path, error)) }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let (inner, path, damage) = (&mut self.inner, &self.path, &self.damage);
        async move { inner.get_metadata(options).await.inspect_err(|error| damage.add(path, error)) }.boxed()
    }
}
