//! The pipeline run again: in a data folder of its own, over the records of one commit, to its end. Sends nothing to anybody:
//! whatever its outputs are, they are tables there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use weir_collect::{FileConfig, KafkaConfig, KafkaStart, LogConfig, SourceConfig, StartAt};
use weir_deliver::OutputConfig;
use weir_model::{Clock, SystemClock};
use weir_sql::SqlCompiler;
use weir_store::{Store, TimeSpan};

use super::gone::Gone;
use super::moment::{Moment, misunderstood};
use super::{Folder, Input};
use crate::exit::{ExitCode, Failure};
use crate::plan::{Job, JobOutput, JobSource};
use crate::progress::Progress;
use crate::retention::log_config;
use crate::running::{Found, Recovery, Rerun, Shared, Supervisor, TierBuckets, Until};
use crate::watch;

/// How often it commits: seldom, as nobody waits for it.
const EPOCH: Duration = Duration::from_secs(60);
/// The table of its dead letters.
pub(super) const DEAD_LETTERS: &str = "dead_letters";

/// What a run came to.
pub(super) struct Run {
    /// The tables that it made.
    pub(super) tables: Arc<Store>,
    /// Records that are not there any more.
    pub(super) gone: Option<Gone>,
    /// The outputs that are not tables, by the table that they were here.
    pub(super) others: BTreeMap<String, String>,
}

/// Runs the pipeline of `job` again.
///
/// # Errors
/// When it fails, meets trouble or is interrupted: its results are worth nothing then.
pub(super) async fn run(
    job: &Job,
    moment: &Moment,
    folder: &Folder,
    (span, inputs): (TimeSpan, &[Input]),
    progress: &Progress,
) -> Result<Run, Failure> {
    let found = Arc::new(Found::default());
    let mut others = BTreeMap::new();
    let whole: BTreeSet<String> = inputs.iter().map(|input| input.source.clone()).collect();
    let rerun = Rerun {
        until: moment.commit.positions.clone(),
        whole: whole.clone(),
        span: Some(span),
        found: Arc::clone(&found),
    };
    let again = again(job, rerun, &mut others);
    let data = folder.inside("data");
    to_its_end(again, &data, progress).await?;
    let inspection = moment.snapshot.inspect().map_err(|error| misunderstood(&error))?;
    let gone = Gone::of(&job.plan, (moment, &inspection), &whole, &found);
    let tables = Store::open_read_only(&data)?;
    tables.set_buckets(Arc::new(TierBuckets::default()));
    Ok(Run { tables, gone, others })
}

async fn to_its_end(job: Job, data: &std::path::Path, progress: &Progress) -> Result<(), Failure> {
    let name = job.plan.pipeline.clone();
    let shared = Shared::open(data, log_config([&job])?, Arc::new(SqlCompiler::new()))?;
    let board = Arc::clone(&shared.board);
    let mut supervisor = Supervisor::new(shared);
    supervisor.start(job, Until::FirstEnd)?;
    let handle = board.get(&name).ok_or_else(|| Failure::run("the pipeline is not on the board"))?;
    let (ended, interrupted) = watch::to_its_end(&mut supervisor, &handle, progress).await;
    let status = handle.status(SystemClock.now());
    match ended.map(|ended| ended.result) {
        Some(Err(error)) => Err(error.into()),
        _ if interrupted => {
            Err(Failure { code: ExitCode::Interrupted, message: "interrupted; nothing was changed".to_owned() })
        }
        Some(Ok(_)) | None => match status.trouble.first() {
            Some(trouble) => Err(Failure::run(format!(
                "the records cannot all be read again: {}; nothing was changed",
                trouble.message
            ))),
            None => Ok(()),
        },
    }
}

/// The job that runs it again.
fn again(job: &Job, rerun: Rerun, others: &mut BTreeMap<String, String>) -> Job {
    let mut table = |index: usize, output: &JobOutput| match &output.output {
        OutputConfig::Table(_) => output.clone(),
        other => {
            let table = format!("replay_output_{}", index + 1);
            others.insert(table.clone(), format!("{} ({})", output.name, other.kind()));
            JobOutput { output: OutputConfig::table(&table), limit: None, ..output.clone() }
        }
    };
    let outputs = job.outputs.iter().enumerate().map(|(index, output)| table(index, output)).collect();
    let late = table(job.outputs.len(), &job.late);
    Job {
        sources: job.sources.iter().map(from_the_beginning).collect(),
        outputs,
        late,
        dead_letters: JobOutput {
            output: OutputConfig::table(DEAD_LETTERS),
            limit: None,
            // They are counted, whenever they were rejected.
            time_column: None,
            ..job.dead_letters.clone()
        },
        epoch: EPOCH,
        snapshots: None,
        recovery: Recovery::default(),
        rerun: Some(rerun),
        ..job.clone()
    }
}

/// The source, read once from its oldest record on.
fn from_the_beginning(source: &JobSource) -> JobSource {
    let config = match source.source.clone() {
        SourceConfig::File(file) => SourceConfig::File(FileConfig { follow: false, start: StartAt::Beginning, ..file }),
        SourceConfig::Log(log) => SourceConfig::Log(LogConfig { follow: false, ..log }),
        SourceConfig::Kafka(kafka) => {
            SourceConfig::Kafka(KafkaConfig { follow: false, start: KafkaStart::Earliest, ..kafka })
        }
        other @ (SourceConfig::Http(_) | SourceConfig::Stdin(_)) => other,
    };
    JobSource { source: config, ..source.clone() }
}
