//! What the open windows of running pipelines would say if nothing more came, as tables of the schema `live`. A
//! pipeline's last commit is taken up by an engine of its own, which is told that everything has ended; the pipeline
//! itself does not notice.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use weir_disk::Disk;
use weir_engine::{Effect, Engine, Input, OperatorPlan, Plan, Snapshot, Upstream};
use weir_model::{Committed, Compiler, Epoch, ErrorKind, SeamError, SeamResult};
use weir_query::{LiveTables, Table, TableSource};
use weir_state::SnapshotStore;
use weir_store::Store;

use crate::plan::Job;
use crate::snapshots::snapshot_of;

/// State that is looked into, in bytes of its snapshot, unless there is less memory: it is in memory once more meanwhile.
pub(crate) const STATE_BYTES_MAX: u64 = 256 << 20;
/// How often it is tried again when the pipeline commits meanwhile and removes what was just found.
const TRIES: usize = 5;

/// The tables of a store, and what the open windows of its pipelines say.
#[derive(Debug)]
pub(crate) struct LiveStore {
    store: Arc<Store>,
    windows: Arc<OpenWindows>,
}

impl LiveStore {
    pub(crate) fn new(
        store: Arc<Store>,
        data: &Path,
        compiler: &Arc<dyn Compiler>,
        jobs: &[Job],
        state_bytes_max: u64,
    ) -> SeamResult<Arc<Self>> {
        let snapshots = SnapshotStore::new(Arc::new(Disk), &data.join("state"));
        let mut pipelines = BTreeMap::new();
        // What several processes share has its state in Kafka.
        for job in jobs.iter().filter(|job| job.share.is_none()) {
            let outputs = windowed(job);
            if outputs.is_empty() {
                continue;
            }
            snapshots.place(&job.plan.pipeline, job.snapshots.as_ref())?;
            let pipeline = Pipeline { plan: job.plan.clone(), outputs, said: Mutex::default() };
            pipelines.insert(job.plan.pipeline.clone(), pipeline);
        }
        let (compiler, committed) = (Arc::clone(compiler), Arc::clone(&store));
        let windows = Arc::new(OpenWindows { store: committed, snapshots, compiler, pipelines, state_bytes_max });
        Ok(Arc::new(Self { store, windows }))
    }
}

impl TableSource for LiveStore {
    fn snapshot(&self) -> SeamResult<weir_query::Snapshot> {
        let windows: Arc<dyn LiveTables> = Arc::<OpenWindows>::clone(&self.windows);
        Ok(weir_query::Snapshot { live: Some(windows), ..TableSource::snapshot(&*self.store)? })
    }

    fn found_corrupt(&self, path: &Path, reason: &str) {
        TableSource::found_corrupt(&*self.store, path, reason);
    }

    fn found_bad_index(&self, path: &Path, reason: &str) {
        TableSource::found_bad_index(&*self.store, path, reason);
    }
}

/// The pipelines that have windows.
struct OpenWindows {
    store: Arc<Store>,
    snapshots: SnapshotStore,
    compiler: Arc<dyn Compiler>,
    pipelines: BTreeMap<String, Pipeline>,
    state_bytes_max: u64,
}

impl std::fmt::Debug for OpenWindows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenWindows").field("pipelines", &self.pipelines.keys()).finish_non_exhaustive()
    }
}

struct Pipeline {
    plan: Plan,
    outputs: Vec<Output>,
    /// What its windows said at the commit that was asked last. Who asks for the same waits for it.
    said: Mutex<Option<(Epoch, Said)>>,
}

/// The rows of each output, by its index.
type Said = BTreeMap<usize, Vec<RecordBatch>>;

/// An output of what windows make.
struct Output {
    index: usize,
    name: String,
    /// The columns that it has at least.
    columns: SchemaRef,
    time_column: Option<String>,
}

/// The outputs of what windows make and nothing else is looked up for: an engine of its own has no tables.
fn windowed(job: &Job) -> Vec<Output> {
    let of_plan = job.plan.outputs.iter().zip(&job.outputs).enumerate();
    let windowed = of_plan.filter(|(_, (output, _))| is_of_windows(&job.plan, output.from));
    let output = |(index, (output, job)): (usize, (&weir_engine::Output, &crate::plan::JobOutput))| Output {
        index,
        name: output.name.clone(),
        columns: job.columns.clone().unwrap_or_else(|| Arc::new(Schema::empty())),
        time_column: job.time_column.clone(),
    };
    windowed.map(output).collect()
}

fn is_of_windows(plan: &Plan, from: Upstream) -> bool {
    let Upstream::Node(index) = from else { return false };
    let node = &plan.nodes[index];
    match &node.operator {
        OperatorPlan::Window(_) => true,
        OperatorPlan::Enrich(_) => false,
        _ => node.inputs().into_iter().any(|from| is_of_windows(plan, from)),
    }
}

