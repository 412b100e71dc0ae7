//! Tables for tests: real Parquet files in a temporary folder, and rows that are in no file yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use datafusion::parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use weir_disk::{DataFolder, Disk};
use weir_model::{CommitPoint, Epoch, EpochCommit, SeamResult};
use weir_store::{Store, StoreConfig, TableConfig, TableWriter};

use crate::{Limits, QueryEngine, QueryError, RunOptions, Segment, Snapshot, Table, TableSource};

/// A folder of tables.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) folder: TempDir,
    snapshot: Mutex<Snapshot>,
    pub(crate) corrupt: Mutex<Vec<PathBuf>>,
}

impl TableSource for Stage {
    fn snapshot(&self) -> SeamResult<Snapshot> {
        Ok(held(&self.snapshot).clone())
    }

    fn found_corrupt(&self, path: &Path, _: &str) {
        held(&self.corrupt).push(path.to_owned());
    }

    fn found_bad_index(&self, _: &Path, _: &str) {}
}

impl Stage {
    pub(crate) fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        Arc::new(Self { folder, snapshot: Mutex::default(), corrupt: Mutex::default() })
    }

    /// A stage with a table `logs` of one segment per batch, and `fresh` rows.
    pub(crate) fn with_logs(segments: &[RecordBatch], fresh: &[RecordBatch]) -> Arc<Self> {
        let stage = Self::new();
        stage.table("logs", logs_schema(), segments, fresh);
        stage
    }

    pub(crate) fn table(&self, name: &str, schema: SchemaRef, segments: &[RecordBatch], fresh: &[RecordBatch]) {
        let segments =
            segments.iter().enumerate().map(|(index, batch)| self.segment(&format!("{name}-{index}"), batch));
        let time_column = schema.index_of("ts").is_ok().then(|| "ts".to_owned());
        let table = Table { schema, time_column, segments: segments.collect(), fresh: fresh.to_vec(), keep: None };
        held(&self.snapshot).tables.insert(name.to_owned(), table);
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut held(&self.snapshot));
    }

    pub(crate) fn segment(&self, name: &str, batch: &RecordBatch) -> Segment {
        let path = self.folder.path().join(format!("{name}.parquet"));
        let file = std::fs::File::create(&path).expect("the folder is there");
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("Parquet has these types");
        writer.write(batch).expect("the rows are of the schema");
        writer.close().expect("there is room");
        let bytes = std::fs::metadata(&path).expect("it was just written").len();
        let time_range = crate::snapshot::fresh_range(batch, "ts");
        Segment { path, rows: batch.num_rows() as u64, bytes, time_range, index: None, remote: None }
    }

    pub(crate) fn engine(self: &Arc<Self>) -> QueryEngine {
        self.engine_with(Limits::default())
    }

    pub(crate) fn engine_with(self: &Arc<Self>, limits: Limits) -> QueryEngine {
        QueryEngine::new(Arc::clone(self) as Arc<dyn TableSource>, limits).expect("the limits are right")
    }
}

/// A store with a table `logs`: segments with their indexes and rollups, and rows in memory.
pub(crate) struct Scene {
    pub(crate) store: Arc<Store>,
    pub(crate) engine: QueryEngine,
    writer: TableWriter,
    epoch: u64,
    _folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(temp.path(), Arc::new(Disk)).expect("it is empty");
        let store = Store::open(&folder, StoreConfig::default()).expect("it is empty");
        let writer = store.writer("logs", TableConfig::default()).expect("a writer");
        let engine = Self::engine_of(&store);
        Self { store, engine, writer, epoch: 0, _folder: temp }
    }

    /// An engine that has read nothing yet.
    pub(crate) fn engine_of(store: &Arc<Store>) -> QueryEngine {
        QueryEngine::new(Arc::clone(store) as Arc<dyn TableSource>, Limits::default()).expect("it has threads")
    }

    /// Adds rows, which stay in memory until others are committed.
    pub(crate) fn append(&mut self, rows: &RecordBatch) {
        self.writer.append(rows).expect("taken");
    }

    /// Adds a segment of these rows and those in memory.
    pub(crate) fn commit(&mut self, rows: &RecordBatch) {
        self.append(rows);
        self.epoch += 1;
        let epoch = Epoch(self.epoch);
        let commit = EpochCommit {
            pipeline: "p".to_owned(),
            epoch,
            prepared: BTreeMap::from([("out".to_owned(), self.writer.prepare(epoch).expect("prepared"))]),
            ..EpochCommit::default()
        };
        block_on(self.store.commit(commit)).expect("committed");
    }
}

