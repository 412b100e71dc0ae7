//! A pipeline as people write it: YAML with exact errors, overrides, or a fluent builder. Refuses to know how a
//! pipeline runs: no SQL is compiled here, no file of records is opened, no environment is read.

pub mod builder;
pub mod config;
mod connections;
mod de;
mod diagnostic;
mod document;
mod feed;
mod load;
mod nearest;
mod overrides;
mod reference;
mod schema;
mod secret;
mod tagged;
mod tree;
mod validate;
mod write;
mod yaml;

pub use config::ConnectionConfig;
pub use config::{AsOfConfig, BetweenConfig, JoinConfig, JoinKind, JoinSpan};
pub use config::{
    BeginConfig, ClashConfig, EmptyConfig, ExplodeConfig, FlattenConfig, HashConfig, IntoConfig, JoinLinesConfig,
    KeyValueConfig, MaskConfig, MatchConfig, OnFailureConfig, OverConfig, ParseConfig, ParseJsonConfig, ParseKind,
    PiiConfig, RateLimitConfig, RouteConfig, SampleConfig,
};
pub use config::{
    BoundedConfig, CalendarConfig, CalendarUnit, EmitConfig, FieldType, GlobalConfig, LateConfig, ModeConfig, Named,
    OutputEntry, PeriodicConfig, PipelineConfig, PunctuatedConfig, SlidingConfig, SourceEntry, Step, StepKind,
    TimeConfig, TimeText, WatermarkConfig, Weekday, WindowConfig, WindowKind,
};
pub use config::{DeadLettersLimit, RetryConfig};
pub use config::{
    DeduplicateConfig, EnrichConfig, HttpFormat, HttpLookup, HttpTable, LateRows, LookupBreaker, LookupCache,
    LookupFailure, LookupFile, LookupTable, MissingRows,
};
pub use config::{KEY_GROUPS_MAX, WorkersConfig};
pub use config::{SnapshotsConfig, StateBackend, StateConfig};
pub use diagnostic::Diagnostic;
pub use document::{Document, Origin};
pub use feed::Feed;
pub use load::{Input, load};
pub use overrides::ENV_PREFIX;
pub use reference::reference_markdown;
pub use schema::{json_schema, json_schema_text};
pub use validate::columns::RESERVED_COLUMNS;
pub use validate::{Problem, validate};
pub use yaml::{Written, load_yaml};

#[cfg(test)]
mod tests;
