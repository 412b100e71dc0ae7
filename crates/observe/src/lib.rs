//! Weir about itself: what the pipelines are doing, what `/metrics` says, whether it is healthy, and its own log.
//! It measures and tells; it decides nothing, and nothing here reads a clock that it was not given, but for the log's.

mod board;
mod health;
mod logging;
mod metrics;

pub use board::{
    BusySeconds, Checkpoint, Guarded, NewOutput, OutputStatus, OutputWaiting, PARTITIONS_SHOWN_MAX, PartitionState,
    PartitionStatus, PipelineBoard, PipelineHandle, PipelineState, PipelineStatus, Stage, StepStatus, TROUBLE_KEPT_MAX,
    Taken, Trouble, WindowSpan,
};
pub use health::{HEARTBEAT_AGE_MAX, Health, HealthReport, HealthStatus};
pub use logging::{LogFormat, init_logging};
pub use metrics::{
    BuildInfo, InFlight, Metrics, QuerySource, TableMeasure, TextFormat, TopicMeasure, resident_memory_bytes,
};
