//! Runs queries, each under its limits, on threads of its own; keeps nothing between them but the caches of footers.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use futures::{FutureExt, StreamExt};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use weir_model::{ErrorKind, Pressure, PressureLevel, SeamError, SeamResult};

use crate::condition::RowCondition;
use crate::door::Door;
use crate::error::{QueryError, QueryErrorCode};
use crate::gather;
use crate::guard::Stop;
use crate::indexes::{BadIndex, Cost, Indexes, Scans};
use crate::limits::{Limits, RunOptions};
use crate::pattern;
use crate::pg_catalog;
use crate::plan::{Description, Notes, Planned, Session, limited, on_own_thread};
use crate::pool::FairPool;
use crate::reader::Damage;
use crate::result::{BATCHES_AHEAD, QueryResult};
use crate::running::{Entered, Relief, Running};
use crate::snapshot::{Snapshot, TableSource};
use crate::statement::SCHEMA;
use crate::words;

/// The stack of the threads that execute: expressions are evaluated recursively.
const EXECUTION_STACK_BYTES: usize = 16 << 20;
/// What clients that think in catalogs are told that ours is called.
const CATALOG: &str = "weir";
/// How many consumers an error about memory names.
const CONSUMERS_NAMED: usize = 3;
/// What a sort keeps back to merge what it has spilled: the default, and the part of all memory that it may be.
const MERGE_BYTES: usize = 10 << 20;
const MERGE_PART: usize = 16;
/// How long a query that was given up may take to end before the next one is.
const ENDING_MAX: Duration = Duration::from_millis(250);
/// Scans of at least this many bytes are spread over several threads.
const SPREAD_BYTES_MIN: usize = 4 << 20;

/// Answers questions about the tables of a source.
#[derive(Debug)]
pub struct QueryEngine {
    source: Arc<dyn TableSource>,
    limits: Arc<Limits>,
    base: SessionState,
    indexes: Arc<Indexes>,
    turns: Arc<Semaphore>,
    /// Turns of queries that ask for more time than others have: one turn is never theirs.
    long_turns: Arc<Semaphore>,
    running: Running,
    door: Door,
    pressure: Pressure,
    /// Always there until the engine is dropped.
    runtime: Option<Runtime>,
    /// Deadlines, on a thread that no query can keep busy.
    clock: Option<Runtime>,
}

impl Drop for QueryEngine {
    fn drop(&mut self) {
        for runtime in [self.runtime.take(), self.clock.take()].into_iter().flatten() {
            // an engine may be dropped inside of another runtime, where waiting is not allowed
            runtime.shutdown_background();
        }
    }
}

impl QueryEngine {
    /// An engine with its own threads.
    ///
    /// # Errors
    /// `Config` when threads or the folder for temporary files cannot be had.
    pub fn new(source: Arc<dyn TableSource>, limits: Limits) -> SeamResult<Self> {
        Self::heeding(source, limits, Pressure::default())
    }

