//! What the topics of the log keep: how each is declared by those who read it, and what may be deleted of it. It deletes
//! nothing that some pipeline, up or not, could still ask for, unless the topic says so.

use std::collections::BTreeMap;

use weir_collect::{SourceConfig, log_partition};
use weir_log::{LogConfig, TopicConfig};
use weir_model::{Committed, ErrorKind, Offset, SeamError, SeamResult};

use crate::running::{Job, Shared, is_replay_topic, letters_partition, replay_topic};

/// A source that reads a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicReader {
    pipeline: String,
    source: String,
    topic: String,
}

impl TopicReader {
    /// Every source of `jobs` that reads a topic.
    pub(crate) fn of_jobs(jobs: &[Job]) -> Vec<Self> {
        let sources = jobs.iter().flat_map(|job| job.sources.iter().map(move |source| (job, source)));
        let reader = |(job, source): (&Job, &crate::running::JobSource)| {
            let topic = match &source.source {
                SourceConfig::Http(http) => http.stream.clone(),
                SourceConfig::Log(log) => log.topic.clone(),
                SourceConfig::File(_) | SourceConfig::Stdin(_) | SourceConfig::Kafka(_) => return None,
            };
            Some(Self { pipeline: job.plan.pipeline.clone(), source: source.name.clone(), topic })
        };
        sources.filter_map(reader).collect()
    }
}

/// The log as the sources of `jobs` want it kept.
///
/// # Errors
/// `Config` when two of them want the same topic kept differently.
pub(crate) fn log_config<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> SeamResult<LogConfig> {
    let mut topics: BTreeMap<String, TopicConfig> = BTreeMap::new();
    let mut said_by: BTreeMap<String, String> = BTreeMap::new();
    for job in jobs {
        for source in &job.sources {
            let SourceConfig::Http(http) = &source.source else { continue };
            let who = format!("{}, sources.{}.http", job.plan.pipeline, source.name);
            if let Some(other) = topics.insert(http.stream.clone(), http.topic())
                && other != http.topic()
            {
                let message = format!(
                    "the stream {} is kept differently by {} and by {who}: `partitions` and `retain` must be the same",
                    http.stream, said_by[&http.stream]
                );
                return Err(SeamError::new(ErrorKind::Config, message));
            }
            said_by.insert(http.stream.clone(), who);
        }
    }
    Ok(LogConfig { topics, ..LogConfig::default() })
}

/// From where a partition of a topic is still needed: by those that read it now, from their oldest commit that can be gone
/// back to; and by pipelines that are not up, whose commits name the partition. `None` when nobody has ever read it.
fn needed_from(readers: &[TopicReader], commits: &[Committed], topic: &str, partition: u32) -> Option<Offset> {
    let committed = |pipeline: &str, source: &str| {
        let of_pipeline = commits.iter().filter(move |commit| commit.pipeline == pipeline);
        let id = log_partition(source, topic, partition);
        let position = move |commit: &Committed| {
            commit.positions.get(source).and_then(|positions| positions.get(&id)).map(|position| position.offset)
        };
        of_pipeline.map(position).collect::<Vec<_>>()
    };
    let now = readers.iter().filter(|reader| reader.topic == topic).map(|reader| {
        // A commit without the partition goes back to its beginning, and so does a pipeline without a commit.
        let oldest = committed(&reader.pipeline, &reader.source).into_iter().map(Option::unwrap_or_default).min();
        oldest.unwrap_or_default()
    });
    let is_up = |commit: &Committed| readers.iter().any(|reader| reader.pipeline == commit.pipeline);
    let before = commits.iter().filter(|commit| !is_up(commit)).flat_map(|commit| {
        let sources = commit.positions.keys();
        sources.filter_map(|source| committed(&commit.pipeline, source).into_iter().flatten().min()).collect::<Vec<_>>()
    });
    now.chain(before).min()
}

/// From where dead letters that are given again are still needed: from the oldest commit of their pipeline that can be gone
/// back to. `None` when nobody who has committed reads the topic.
fn letters_needed_from(commits: &[Committed], topic: &str) -> Option<Offset> {
    let sources = commits.iter().flat_map(|commit| commit.positions.iter().map(move |of| (commit, of)));
    let of_topic = sources.filter(|(commit, (source, _))| replay_topic(&commit.pipeline, source) == topic);
    of_topic
        .map(|(_, (source, positions))| {
            positions.get(&letters_partition(source)).map(|position| position.offset).unwrap_or_default()
        })
        .min()
}

