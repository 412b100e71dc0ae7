//! Planning, which nothing can interrupt, on a thread that nobody depends on; executes nothing.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{
    CatalogProvider, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider, SchemaProvider,
};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::explain::ExplainExec;
use datafusion::prelude::SQLOptions;
use tokio::sync::oneshot;

use crate::caseless::as_values;
use crate::error::{QueryError, QueryErrorCode};
use crate::guard::{self, Stop};
use crate::indexes::{Indexes, Scans};
use crate::late::{after_times, times_of_newest};
use crate::limits::{Limits, RunOptions};
use crate::newest::{newest_first, once_known};
use crate::parameter;
use crate::pg_catalog::{self, PG_CATALOG};
use crate::pool::OwnPool;
use crate::reader::Damage;
use crate::rollup::from_rollups;
use crate::shapes::by_shapes;
use crate::show;
use crate::snapshot::{Snapshot, Table};
use crate::statement::{self, INFORMATION_SCHEMA, LIVE_SCHEMA, Question};
use crate::table::ScannedTable;
use crate::tenant;
use crate::width::batch_rows;

/// The stack of a planning thread: planning a text that the gate lets through overflows 2 MiB in a debug build.
const PLANNING_STACK_BYTES: usize = 64 << 20;

/// What comes of planning.
pub(crate) enum Planned {
    /// To be executed.
    Plan(Arc<dyn ExecutionPlan>, Arc<TaskContext>),
    /// Already the answer.
    Answer(RecordBatch),
}

impl Planned {
    pub(crate) fn schema(&self) -> SchemaRef {
        match self {
            Self::Plan(plan, _) => plan.schema(),
            Self::Answer(batch) => batch.schema(),
        }
    }
}

/// What a query says while it is planned and runs, and what it is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    pub(crate) damage: Damage,
    pub(crate) stop: Stop,
    pub(crate) scans: Scans,
}

/// What is said of a query before it is computed.
#[derive(Clone, Debug)]
pub struct Description {
    /// The types of its placeholders, from `$1` on; `None` where the text does not say.
    pub parameters: Vec<Option<DataType>>,
    /// The columns of its answer.
    pub schema: SchemaRef,
}

/// What comes of reading a text.
pub(crate) enum Read {
    Plan(LogicalPlan),
    Answer(RecordBatch),
    /// No rows, with these columns; and how many placeholders there are.
    Nothing(SchemaRef, usize),
}

/// The tables that a query may name.
struct Tables<'a> {
    stored: Vec<(String, &'a Table)>,
    live: BTreeMap<String, Table>,
}

impl Tables<'_> {
    fn all(&self) -> Vec<&Table> {
        self.stored.iter().map(|(_, table)| *table).chain(self.live.values()).collect()
    }
}

/// The state and the tables of one query.
pub(crate) struct Session {
    pub(crate) state: SessionState,
    /// Counts what the question holds.
    runtime: Arc<RuntimeEnv>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) damage: Damage,
    pub(crate) stop: Stop,
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) scans: Scans,
}

impl Session {
    /// In a state of its own, with tables of its own; what it holds of the memory of all is added to `held`.
    pub(crate) fn new(
        mut state: SessionState,
        snapshot: Arc<Snapshot>,
        indexes: Arc<Indexes>,
        notes: Notes,
        held: Arc<AtomicUsize>,
    ) -> Self {
        let mut runtime = state.runtime_env().as_ref().clone();
        runtime.memory_pool = Arc::new(OwnPool { shared: runtime.memory_pool, held });
        let Notes { damage, stop, scans } = notes;
        state.register_catalog_list(Arc::new(MemoryCatalogProviderList::new()));
        // What `now()` is, for all of the query.
        state.mark_start_execution();
        Self { state, runtime: Arc::new(runtime), snapshot, damage, stop, indexes, scans }
    }

    /// The table as a plan can scan it.
    pub(crate) fn scanned(&self, name: &str, table: &Table) -> Arc<ScannedTable> {
        Arc::new(ScannedTable {
            name: name.to_owned(),
            table: table.clone(),
            damage: self.damage.clone(),
            indexes: Arc::clone(&self.indexes),
            scans: self.scans.clone(),
            picked: None,
            newest: None,
        })
    }

    fn register(&self, tables: &Tables<'_>, sql: &str) -> Result<(), QueryError> {
        let failed = |error| QueryError::from_datafusion(&error, sql);
        let catalog = Arc::new(MemoryCatalogProvider::new());
        let names = &self.state.config_options().catalog;
        let schema = Arc::new(MemorySchemaProvider::new());
        for (name, table) in &tables.stored {
            schema.register_table(name.clone(), self.scanned(name, table)).map_err(failed)?;
        }
        catalog.register_schema(&names.default_schema, schema).map_err(failed)?;
        let live = Arc::new(MemorySchemaProvider::new());
        for (name, table) in &tables.live {
            let shown = format!("{LIVE_SCHEMA}.{name}");
            live.register_table(name.clone(), self.scanned(&shown, table)).map_err(failed)?;
        }
        catalog.register_schema(LIVE_SCHEMA, live).map_err(failed)?;
        self.state.catalog_list().register_catalog(names.default_catalog.clone(), catalog);
        Ok(())
    }

