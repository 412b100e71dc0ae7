//! Rows of a table in the place of a source's records: where these are gone, what was stored of them may be enough. Decides
//! nothing about whether it is.

use std::fs::{self, File};
use std::io::{BufWriter, Write};

use weir_collect::{FileConfig, SourceConfig};
use weir_decode::{FormatConfig, JsonConfig};
use weir_model::SeamResult;

use super::moment::Moment;
use super::{Folder, failed, refused};
use crate::plan::Job;

/// A source, and the table whose rows are read in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The source's name.
    pub source: String,
    /// A table that this pipeline writes.
    pub table: String,
}

/// The pipeline with the rows that `inputs` name in the place of its sources, as JSON and in the order of their time: those
/// that it had stored by the moment, and so those of the records that it had read.
pub(super) fn placed(job: &Job, moment: &Moment, folder: &Folder, inputs: &[Input]) -> SeamResult<Job> {
    let mut job = job.clone();
    for Input { source, table } in inputs {
        let names: Vec<&str> = job.sources.iter().map(|source| source.name.as_str()).collect();
        let Some(at) = names.iter().position(|name| name == source) else {
            return Err(refused(format!("there is no source {source}; there are: {}", names.join(", "))));
        };
        let path = folder.inside(&format!("{source}.ndjson"));
        let mut rows = 0;
        let mut file = BufWriter::new(File::create(&path).map_err(|error| failed("create", &path, error))?);
        moment.tables.each_of_pipeline(table, &job.plan.pipeline, |batch| {
            rows += batch.num_rows();
            let mut text = Vec::new();
            weir_deliver::ndjson(batch, &mut text);
            file.write_all(&text).map_err(|error| failed("write", &path, error))
        })?;
        file.flush().map_err(|error| failed("write", &path, error))?;
        if rows == 0 {
            let _ = fs::remove_file(&path);
            let pipeline = &job.plan.pipeline;
            return Err(refused(format!(
                "the table {table} has no rows of pipeline {pipeline}: nothing can be read of it"
            )));
        }
        job.sources[at].source = SourceConfig::File(FileConfig::new([path.to_string_lossy()]).once());
        job.sources[at].format = FormatConfig::Json(JsonConfig::default());
    }
    Ok(job)
}