/// Deletes what the topics do not keep. A failure leaves it to the next time.
pub(crate) fn delete_old(shared: &Shared, readers: &[TopicReader]) -> SeamResult<()> {
    let commits = shared.store.all_commits()?;
    for measure in shared.log.measure() {
        let (topic, partition) = (measure.topic.as_str(), measure.partition);
        let needed = if is_replay_topic(topic) {
            // Dead letters on their way back. Whose they are is known only of pipelines that have committed: the others' stay.
            match letters_needed_from(&commits, topic) {
                Some(needed) => needed,
                None => continue,
            }
        } else {
            needed_from(readers, &commits, topic, partition).unwrap_or(Offset(measure.end))
        };
        let retained = shared.log.retain((topic, partition), needed)?;
        if retained.segments > 0 {
            tracing::info!(topic, partition, ?retained, "old records were deleted");
        }
        if retained.held_bytes > 0 && measure.held_bytes == 0 {
            tracing::warn!(
                topic,
                partition,
                bytes = retained.held_bytes,
                "more is kept than `retain` says: some pipeline has not committed it yet; `unread: drop` would delete it"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_model::{Epoch, Position, Positions};

    fn commit(pipeline: &str, epoch: u64, source: &str, positions: &[(&str, u64)]) -> Committed {
        let positions: Positions = positions
            .iter()
            .map(|(id, offset)| {
                let position = Position { offset: Offset(*offset), ..Position::default() };
                (weir_model::PartitionId::new(*id), position)
            })
            .collect();
        Committed {
            pipeline: pipeline.to_owned(),
            epoch: Epoch(epoch),
            positions: BTreeMap::from([(source.to_owned(), positions)]),
            ..Committed::default()
        }
    }

    fn reader(pipeline: &str) -> TopicReader {
        TopicReader { pipeline: pipeline.to_owned(), source: "in".to_owned(), topic: "t".to_owned() }
    }

    #[test]
    fn the_slowest_commit_that_can_be_gone_back_to_says_what_is_needed() {
        let commits = [
            commit("a", 7, "in", &[("in:t", 50), ("in:t/1", 9)]),
            commit("a", 6, "in", &[("in:t", 40)]),
            commit("b", 3, "in", &[("in:t", 45), ("in:t/1", 5)]),
        ];
        let both = [reader("a"), reader("b")];
        assert_eq!(needed_from(&both, &commits, "t", 0), Some(Offset(40)));
        assert_eq!(needed_from(&both, &commits, "t", 1), Some(Offset(0)), "epoch 6 of a had not begun with it");
        assert_eq!(needed_from(&both, &commits, "other", 0), None);
    }

    #[test]
    fn a_pipeline_that_has_not_committed_yet_needs_everything_and_one_that_is_not_up_what_it_had_reached() {
        let commits = [commit("a", 7, "in", &[("in:t", 50)]), commit("away", 2, "src", &[("src:t", 20), ("src:u", 1)])];
        assert_eq!(needed_from(&[reader("a")], &commits, "t", 0), Some(Offset(20)));
        assert_eq!(needed_from(&[reader("a"), reader("new")], &commits, "t", 0), Some(Offset(0)));
        assert_eq!(needed_from(&[], &commits, "u", 0), Some(Offset(1)));
    }

    #[test]
    fn letters_that_were_given_again_are_needed_until_no_commit_goes_back_before_them() {
        let topic = replay_topic("a", "in");
        let commits = [
            commit("a", 8, "in", &[("in:dead_letters", 30)]),
            commit("a", 7, "in", &[("in:dead_letters", 20)]),
            commit("b", 1, "in", &[("in:dead_letters", 2)]),
        ];
        assert_eq!(letters_needed_from(&commits, &topic), Some(Offset(20)));
        assert_eq!(letters_needed_from(&commits[2..], &topic), None, "the letters of nobody who has committed stay");
        let before = [commit("a", 8, "in", &[("in:dead_letters", 30)]), commit("a", 7, "in", &[])];
        assert_eq!(letters_needed_from(&before, &topic), Some(Offset(0)), "epoch 7 had taken none");
    }
}
