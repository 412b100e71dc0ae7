//! A pipeline as people write it: YAML with exact errors, overrides, or a fluent builder. Refuses to know how a
//! pipeline runs: no SQL is compiled here, no file of records is opened, no environment is read.

pub mod config;
mod de;
mod tagged;
mod tree;

pub use config::{
    BoundedConfig, EmitConfig, FieldType, Named, OutputEntry, PipelineConfig, SourceEntry, Step, StepKind, TimeConfig,
    TimeText, WatermarkConfig, WindowConfig, WindowKind,
};