fn held<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn logs_schema() -> SchemaRef {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        Field::new("ts", utc, true),
        Field::new("level", DataType::Utf8View, true),
        Field::new("message", DataType::Utf8View, true),
        Field::new("took", DataType::Float64, true),
        Field::new("n", DataType::Int64, true),
    ]))
}

/// Rows of the table `logs`: time in seconds, level, message.
pub(crate) fn logs(rows: &[(i64, &str, &str)]) -> RecordBatch {
    let times = rows.iter().map(|(secs, ..)| secs * 1_000_000).collect::<Vec<_>>();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC")),
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|(_, level, _)| *level))),
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|(_, _, message)| *message))),
        Arc::new(
            rows.iter().map(|(secs, ..)| (secs % 10 != 0).then_some(*secs as f64 / 2.0)).collect::<Float64Array>(),
        ),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(secs, ..)| *secs))),
    ];
    RecordBatch::try_new(logs_schema(), columns).expect("the columns are of the schema")
}

/// `count` rows from second `from` on, one per second, of levels in turn.
pub(crate) fn many(from: i64, count: i64) -> RecordBatch {
    let messages: Vec<String> = (from..from + count).map(|n| format!("message number {n}")).collect();
    let levels = ["INFO", "WARN", "ERROR"];
    let rows = messages.iter().zip(from..).map(|(message, n)| (n, levels[n.rem_euclid(3) as usize], message.as_str()));
    logs(&rows.collect::<Vec<_>>())
}

/// The same rows with dictionaries for texts, as group keys are.
pub(crate) fn keyed(levels: &[&str]) -> RecordBatch {
    let keys: DictionaryArray<Int32Type> = levels.iter().copied().collect();
    let counts = Int64Array::from_iter_values(0..levels.len() as i64);
    let columns: [(_, ArrayRef); 2] = [("key", Arc::new(keys)), ("n", Arc::new(counts))];
    RecordBatch::try_from_iter(columns).expect("the columns are of one length")
}

pub(crate) fn ask(engine: &QueryEngine, sql: &str) -> Result<RecordBatch, QueryError> {
    ask_with(engine, sql, RunOptions::default())
}

pub(crate) fn ask_with(engine: &QueryEngine, sql: &str, options: RunOptions) -> Result<RecordBatch, QueryError> {
    block_on(async { engine.run(sql, options).await?.collect_one().await })
}

/// The answer as a table of text.
pub(crate) fn shown(engine: &QueryEngine, sql: &str) -> String {
    let batch = ask(engine, sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    pretty_format_batches(&[batch]).expect("every type can be shown").to_string()
}

/// What `EXPLAIN` says of a question: what it reads, and its plan.
pub(crate) fn explained(engine: &QueryEngine, sql: &str) -> (String, String) {
    let explained = ask(engine, &format!("EXPLAIN {sql}")).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let (kinds, said) = (explained.column(0).as_string::<i32>(), explained.column(1).as_string::<i32>());
    let of = |kind: &str| {
        let at = kinds.iter().position(|is| is == Some(kind));
        said.value(at.unwrap_or_else(|| panic!("{sql}: no {kind}"))).to_owned()
    };
    (of("reads"), of("physical_plan"))
}

/// What a question reads.
pub(crate) fn reads(engine: &QueryEngine, sql: &str) -> String {
    explained(engine, sql).0
}

/// The single value of an answer.
pub(crate) fn value(engine: &QueryEngine, sql: &str) -> String {
    let batch = ask(engine, sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    assert_eq!((batch.num_rows(), batch.num_columns()), (1, 1), "{sql}");
    let mut out = Vec::new();
    crate::encode::Values::new(batch.column(0)).plain(0, &mut out);
    String::from_utf8(out).expect("values are written as text")
}

/// Waits for a future in a runtime of the caller's own, without timers: the engine must not rely on them.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