    /// The same, of a process in which memory may become scarce, as `pressure` says: then queries hold less, new ones wait, and
    /// [`QueryEngine::relieve`] ends some.
    ///
    /// # Errors
    /// As [`QueryEngine::new`].
    pub fn heeding(source: Arc<dyn TableSource>, limits: Limits, pressure: Pressure) -> SeamResult<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.threads)
            .thread_name("weir-query")
            .thread_stack_size(EXECUTION_STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| SeamError::caused(ErrorKind::Config, "no threads for queries", error))?;
        let clock = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("weir-query-time")
            .enable_time()
            .build()
            .map_err(|error| SeamError::caused(ErrorKind::Config, "no thread for the deadlines of queries", error))?;
        let base = base_state(&limits, &pressure)
            .map_err(|error| SeamError::caused(ErrorKind::Config, "queries cannot be set up", error))?;
        let turns = Arc::new(Semaphore::new(limits.concurrent_max));
        let long_turns = Arc::new(Semaphore::new(limits.concurrent_max.saturating_sub(1).max(1)));
        let indexes = Arc::new(Indexes::new(limits.index_cache_bytes));
        let running = Running::default();
        Ok(Self {
            source,
            limits: Arc::new(limits),
            base,
            indexes,
            turns,
            long_turns,
            door: Door::new(pressure.clone(), running.clone()),
            running,
            pressure,
            runtime: Some(runtime),
            clock: Some(clock),
        })
    }

    /// Answers `sql`. The answer comes batch by batch; dropping it, or this future, ends the query.
    ///
    /// # Errors
    /// When the text is refused or cannot be planned, or there is no turn for it; what goes wrong later comes with the
    /// batches.
    pub async fn run(&self, sql: &str, options: RunOptions) -> Result<QueryResult, QueryError> {
        self.check(&options)?;
        let (text, limits, wanted) = (sql.to_owned(), Arc::clone(&self.limits), options.clone());
        let make = move |session: Session| async move { session.plan_sql(&text, &limits, &wanted).await };
        self.start(None, options, sql.to_owned(), make).await
    }

    /// What `sql` asks for and would answer, without computing it. Placeholders of which the text does not say what they are
    /// are what is `declared` for them.
    ///
    /// # Errors
    /// As [`QueryEngine::run`].
    pub async fn describe(&self, sql: &str, declared: &[Option<DataType>]) -> Result<Description, QueryError> {
        let (text, limits, declared) = (sql.to_owned(), Arc::clone(&self.limits), declared.to_vec());
        let describe = move |session: Session| async move { session.describe(&text, &limits, &declared).await };
        self.in_session(None, Notes::default(), describe).await
    }

    /// The condition `text`, in SQL, on rows of `table`: what could stand behind `WHERE`, and nothing else.
    ///
    /// # Errors
    /// As [`QueryEngine::run`]; `InvalidQuery` when it is more than a condition, or is not the same each time it is asked.
    pub async fn condition(&self, table: &str, text: &str) -> Result<RowCondition, QueryError> {
        let (table, text, limits) = (table.to_owned(), text.to_owned(), Arc::clone(&self.limits));
        let compile =
            move |session: Session| async move { RowCondition::compile(session, &limits, &table, &text).await };
        self.in_session(None, Notes::default(), compile).await
    }

    /// [`QueryEngine::run`] for threads that may wait. Not to be called inside of an async runtime.
    ///
    /// # Errors
    /// As [`QueryEngine::run`].
    pub fn run_blocking(&self, sql: &str, options: RunOptions) -> Result<QueryResult, QueryError> {
        self.clock().block_on(self.run(sql, options))
    }

    /// All tables at this moment.
    ///
    /// # Errors
    /// As the source says.
    pub fn snapshot(&self) -> Result<Snapshot, QueryError> {
        Ok(self.source.snapshot()?)
    }

    /// What each query may take.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many queries run now.
    pub fn running(&self) -> usize {
        self.limits.concurrent_max.saturating_sub(self.turns.available_permits())
    }

    /// How scarce memory is.
    pub fn pressure(&self) -> &Pressure {
        &self.pressure
    }

    /// Gives up the query that holds the most memory, unless one that was given up has not ended yet. Its answer ends with an
    /// error that says how scarce memory is.
    pub fn relieve(&self) -> Relief {
        self.running.give_up_largest(&self.pressure.to_string(), ENDING_MAX)
    }

    /// Runs a plan that `make` builds over `snapshot`.
    pub(crate) async fn run_plan(
        &self,
        snapshot: &Arc<Snapshot>,
        make: impl FnOnce(&Session) -> Result<LogicalPlan, QueryError> + Send + 'static,
    ) -> Result<QueryResult, QueryError> {
        self.start_plan(snapshot, RunOptions::default(), make).await
    }

    /// Runs a plan that a person asked for, under the limits for people.
    pub(crate) async fn run_plan_with(
        &self,
        snapshot: &Arc<Snapshot>,
        options: RunOptions,
        make: impl FnOnce(&Session) -> Result<LogicalPlan, QueryError> + Send + 'static,
    ) -> Result<QueryResult, QueryError> {
        self.check(&options)?;
        let rows = options.max_rows;
        let make = move |session: &Session| limited(make(session)?, rows);
        self.start_plan(snapshot, options, make).await
    }

    /// What a plan that `make` builds over `snapshot` would read at most.
    pub(crate) async fn estimate(
        &self,
        snapshot: &Arc<Snapshot>,
        make: impl FnOnce(&Session) -> Result<LogicalPlan, QueryError> + Send + 'static,
    ) -> Result<Cost, QueryError> {
        let notes = Notes::default();
        let scans = notes.scans.clone();
        let plan = move |session: Session| async move {
            let plan = make(&session)?;
            session.plan_logical(plan, "").await
        };
        self.in_session(Some(Arc::clone(snapshot)), notes, plan).await?;
        Ok(scans.cost())
    }

    /// What `work` makes of a session over `snapshot`, or over the tables of this moment: on a thread of its own, in its
    /// turn, within the time that every question has.
    async fn in_session<T: Send + 'static, F: Future<Output = Result<T, QueryError>>>(
        &self,
        snapshot: Option<Arc<Snapshot>>,
        notes: Notes,
        work: impl FnOnce(Session) -> F + Send + 'static,
    ) -> Result<T, QueryError> {
        let mut deadline = self.alarm(Instant::now() + self.limits.timeout);
        let permit = self.begin(&notes.stop).await?;
        let held = Arc::clone(&permit.1.question.held);
        let (base, source, handle) = (self.base.clone(), Arc::clone(&self.source), self.runtime().handle().clone());
        let indexes = Arc::clone(&self.indexes);
        let worked = on_own_thread(move || {
            let _permit = permit;
            let snapshot = snapshot.map_or_else(|| source.snapshot().map(Arc::new), Ok)?;
            handle.block_on(work(Session::new(base, snapshot, indexes, notes, held)))
        });
        tokio::select! {
            worked = worked => worked,
            () = deadline.rings() => Err(QueryError::timeout(self.limits.timeout)),
        }
    }

    async fn start_plan(
        &self,
        snapshot: &Arc<Snapshot>,
        options: RunOptions,
        make: impl FnOnce(&Session) -> Result<LogicalPlan, QueryError> + Send + 'static,
    ) -> Result<QueryResult, QueryError> {
        let make = move |session: Session| async move {
            let plan = make(&session)?;
            session.plan_logical(plan, "").await
        };
        self.start(Some(Arc::clone(snapshot)), options, String::new(), make).await
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime is taken only when the engine is dropped")
    }

    fn clock(&self) -> &Runtime {
        self.clock.as_ref().expect("the clock is taken only when the engine is dropped")
    }

    fn check(&self, options: &RunOptions) -> Result<(), QueryError> {
        match (self.limits.rows_max, options.max_rows) {
            (Some(max), Some(asked)) if asked > max => {
                let message = format!("{asked} rows are asked for; at most {max} are returned");
                Err(QueryError::new(QueryErrorCode::TooManyRows, message))
            }
            (Some(max), None) => {
                let message = format!("all rows are asked for; at most {max} are returned");
                Err(QueryError::new(QueryErrorCode::TooManyRows, message))
            }
            _ => Ok(()),
        }
    }

    async fn start<F: Future<Output = Result<Planned, QueryError>>>(
        &self,
        snapshot: Option<Arc<Snapshot>>,
        options: RunOptions,
        sql: String,
        make: impl FnOnce(Session) -> F + Send + 'static,
    ) -> Result<QueryResult, QueryError> {
        let started = Instant::now();
        let longest = self.limits.timeout_max.max(self.limits.timeout);
        let timeout = options.timeout.map_or(self.limits.timeout, |timeout| timeout.min(longest));
        let mut deadline = self.alarm(started + timeout);
        let long = match timeout > self.limits.timeout {
            true => Some(self.turn_of(&self.long_turns).await?),
            false => None,
        };
        let notes = Notes::default();
        let (turn, entered) = self.begin(&notes.stop).await?;
        let permit = (turn, long);
        let question = Arc::clone(&entered.question);
        let held = Arc::clone(&question.held);
        let (base, source, handle) = (self.base.clone(), Arc::clone(&self.source), self.runtime().handle().clone());
        let (indexes, told) = (Arc::clone(&self.indexes), notes.clone());
        let planning = on_own_thread(move || {
            let snapshot = snapshot.map_or_else(|| source.snapshot().map(Arc::new), Ok)?;
            let mut warnings = snapshot.warnings.clone();
            let planned = handle.block_on(make(Session::new(base, snapshot, indexes, told.clone(), held)))?;
            warnings.extend(without_index(&told.scans, &*source));
            Ok((planned, warnings, permit, entered))
        });
        let (planned, warnings, permit, entered) = tokio::select! {
            planned = planning => planned?,
            () = deadline.rings() => return Err(QueryError::timeout(timeout)),
        };
        let schema = planned.schema();
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        let Notes { damage, stop, scans: _ } = notes;
        let run = Run { sql, damage, source: Arc::clone(&self.source), sender, _permit: permit, entered };
        let task = self.runtime().spawn(run.until_the_end(planned)).abort_handle();
        question.runs_in(task.clone());
        Ok(QueryResult {
            schema,
            batches,
            deadline,
            timeout,
            task,
            stop,
            question,
            limits: Arc::clone(&self.limits),
            clock: self.clock().handle().clone(),
            options,
            started,
            elapsed: None,
            warnings,
            rows: 0,
            bytes: 0,
            truncated: false,
        })
    }

    /// A turn and the query that has it, when there is memory for one more.
    async fn begin(&self, stop: &Stop) -> Result<(OwnedSemaphorePermit, Entered), QueryError> {
        let turn = self.turn_of(&self.turns).await?;
        if self.pressure.level() == PressureLevel::Calm {
            return Ok((turn, self.running.enter(stop.clone())));
        }
        let mut late = self.alarm(Instant::now() + self.limits.queue_timeout);
        let ring = |when| {
            let mut alarm = self.alarm(when);
            async move { alarm.rings().await }
        };
        tokio::select! {
            biased;
            entered = self.door.enter(stop, self.limits.unread_max, ring) => Ok((turn, entered)),
            () = late.rings() => {
                let message = format!("no query is begun: {}", self.pressure);
                let hint = "try again in a moment, or give the process more memory (--memory)";
                Err(QueryError::new(QueryErrorCode::Busy, message).hint(hint))
            }
        }
    }

    async fn turn_of(&self, turns: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, QueryError> {
        let wait = self.limits.queue_timeout;
        let mut late = self.alarm(Instant::now() + wait);
        let turn = tokio::select! {
            biased;
            Ok(permit) = Arc::clone(turns).acquire_owned() => Some(permit),
            () = late.rings() => None,
        };
        turn.ok_or_else(|| {
            let running = self.limits.concurrent_max;
            QueryError::new(
                QueryErrorCode::Busy,
                format!("{running} queries are running and none ended within {wait:?}"),
            )
            .hint("try again in a moment")
        })
    }

    fn alarm(&self, when: Instant) -> Alarm {
        let (ring, rung) = oneshot::channel();
        let task = self.clock().spawn(async move {
            tokio::time::sleep_until(when.into()).await;
            let _ = ring.send(());
        });
        Alarm { rung, task: task.abort_handle() }
    }
}