impl OpenWindows {
    /// The pipeline and the output that a name means: a pipeline's first, or one of them.
    fn find(&self, name: &str) -> Option<(&Pipeline, &Output)> {
        if let Some(pipeline) = self.pipelines.get(name) {
            return Some((pipeline, pipeline.outputs.first()?));
        }
        let (of, name) = name.split_once('.')?;
        let pipeline = self.pipelines.get(of)?;
        Some((pipeline, pipeline.outputs.iter().find(|output| output.name == name)?))
    }

    /// What the windows of a pipeline say at its last commit.
    fn rows(&self, pipeline: &Pipeline, output: usize) -> SeamResult<Vec<RecordBatch>> {
        let mut said = pipeline.said.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &pipeline.plan.pipeline;
        let mut tried = 0;
        loop {
            let Some(newest) = self.store.commits(name)?.into_iter().next() else { return Ok(Vec::new()) };
            if said.as_ref().is_none_or(|(epoch, _)| *epoch != newest.epoch) {
                let committed = newest.commit?;
                match self.fire(&pipeline.plan, &committed) {
                    Ok(rows) => *said = Some((newest.epoch, rows)),
                    // The pipeline has committed since, and what its state was is gone.
                    Err(_) if tried < TRIES && self.is_older(name, newest.epoch)? => {
                        tried += 1;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let rows = said.as_ref().and_then(|(_, rows)| rows.get(&output)).cloned();
            return Ok(rows.unwrap_or_default());
        }
    }

    fn is_older(&self, pipeline: &str, epoch: Epoch) -> SeamResult<bool> {
        Ok(self.store.commits(pipeline)?.first().is_some_and(|newest| newest.epoch > epoch))
    }

    fn fire(&self, plan: &Plan, committed: &Committed) -> SeamResult<Said> {
        let bytes = match &committed.snapshot {
            Some(name) => self.snapshots.describe(&plan.pipeline, name)?.bytes,
            None => 0,
        };
        let most = self.state_bytes_max;
        if bytes > most {
            let message = format!(
                "the state of pipeline {} has {bytes} bytes; up to {most} are looked into while it runs",
                plan.pipeline
            );
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        let snapshot: Snapshot = snapshot_of(&self.snapshots, &plan.pipeline, committed)?;
        let engine = Engine::restore(plan.clone(), Arc::clone(&self.compiler), snapshot);
        let mut engine = engine.map_err(|error| {
            let message = format!("the state of pipeline {} cannot be looked into", plan.pipeline);
            SeamError::caused(ErrorKind::Config, message, error)
        })?;
        let mut effects = Vec::new();
        engine.step(Input::End, &mut effects);
        let mut said = Said::new();
        for effect in effects {
            if let Effect::Emit { output, rows } = effect {
                said.entry(output).or_default().push(rows);
            }
        }
        Ok(said)
    }
}

impl LiveTables for OpenWindows {
    fn declared(&self) -> Vec<(String, SchemaRef)> {
        let tables = self.pipelines.iter().flat_map(|(name, pipeline)| {
            let only = pipeline.outputs.len() == 1;
            let several = pipeline.outputs.iter().filter(move |_| !only);
            let own = pipeline.outputs.iter().take(1).map(|output| (name.clone(), Arc::clone(&output.columns)));
            own.chain(several.map(move |output| (format!("{name}.{}", output.name), Arc::clone(&output.columns))))
        });
        tables.collect()
    }

    fn table(&self, name: &str) -> SeamResult<Option<Table>> {
        let Some((pipeline, output)) = self.find(name) else { return Ok(None) };
        let rows = self.rows(pipeline, output.index)?;
        let schema = columns(&output.columns, &rows);
        let fitted = rows.iter().map(|rows| fitted(rows, &schema)).collect::<Result<Vec<_>, _>>();
        let fresh = fitted.map_err(|error| {
            let message = format!("the windows of pipeline {} do not agree on their columns", pipeline.plan.pipeline);
            SeamError::caused(ErrorKind::Config, message, error)
        })?;
        let time_column = output.time_column.clone().filter(|column| schema.index_of(column).is_ok());
        Ok(Some(Table { schema, time_column, segments: Vec::new(), fresh, keep: None }))
    }
}

/// The columns that are declared, and those that rows have besides.
fn columns(declared: &SchemaRef, rows: &[RecordBatch]) -> SchemaRef {
    let mut fields: Vec<_> = declared.fields().iter().cloned().collect();
    for field in rows.iter().flat_map(|rows| rows.schema().fields().iter().cloned().collect::<Vec<_>>()) {
        match fields.iter_mut().find(|known| known.name() == field.name()) {
            // What is declared may not know the type yet.
            Some(known) if known.data_type().is_null() => *known = field,
            Some(_) => {}
            None => fields.push(field),
        }
    }
    Arc::new(Schema::new(
        fields.into_iter().map(|field| field.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
    ))
}

fn fitted(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &Arc<arrow::datatypes::Field>| -> Result<ArrayRef, ArrowError> {
        match rows.column_by_name(field.name()) {
            Some(column) => cast(column, field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows.num_rows())),
        }
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}
