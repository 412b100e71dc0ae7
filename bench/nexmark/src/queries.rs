//! The queries: each a pipeline, what open-source Flink is published to do, and where the pipeline says it otherwise than
//! the SQL of nexmark/nexmark.

/// A query.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) name: &'static str,
    /// The pipeline as YAML.
    pub(crate) pipeline: &'static str,
    /// Thousand events per second and core, as the README of nexmark/nexmark says of Flink 1.13 (8 task managers, RocksDB,
    /// mini-batches of 2 s, 100 million events).
    pub(crate) flink: f64,
    /// How it differs.
    pub(crate) remark: &'static str,
}

macro_rules! query {
    ($name:literal, $flink:literal, $remark:literal) => {
        Query {
            name: $name,
            pipeline: include_str!(concat!("../queries/", $name, ".yaml")),
            flink: $flink,
            remark: $remark,
        }
    };
}

pub(crate) const QUERIES: [Query; 10] = [
    query!("q0", 155.0, ""),
    query!("q1", 158.0, ""),
    query!("q2", 175.0, ""),
    query!("q3", 152.0, "within a day of each other: joins are bounded in time"),
    query!("q4", 34.0, "auctions last at most 10 s; the average is told when an auction has ended, not with every bid"),
    query!("q5", 22.1, ""),
    query!("q7", 12.3, ""),
    query!("q8", 146.0, ""),
    query!("q11", 39.7, ""),
    query!("q12", 75.7, "windows of the time of arrival as a field: the engine has no processing time"),
];
