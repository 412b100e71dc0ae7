//! What a pipeline remembers: where that is kept, and what is done when it is damaged.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::{ByteSize, Secret};

/// What the pipeline remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateConfig {
    /// How much memory the state of its steps may take. What is over it, and was not used for longest, stays in the files of
    /// the last snapshot and is read again when it is needed; results are the same. At least 1 MiB. What is said here is kept, or
    /// refused where `--memory` leaves less; what is not is 1 GiB, or what `--memory` leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Where the keys of `deduplicate` lie that do not fit into this memory. Results are the same.
    #[serde(default, skip_serializing_if = "is_default_backend")]
    pub backend: StateBackend,
    /// If the newest state is damaged, go back to an older one by itself also where outputs (standard output, Kafka) then
    /// get rows twice. Tables and files are always set back to what they showed then. As `--fall-back`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fall_back: bool,
    /// Where snapshots of the state are kept. Default: in the data folder, under `state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<SnapshotsConfig>,
}

impl StateConfig {
    /// What its memory is if nobody says anything: a gibibyte.
    pub const MEMORY_USUAL: ByteSize = ByteSize(1 << 30);
}

/// Where keys lie that do not fit into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StateBackend {
    /// In the files of the last snapshot; about six bytes of each stay in memory, and say which file to read.
    #[default]
    Files,
    /// Besides in RocksDB, in the data folder, where each can be asked for alone and nothing of it stays in memory. For a Weir
    /// that was built with `--features rocksdb`.
    Rocksdb,
}

fn is_default_backend(backend: &StateBackend) -> bool {
    *backend == StateBackend::default()
}

/// A bucket for snapshots; the data folder has copies of those that are needed. Where reading goes on, and which snapshot
/// belongs to it, stays in the data folder's catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnapshotsConfig {
    /// The bucket, and where in it: `s3://bucket/prefix` (S3 and servers that speak its protocol), `gs://bucket/prefix`
    /// (Google), `az://container/prefix` (Azure). Objects are written only if there is none of the name, and removed only
    /// by the data folder that wrote them.
    #[schemars(extend("examples" = ["s3://my-bucket/weir"]))]
    pub url: String,
    /// How it is reached, by the names that the clouds have for it: `endpoint`, `region`, `access_key_id`,
    /// `secret_access_key` for S3, `service_account_path` for Google, `account_name`, `account_key` for Azure. What is
    /// missing is looked for in the environment, as `AWS_REGION` and its like.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-map-of" = "text"))]
    pub options: BTreeMap<String, Secret>,
}