/// Something that rings once, on the engine's own clock: callers may be in any runtime or in none.
#[derive(Debug)]
pub(crate) struct Alarm {
    rung: oneshot::Receiver<()>,
    task: AbortHandle,
}

impl Alarm {
    /// Returns when it rings.
    pub(crate) async fn rings(&mut self) {
        if (&mut self.rung).await.is_err() {
            // the engine is gone: whatever is waited for will end by itself
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One query on its way.
struct Run {
    sql: String,
    damage: Damage,
    source: Arc<dyn TableSource>,
    sender: mpsc::Sender<Result<RecordBatch, QueryError>>,
    _permit: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
    entered: Entered,
}

impl Run {
    async fn until_the_end(self, planned: Planned) {
        match planned {
            Planned::Answer(batch) => {
                let _ = self.sender.send(Ok(batch)).await;
            }
            Planned::Plan(plan, context) => {
                let result = AssertUnwindSafe(self.execute(plan, context)).catch_unwind().await;
                if let Err(error) = result.unwrap_or_else(|panic| Err(QueryError::from_panic(&*panic))) {
                    let error = self.with_damage(error).await;
                    let _ = self.sender.send(Err(error)).await;
                }
            }
        }
    }

    async fn execute(&self, plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<(), QueryError> {
        let failed = |error| QueryError::from_datafusion(&error, &self.sql);
        let mut stream = execute_stream(plan, context).map_err(failed)?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(failed)?;
            if batch.num_rows() > 0 && !self.put(batch).await {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits until there is room for a batch of the answer; false when nobody wants it any more.
    async fn put(&self, batch: RecordBatch) -> bool {
        match self.sender.try_send(Ok(batch)) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(batch)) => {
                let _unread = self.entered.waits_for_its_reader();
                self.sender.send(batch).await.is_ok()
            }
        }
    }

    /// Names the files that could not be read, and tells the store about them.
    async fn with_damage(&self, error: QueryError) -> QueryError {
        let files = self.damage.take();
        let Some((path, reason)) = files.first() else { return error };
        let message = format!("the segment {} cannot be read: {reason}", path.display());
        let source = Arc::clone(&self.source);
        let told = files.clone();
        // the store writes to disk
        let telling = tokio::task::spawn_blocking(move || {
            for (path, reason) in &told {
                source.found_corrupt(path, reason);
            }
        });
        if telling.await.is_err() {
            tracing::error!("telling the store about a damaged segment failed");
        }
        QueryError::new(QueryErrorCode::CorruptSegment, message)
            .hint("it is set aside; ask again for an answer without its rows")
    }
}

/// What a query did without a search index, said to the store too.
fn without_index(scans: &Scans, source: &dyn TableSource) -> Vec<String> {
    let faults = scans.faults();
    for fault in &faults {
        source.found_bad_index(&fault.path, &fault.reason);
    }
    let of_tables = faults.chunk_by(|one, next| one.table == next.table);
    let warning = |faults: &[BadIndex]| {
        let BadIndex { table, reason, .. } = &faults[0];
        let segments = faults.len();
        format!(
            "{segments} segments of table {table} were read as a whole, which takes longer: {reason}; it is made again"
        )
    };
    of_tables.map(warning).collect()
}

fn base_state(limits: &Limits, pressure: &Pressure) -> datafusion::error::Result<SessionState> {
    let consumers = std::num::NonZeroUsize::new(CONSUMERS_NAMED).expect("three is not zero");
    let pool = TrackConsumersPool::new(FairPool::new(limits.memory_bytes, pressure.clone()), consumers);
    let spill = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::OsTmpDirectory)
        .with_max_temp_directory_size(limits.spill_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(spill)
        .with_metadata_cache_limit(limits.metadata_cache_bytes)
        .build_arc()?;
    let mut config = SessionConfig::new()
        .with_target_partitions(limits.threads)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.execution.time_zone = Some("+00:00".into());
    options.optimizer.repartition_file_min_size = SPREAD_BYTES_MIN;
    options.execution.enforce_batch_size_in_joins = true;
    options.execution.sort_spill_reservation_bytes = MERGE_BYTES.min(limits.memory_bytes / MERGE_PART);
    let mut state =
        SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features().build();
    state.register_udaf(Arc::new(gather::array_agg()))?;
    state.register_udf(Arc::new(words::has_words()))?;
    state.register_udf(Arc::new(pattern::pattern()))?;
    for function in pg_catalog::functions() {
        state.register_udf(Arc::new(function))?;
    }
    Ok(state)
}

#[cfg(test)]
mod tests;