    /// Adds PostgreSQL's catalog, under its name and, as PostgreSQL does, for names without a schema.
    fn register_catalog(&self) -> datafusion::error::Result<()> {
        let names = &self.state.config_options().catalog;
        let Some(catalog) = self.state.catalog_list().catalog(&names.default_catalog) else { return Ok(()) };
        let own = Arc::new(MemorySchemaProvider::new());
        pg_catalog::register(&*own, &self.snapshot)?;
        catalog.register_schema(PG_CATALOG, own)?;
        match catalog.schema(&names.default_schema) {
            Some(schema) => pg_catalog::register(&*schema, &self.snapshot),
            None => Ok(()),
        }
    }

    /// Adds the standard's tables about tables.
    fn register_information(&self) -> datafusion::error::Result<()> {
        let names = &self.state.config_options().catalog;
        let Some(catalog) = self.state.catalog_list().catalog(&names.default_catalog) else { return Ok(()) };
        let own = Arc::new(MemorySchemaProvider::new());
        pg_catalog::information::register(&*own, &self.snapshot)?;
        catalog.register_schema(INFORMATION_SCHEMA, own).map(drop)
    }

    /// Plans the text of a person.
    pub(crate) async fn plan_sql(
        self,
        sql: &str,
        limits: &Limits,
        options: &RunOptions,
    ) -> Result<Planned, QueryError> {
        let plan = match self.read(sql, limits).await? {
            Read::Answer(batch) => return Ok(Planned::Answer(batch)),
            Read::Nothing(schema, _) => return Ok(Planned::Answer(RecordBatch::new_empty(schema))),
            Read::Plan(plan) => parameter::filled(plan, &options.parameters, sql)?,
        };
        let plan = match &plan {
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => plan,
            _ => limited(plan, options.max_rows)?,
        };
        self.plan_logical(plan, sql).await
    }

    /// What a text asks for and answers, without computing it.
    pub(crate) async fn describe(
        self,
        sql: &str,
        limits: &Limits,
        declared: &[Option<DataType>],
    ) -> Result<Description, QueryError> {
        Ok(match self.read(sql, limits).await? {
            Read::Answer(batch) => Description { parameters: Vec::new(), schema: batch.schema() },
            Read::Nothing(schema, placeholders) => Description { parameters: vec![None; placeholders], schema },
            Read::Plan(plan) => {
                // As it will be computed: types may change on the way.
                let (plan, parameters) = parameter::outlined(plan, declared, sql)?;
                let analyzed = self.state.analyzer().execute_and_check(plan, self.state.config_options(), |_, _| {});
                let analyzed = analyzed.map_err(|error| QueryError::from_datafusion(&error, sql))?;
                Description { parameters, schema: Arc::clone(analyzed.schema().inner()) }
            }
        })
    }

    /// From a text to the plan of what it says, with its placeholders.
    pub(crate) async fn read(&self, sql: &str, limits: &Limits) -> Result<Read, QueryError> {
        let failed = |error| QueryError::from_datafusion(&error, sql);
        let mut statement = match statement::parse(sql, limits)? {
            Question::Query(statement) => statement,
            Question::Tables => return Ok(Read::Answer(show::tables(&self.snapshot)?)),
            Question::Columns(name) => {
                return Ok(Read::Answer(show::columns(statement::find_table(&name, &self.snapshot, sql)?)?));
            }
        };
        tenant::join_names(statement::query_of_mut(&mut statement), &self.snapshot);
        let named = statement::tables_of(&statement, &self.snapshot, sql)?;
        let is_ours = |name: &str| self.snapshot.tables.contains_key(name);
        if let Some(schema) = pg_catalog::empty_answer(&statement, &is_ours).filter(|_| named.asks_catalog) {
            return Ok(Read::Nothing(schema, parameter::count(statement::query_of_mut(&mut statement))));
        }
        let is_function = |name: &String| self.state.table_functions().contains_key(name);
        let found = named.tables.into_iter().filter(|name| !is_function(name)).map(|name| {
            let table = statement::find_table(&name, &self.snapshot, sql)?;
            Ok((name, table))
        });
        let stored: Vec<(String, &Table)> = found.collect::<Result<_, QueryError>>()?;
        let live = named.live.into_iter().map(|name| {
            let table = statement::live_table(&name, &self.snapshot, sql)?;
            Ok((name, table))
        });
        let tables = Tables { stored, live: live.collect::<Result<_, QueryError>>()? };
        statement::mend_names(&mut statement, &tables.all());
        self.register(&tables, sql)?;
        if named.asks_catalog {
            self.register_catalog().map_err(failed)?;
        }
        if named.asks_information {
            self.register_information().map_err(failed)?;
        }
        let plan = self.state.statement_to_plan(*statement).await.map_err(failed)?;
        let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        read_only
            .verify_plan(&plan)
            .map_err(|error| QueryError::new(QueryErrorCode::ReadOnly, error.strip_backtrace()))?;
        guard::refuse_bombs(&plan)?;
        Ok(Read::Plan(plan))
    }

