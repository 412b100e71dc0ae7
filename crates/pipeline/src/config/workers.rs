//! How several processes share a pipeline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::DurationText;

/// The most parts that keys can be divided into.
pub const KEY_GROUPS_MAX: u16 = 1024;

/// Several `weir run` of the same pipeline, each with a data folder of its own, share its work over Kafka: the partitions of
/// the sources and, where steps look at keys, the keys. Everything that a worker has done is committed in one transaction of
/// Kafka with where it stands, so that workers may come, go, die and freeze at any time: every record counts once. Sources
/// and outputs, also `late` and `dead_letters`, are topics of one Kafka. What steps remember has to lie where every worker
/// reaches it: `state: { snapshots: { url: ... } }`, a bucket or a folder (`file:///mnt/shared/weir`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkersConfig {
    /// The consumer group that the workers form. Another one begins anew. Default: `weir-` and the pipeline's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The name of this worker in the group. No two workers have the same. Default: one that is made once and kept in the
    /// data folder, so that a worker that is started again is the one that it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["${env:HOSTNAME}"]))]
    pub instance: Option<String>,
    /// Into how many parts keys are divided: so many workers can own keys. It cannot be changed later; every part costs
    /// memory, also where it has few keys.
    #[serde(default = "key_groups")]
    #[schemars(range(min = 1, max = 1024))]
    pub key_groups: u16,
    /// A worker that is not heard of for so long loses its partitions to the others. Brokers allow 6 s to 30 min.
    #[serde(default = "session")]
    pub session: DurationText,
    /// The brokers abort a transaction that has been open for so long: that is how long a worker that dies at the wrong
    /// moment holds up whoever reads what it wrote.
    #[serde(default = "transaction")]
    pub transaction: DurationText,
}

fn key_groups() -> u16 {
    64
}

fn session() -> DurationText {
    DurationText::secs(15)
}

fn transaction() -> DurationText {
    DurationText::secs(30)
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self { group: None, instance: None, key_groups: key_groups(), session: session(), transaction: transaction() }
    }
}
