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

/// The pipeline with the rows that `inputs` name in the place of its sources, as JSON: those that it had stored by the moment,
/// and so those of the records that it had read. A file for each segment, in the order of their time: partitions in which
/// no row is late, whatever the segments have of each other's times.
pub(super) fn placed(job: &Job, moment: &Moment, folder: &Folder, inputs: &[Input]) -> SeamResult<Job> {
    let mut job = job.clone();
    for Input { source, table } in inputs {
        let names: Vec<&str> = job.sources.iter().map(|source| source.name.as_str()).collect();
        let Some(at) = names.iter().position(|name| name == source) else {
            return Err(refused(format!("there is no source {source}; there are: {}", names.join(", "))));
        };
        let rows = folder.inside(&format!("{source}.rows"));
        fs::create_dir_all(&rows).map_err(|error| failed("create", &rows, error))?;
        let mut files = Vec::new();
        moment.tables.each_segment_of_pipeline(table, &job.plan.pipeline, |batches| {
            let path = rows.join(format!("{:08}.ndjson", files.len()));
            let mut file = BufWriter::new(File::create(&path).map_err(|error| failed("create", &path, error))?);
            let mut text = Vec::new();
            for batch in batches {
                text.clear();
                weir_deliver::ndjson(batch, &mut text);
                file.write_all(&text).map_err(|error| failed("write", &path, error))?;
            }
            file.flush().map_err(|error| failed("write", &path, error))?;
            files.push(path.to_string_lossy().into_owned());
            Ok(())
        })?;
        if files.is_empty() {
            let pipeline = &job.plan.pipeline;
            return Err(refused(format!(
                "the table {table} has no rows of pipeline {pipeline}: nothing can be read of it"
            )));
        }
        job.sources[at].source = SourceConfig::File(FileConfig::new(files).once());
        job.sources[at].format = FormatConfig::Json(JsonConfig::default());
    }
    Ok(job)
}
