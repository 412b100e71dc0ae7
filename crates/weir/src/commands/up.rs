//! `weir up`: pipelines, ingest, queries and the page, in one process, until it is told to stop.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use weir_model::{ErrorKind, Pressure, SeamError};
use weir_observe::{BuildInfo, Metrics, TableMeasure, TopicMeasure};
use weir_query::QueryEngine;
use weir_serve::{AppState, Flight, Postgres, ServeConfig, Server};
use weir_sql::SqlCompiler;
use weir_store::TableSnapshot;

use super::load;
use crate::cli::UpArgs;
use crate::dead_letters::StoredLetters;
use crate::deletions::{StoredRows, new_token};
use crate::exit::Failure;
use crate::ingest::LogIngest;
use crate::live::LiveStore;
use crate::memory::{Memory, Use};
use crate::plan::Job;
use crate::registry::Serving;
use crate::replay::StoredReplays;
use crate::retention::{TopicReader, log_config};
use crate::running::{Recovery, Shared, Supervisor, Until};
use crate::trust::{Kept, Trust};
use crate::{housekeeping, signals, tables};

/// What runs when no pipeline is named: rows that are posted are stored.
const DEFAULT_PIPELINE: &str = include_str!("default.yaml");

/// How the time of a stop is shared, in tenths: the pipelines' last commit, then open requests
/// ([`weir_serve::Limits::shutdown_time_max`]). The rest is for what nobody waits on.
const STOP_TENTHS: (u32, u32) = (3, 6);

