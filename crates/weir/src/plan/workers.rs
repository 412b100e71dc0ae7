//! A job as several processes share it. Refuses, at the key that says so, what cannot be shared.

use std::path::PathBuf;

use weir_decode::FormatConfig;
use weir_deliver::OutputConfig;
use weir_model::SeamError;
use weir_pipeline::{PipelineConfig, WorkersConfig};
use weir_state::Bucket;
use weir_workers::{Candidate, Share, SharedSource, Sharing, StatePlace};

use super::{Job, Problem};

/// How the place of state begins that is a folder.
const FOLDER: &str = "file://";

/// What of `job` several processes share; nothing when the pipeline does not say so.
///
/// # Errors
/// Everything that stands against it.
pub(super) fn share(config: &PipelineConfig, job: &Job) -> Result<Option<Share>, Vec<Problem>> {
    let Some(workers) = &config.workers else { return Ok(None) };
    let sources: Vec<_> =
        job.sources.iter().map(|source| (source.name.as_str(), &source.source, &source.format)).collect();
    let outputs: Vec<&OutputConfig> = job.outputs.iter().map(|output| &output.output).collect();
    let candidate = Candidate {
        plan: &job.plan,
        sources: &sources,
        outputs: &outputs,
        late: &job.late.output,
        dead_letters: &job.dead_letters.output,
        looks_up: !job.tables.is_empty() || !job.lookups.is_empty(),
        has_state_place: config.state.snapshots.is_some(),
    };
    let refused = |(path, message)| Problem { path, column: None, message, hint: None };
    let problems: Vec<Problem> = candidate.refusals().into_iter().map(refused).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let sources = job.sources.iter().filter_map(|source| {
        let weir_collect::SourceConfig::Kafka(kafka) = &source.source else { return None };
        let (name, format, wanted) = (source.name.clone(), source.format.clone(), source.wanted.clone());
        Some(SharedSource { name, kafka: kafka.clone(), format, wanted })
    });
    let remembers = job.plan.remembers().contains(&true)
        || job.sources.iter().any(|source| matches!(source.format, FormatConfig::SparkLog(_)));
    let outputs: Vec<_> = job.outputs.iter().filter_map(|output| kafka(&output.output)).collect();
    let Some(dead_letters) = kafka(&job.dead_letters.output) else { return Ok(None) };
    Ok(Some(Share {
        plan: job.plan.clone(),
        sources: sources.collect(),
        outputs,
        late: kafka(&job.late.output),
        dead_letters,
        epoch: job.epoch,
        sharing: sharing(config, workers),
        state: if remembers { place(config)? } else { None },
    }))
}

fn kafka(output: &OutputConfig) -> Option<weir_deliver::KafkaOutput> {
    if let OutputConfig::Kafka(kafka) = output { Some(kafka.clone()) } else { None }
}

fn sharing(config: &PipelineConfig, workers: &WorkersConfig) -> Sharing {
    Sharing {
        group: workers.group.clone().unwrap_or_else(|| format!("weir-{}", config.name)),
        instance: workers.instance.clone(),
        key_groups: workers.key_groups,
        session: workers.session.std(),
        transaction: workers.transaction.std(),
    }
}

/// Where state lies, for every worker.
fn place(config: &PipelineConfig) -> Result<Option<StatePlace>, Vec<Problem>> {
    let Some(snapshots) = &config.state.snapshots else { return Ok(None) };
    if let Some(folder) = folder(&snapshots.url) {
        return Ok(Some(StatePlace::Folder(folder)));
    }
    let bucket = Bucket { url: snapshots.url.clone(), options: snapshots.options.clone() };
    bucket.check().map_err(|error| vec![wrong(&error)])?;
    Ok(Some(StatePlace::Bucket(bucket)))
}

fn wrong(error: &SeamError) -> Problem {
    Problem {
        path: "state.snapshots.url".to_owned(),
        column: None,
        message: error.full(),
        hint: Some(
            "such as s3://bucket/prefix, with options: { region: eu-central-1 }; or file:///mnt/shared".to_owned(),
        ),
    }
}

/// The folder that an address names, if it is one of a folder.
pub(super) fn folder(url: &str) -> Option<PathBuf> {
    url.strip_prefix(FOLDER).filter(|path| path.starts_with('/')).map(PathBuf::from)
}