    /// Plans what was built by our own hands.
    pub(crate) async fn plan_logical(mut self, plan: LogicalPlan, sql: &str) -> Result<Planned, QueryError> {
        let failed = |error| QueryError::from_datafusion(&error, sql);
        let mut optimized = self.state.optimize(&plan).map_err(failed)?;
        if let Some(rewritten) = from_rollups(&optimized).map_err(failed)? {
            optimized = self.state.optimize(&rewritten).map_err(failed)?;
        }
        if let Some(rewritten) = by_shapes(&optimized).map_err(failed)? {
            optimized = self.state.optimize(&rewritten).map_err(failed)?;
        }
        let Transformed { data: mut optimized, transformed: has_newest_first, .. } =
            newest_first(optimized).map_err(failed)?;
        optimized = as_values(optimized).map_err(failed)?;
        let late = if has_newest_first { times_of_newest(&optimized).map_err(failed)? } else { None };
        if late.is_some() {
            optimized = once_known(optimized).map_err(failed)?;
        }
        if !matches!(optimized, LogicalPlan::Explain(_)) {
            optimized = guard::stoppable(optimized, &self.stop).map_err(failed)?;
        }
        let options = self.state.config_mut().options_mut();
        options.execution.parquet.pushdown_filters = retrieves_rows(&optimized);
        options.optimizer.repartition_sorts &= !has_newest_first;
        options.execution.batch_size = batch_rows(&optimized).map_err(failed)?;
        let planner = Arc::clone(self.state.query_planner());
        let mut physical = planner.create_physical_plan(&optimized, &self.state).await.map_err(failed)?;
        if let Some(late) = late {
            self.scans.say(late.said);
            let times = planner.create_physical_plan(&late.times, &self.state).await.map_err(failed)?;
            physical = after_times(physical, &times, late.fetch).map_err(failed)?;
        }
        if let Some(explained) = physical.downcast_ref::<ExplainExec>() {
            return Ok(Planned::Answer(show::explained(explained, &self.scans.lines())?));
        }
        Ok(Planned::Plan(guard::yielding(physical).map_err(failed)?, Arc::new(self.context())))
    }

    /// What plans are executed in: they hold the functions they call, and look none up.
    fn context(&self) -> TaskContext {
        let (id, config) = (self.state.session_id().to_owned(), self.state.config().clone());
        let runtime = Arc::clone(&self.runtime);
        TaskContext::new(None, id, config, HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new(), runtime)
    }
}

/// One row more than asked for, to know whether there are more.
pub(crate) fn limited(plan: LogicalPlan, rows: Option<u64>) -> Result<LogicalPlan, QueryError> {
    let Some(rows) = rows else { return Ok(plan) };
    let rows = usize::try_from(rows.saturating_add(1)).unwrap_or(usize::MAX);
    let limited = LogicalPlanBuilder::from(plan).limit(0, Some(rows)).and_then(LogicalPlanBuilder::build);
    limited.map_err(|error| QueryError::from_datafusion(&error, ""))
}

/// Whether few rows of many columns are wanted. Then rows are filtered while they are decoded, column by column, which
/// costs more per row and saves decoding the rest; an aggregate over most rows is slower that way.
fn retrieves_rows(plan: &LogicalPlan) -> bool {
    let mut retrieves = true;
    let walked = plan.apply_with_subqueries(|node| {
        let combines = matches!(
            node,
            LogicalPlan::Aggregate(_) | LogicalPlan::Join(_) | LogicalPlan::Window(_) | LogicalPlan::Distinct(_)
        );
        retrieves &= !combines;
        Ok(if combines { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.is_ok() && retrieves
}

/// Runs `work` on a thread of its own with [`PLANNING_STACK_BYTES`] of stack. The thread goes on when nobody waits for
/// it any more; whatever `work` holds (a permit) is held until it ends.
pub(crate) async fn on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    let (sender, receiver) = oneshot::channel();
    let thread = std::thread::Builder::new().name("weir-plan".into()).stack_size(PLANNING_STACK_BYTES);
    let spawned = thread.spawn(move || {
        let result = std::panic::catch_unwind(AssertUnwindSafe(work));
        let _ = sender.send(result.unwrap_or_else(|panic| Err(QueryError::from_panic(&*panic))));
    });
    if let Err(error) = spawned {
        return Err(QueryError::new(QueryErrorCode::Busy, format!("no thread to plan on: {error}")));
    }
    receiver.await.unwrap_or_else(|_| Err(QueryError::new(QueryErrorCode::Internal, "the planning thread went away")))
}