/// Runs the command.
///
/// # Errors
/// When a pipeline is wrong, the data folder or the address cannot be used, or the disk can no longer be trusted.
pub async fn run(args: &UpArgs) -> Result<(), Failure> {
    let mut jobs = jobs(args)?;
    allow_recovery(&mut jobs, args)?;
    let memory = Memory::new(args.memory, Use::Up)?;
    memory.share_among(&mut jobs)?;
    let compiler = Arc::new(SqlCompiler::new());
    let shared = Shared::open_with(&args.data, log_config(&jobs)?, memory.store(&jobs)?, compiler)?;
    tables::settle(&shared.store, &jobs)?;
    let health = Arc::clone(&shared.health);
    let live = LiveStore::new(Arc::clone(&shared.store), &args.data, &shared.compiler, &jobs, memory.looked_into())?;
    let pressure = Pressure::default();
    let queries = Arc::new(QueryEngine::heeding(live, memory.queries(), pressure.clone())?);
    let trust = Trust::new();
    let letters = StoredLetters::new(Arc::clone(&shared.store), Arc::clone(&shared.log), Some(&jobs));
    let state = AppState {
        board: Arc::clone(&shared.board),
        metrics: metrics(&shared, memory),
        health: Arc::clone(&health),
        ingest: Arc::new(LogIngest::new(Arc::clone(&shared.log), &jobs, memory.unsaved())),
        dead_letters: Arc::new(Kept(letters, trust.clone())),
        replays: Arc::new(Kept(StoredReplays::new(Arc::clone(&shared.store)), trust.clone())),
        deletions: Arc::new(StoredRows::new(Arc::clone(&shared.store), Arc::clone(&queries)).trusting(&trust)),
        token: Some(new_token(&shared.folder)?),
        queries,
        clock: Arc::clone(&shared.clock),
        data_folder: args.data.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (queries, measured) = (Arc::clone(&state.queries), Arc::clone(&state.metrics));
    memory.guard(pressure.clone(), &queries, &measured)?;
    let tenth = args.stop_within.std() / 10;
    let drain_time_max = tenth * STOP_TENTHS.0;
    let limits = weir_serve::Limits { shutdown_time_max: tenth * STOP_TENTHS.1, ..memory.bodies() };
    let config = ServeConfig {
        addr: args.listen,
        allow_unauthenticated: args.allow_unauthenticated,
        limits: limits.clone(),
        ..ServeConfig::default()
    };
    let server = Server::bind(config, state).await?;
    let address = server.local_addr();
    shared.folder.announce(address)?;

    // Before the pipelines, which may ask it.
    let registry = match args.registry {
        Some(address) => Some(Serving::start(&args.data, address, args.allow_unauthenticated).await?),
        None => None,
    };
    let (asked, seen) = (Arc::clone(&queries), Arc::clone(&measured));
    let postgres = match args.postgres {
        Some(address) => Some(Postgres::bind(address, args.allow_unauthenticated, limits.clone(), asked, seen).await?),
        None => None,
    };
    let flight = match args.flight {
        Some(address) => Some(Flight::bind(address, args.allow_unauthenticated, limits, queries, measured).await?),
        None => None,
    };
    let readers = TopicReader::of_jobs(&jobs);
    // Before anybody hears that it is up, and may ask it to stop.
    let stop = signals::stop();
    let mut supervisor = Supervisor::new(shared.clone());
    for job in jobs {
        supervisor.start(job, Until::Stopped)?;
    }
    if let Some(registry) = &registry {
        eprintln!("Its schema registry: http://{}", registry.address);
    }
    if let Some(postgres) = &postgres {
        eprintln!("For clients of PostgreSQL: postgresql://{}/weir", postgres.address());
    }
    if let Some(flight) = &flight {
        eprintln!("For clients of Arrow Flight SQL: grpc://{}", flight.address());
    }
    eprintln!("Weir is up: http://{address}  (data in {}; Ctrl-C stops it)", args.data.display());

    let (stop_server, server_stopped) = tokio::sync::oneshot::channel::<()>();
    let server_stopped = server_stopped.map(drop).shared();
    let serving = tokio::spawn(server.run(server_stopped.clone()));
    let postgres = postgres.map(|postgres| tokio::spawn(postgres.run(server_stopped.clone())));
    let flight = flight.map(|flight| tokio::spawn(flight.run(server_stopped)));
    let keeping = tokio::spawn(housekeeping::run(shared.clone(), Arc::clone(&health), readers, (memory, pressure)));
    let mut fatal = wait(&mut supervisor, stop, &trust).await;

    health.refuse("weir", "shutting down");
    supervisor.stop();
    let all_ended = async {
        while let Some(ended) = supervisor.next_end().await {
            // A disk that fails the last commit is told by the exit code too.
            fatal = fatal.take().or(ended.result.err().filter(|error| error.kind == ErrorKind::Closed));
        }
    };
    if tokio::time::timeout(drain_time_max, all_ended).await.is_err() {
        // What is not committed is read again at the next start: nothing is lost by not waiting for a sink that hangs.
        tracing::warn!(
            "a pipeline did not come to its last commit within {drain_time_max:?}; it is left at the one before; \
             --stop-within gives it longer"
        );
    }
    keeping.abort();
    let _ = stop_server.send(());
    let _ = serving.await;
    for other in [postgres, flight].into_iter().flatten() {
        let _ = other.await;
    }
    if let Some(registry) = registry {
        registry.stop().await;
    }
    match fatal {
        Some(error) => Err(Failure::run(error.full())),
        None => Ok(()),
    }
}

fn metrics(shared: &Shared, memory: Memory) -> Arc<Metrics> {
    let build = BuildInfo { version: env!("CARGO_PKG_VERSION").to_owned(), commit: "unknown".to_owned() };
    let metrics = Metrics::new(Arc::clone(&shared.board), build, Arc::clone(&shared.clock));
    metrics.limit_memory(memory.bytes());
    let store = Arc::clone(&shared.store);
    metrics.watch_tables(move || {
        match store.snapshot().and_then(|snapshot| Ok((snapshot, store.compaction_debt()?))) {
            Ok((snapshot, debt)) => {
                let of = |table: &TableSnapshot| measure(table, debt.get(&table.name).copied().unwrap_or(0));
                snapshot.tables.values().map(of).collect()
            }
            Err(error) => {
                tracing::warn!(error = error.full(), "the tables cannot be measured");
                Vec::new()
            }
        }
    });
    let log = Arc::clone(&shared.log);
    metrics.watch_topics(move || log.measure().into_iter().map(measure_topic).collect());
    Arc::new(metrics)
}

fn measure_topic(partition: weir_log::PartitionMeasure) -> TopicMeasure {
    TopicMeasure {
        topic: partition.topic,
        partition: partition.partition.to_string(),
        start: partition.start,
        end: partition.end,
        bytes: partition.bytes,
        held_bytes: partition.held_bytes,
        deleted_bytes: partition.deleted_bytes,
        deleted_unread_records: partition.deleted_unread_records,
    }
}

fn measure(table: &TableSnapshot, compaction_debt_segments: u64) -> TableMeasure {
    TableMeasure {
        name: table.name.clone(),
        rows: table.segments.iter().map(|segment| segment.rows).sum(),
        bytes: table.bytes(),
        segments: table.segments.len() as u64,
        fresh_rows: table.fresh.iter().map(|batch| batch.num_rows() as u64).sum(),
        compaction_debt_segments,
    }
}

fn jobs(args: &UpArgs) -> Result<Vec<Job>, Failure> {
    if args.pipelines.is_empty() {
        return Ok(vec![load::text("default pipeline", DEFAULT_PIPELINE, &args.overrides)?]);
    }
    let jobs: Vec<Job> =
        args.pipelines.iter().map(|path| load::job(path, &args.overrides)).collect::<Result<_, _>>()?;
    for (index, job) in jobs.iter().enumerate() {
        if jobs[..index].iter().any(|other| other.plan.pipeline == job.plan.pipeline) {
            return Err(Failure::refused(format!(
                "two pipelines are called {}: give one of them another name, since their state is kept by name",
                job.plan.pipeline
            )));
        }
    }
    Ok(jobs)
}

/// What the command line allows pipelines to do about state that they cannot use.
fn allow_recovery(jobs: &mut [Job], args: &UpArgs) -> Result<(), Failure> {
    let mut resets: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for reset in &args.reset_state {
        let (pipeline, step) = reset.split_once('/').unwrap_or((reset, ""));
        resets.entry(pipeline).or_default().push(step.to_owned());
    }
    for job in jobs.iter_mut() {
        let steps = resets.remove(job.plan.pipeline.as_str()).unwrap_or_default();
        let fall_back = job.recovery.fall_back || args.fall_back;
        job.recovery = Recovery { fall_back, reset: super::run::reset(&steps) };
    }
    let Some(unknown) = resets.keys().next() else { return Ok(()) };
    let names: Vec<&str> = jobs.iter().map(|job| job.plan.pipeline.as_str()).collect();
    Err(Failure::refused(format!(
        "--reset-state names the pipeline {unknown}, and there is none of that name here; there are: {}",
        names.join(", ")
    )))
}

/// Waits until the process is told to stop, or must: returns why, if it must.
async fn wait(supervisor: &mut Supervisor, stop: impl Future<Output = ()>, trust: &Trust) -> Option<SeamError> {
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => return None,
            error = trust.lost() => return Some(error),
            Some(ended) = supervisor.next_end() => match ended.result {
                Ok(_) => tracing::info!(pipeline = ended.pipeline, "all its sources have ended"),
                // A disk that failed an fsync cannot be trusted with what comes next; whoever starts Weir again recovers.
                Err(error) if error.kind == ErrorKind::Closed => return Some(error),
                Err(error) => tracing::error!(pipeline = ended.pipeline, error = error.full(), "stopped"),
            },
        }
    }
}
