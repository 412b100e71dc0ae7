//! How much memory the process may take, and how its parts share it: each keeps to its own limit, by refusing, spilling or
//! waiting. What no part counts is seen by the guard, which looks at the whole process.
//!
//! Sixteenths of the whole, in `weir up` (and in `weir run`, where nobody asks or posts):
//!
//! | sixteenths | of what | what happens at the limit |
//! |---|---|---|
//! | 4 (0) | questions; the memory that is counted is a 1.7th of it | they spill to disk, then fail |
//! | 1 (0) | footers and search indexes of segments that were read | what was used longest ago goes |
//! | 2 (0) | bodies of requests, packed and unpacked | 413 for one, 503 for all |
//! | 2 (2) | rows of tables that are in no segment yet | a segment is made sooner |
//! | 2 (0) | segments that are merged | fewer are merged at a time, into smaller ones |
//! | 3 (12) | pipelines: what they read ahead, and their state | reading waits; state goes to its files |
//! | 2 (2) | the program, its threads and connections, what no part counts | |

mod guard;

use std::sync::Arc;

use weir_collect::SourceConfig;
use weir_deliver::OutputConfig;
use weir_model::{ByteSize, Pressure};
use weir_observe::Metrics;
use weir_pipeline::StateConfig;
use weir_query::{QueryEngine, machine_memory_bytes};
use weir_store::StoreConfig;

use crate::exit::Failure;
use crate::ingest::UNSAVED_BYTES_MAX;
use crate::live::STATE_BYTES_MAX;
use crate::plan::Job;

/// So much of the memory of the machine, or of the container, if nothing is said.
const DEFAULT_PERCENT: u64 = 75;
/// The machine's memory, where it cannot be known.
const UNKNOWN_MACHINE: u64 = 4 << 30;
/// The program and a little of everything do not fit into less.
const LEAST: u64 = 256 << 20;
const SIXTEENTHS: u64 = 16;
/// What is gathered of the partitions of a source of Kafka topics, beside what is fetched ahead.
const GATHERED_BYTES: u64 = 4 << 20;
/// What a place in line takes at most, as bytes and as columns; each task has two.
const PLACE_BYTES: u64 = 6 << 20;
const PLACES_PER_TASK: u64 = 2;
/// The state of a pipeline gets no less.
const STATE_LEAST: u64 = 4 << 20;
/// A table gathers at least so much before it makes a segment.
const ROWS_LEAST: u64 = 1 << 20;
/// How much more the process takes for a question than is counted.
const QUERY_OVERHEAD_TENTHS: u64 = 17;

/// What the process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Everything: `weir up`.
    Up,
    /// A pipeline alone: `weir run`.
    Run,
}

/// The memory that the process may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    bytes: u64,
    /// Somebody said so: what does not fit is refused.
    is_said: bool,
    of: Use,
}

impl Memory {
    /// As it was said, or the default of this machine.
    ///
    /// # Errors
    /// When what was said is too little for anything.
    pub(crate) fn new(said: Option<ByteSize>, of: Use) -> Result<Self, Failure> {
        match said {
            Some(said) if said.0 < LEAST => {
                let least = ByteSize(LEAST);
                Err(Failure::refused(format!("--memory {said} is too little: Weir needs at least {least}")))
            }
            Some(said) => Ok(Self { bytes: said.0, is_said: true, of }),
            None => {
                let machine = machine_memory_bytes().unwrap_or(UNKNOWN_MACHINE);
                Ok(Self { bytes: (machine / 100 * DEFAULT_PERCENT).max(LEAST), is_said: false, of })
            }
        }
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn sixteenths(&self, count: u64) -> u64 {
        self.bytes / SIXTEENTHS * count
    }

    /// Tells `pressure` from now on how much of it the process takes, and gives up queries when it is nearly all.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(crate) fn guard(
        &self,
        pressure: Pressure,
        queries: &Arc<QueryEngine>,
        metrics: &Arc<Metrics>,
    ) -> Result<(), Failure> {
        let started = guard::start(self.bytes, pressure, queries, metrics);
        started.map_err(|error| Failure::run(format!("no thread to guard memory on: {error}")))
    }

    /// The limits of questions.
    pub(crate) fn queries(&self) -> weir_query::Limits {
        let machine = weir_query::Limits::for_machine();
        let counted = self.sixteenths(4) / QUERY_OVERHEAD_TENTHS * 10;
        weir_query::Limits {
            memory_bytes: least(machine.memory_bytes, counted),
            row_bytes_max: least(machine.row_bytes_max, self.sixteenths(1) / 4),
            page_bytes_max: least(machine.page_bytes_max, self.sixteenths(1) / 2),
            metadata_cache_bytes: least(machine.metadata_cache_bytes, self.sixteenths(1) / 2),
            index_cache_bytes: least(machine.index_cache_bytes, self.sixteenths(1) / 2),
            ..machine
        }
    }

    /// State that is looked into by questions about open windows.
    pub(crate) fn looked_into(&self) -> u64 {
        STATE_BYTES_MAX.min(self.sixteenths(1))
    }

    /// The limits of what is posted.
    pub(crate) fn bodies(&self) -> weir_serve::Limits {
        let mut limits = weir_serve::Limits::default();
        let unpacked = self.sixteenths(1) / limits.unpacking_max as u64;
        limits.bodies_bytes_max = least(limits.bodies_bytes_max, self.sixteenths(1));
        limits.body.decoded_bytes_max = least(limits.body.decoded_bytes_max, unpacked);
        limits.body_bytes_max = limits.body_bytes_max.min(limits.body.decoded_bytes_max);
        limits
    }

    /// What may have been answered and not be on disk yet.
    pub(crate) fn unsaved(&self) -> u64 {
        UNSAVED_BYTES_MAX.min(self.sixteenths(1) / 4)
    }

    /// How tables are kept to which `jobs` write.
    ///
    /// # Errors
    /// When there are more tables than so much memory holds.
    pub(crate) fn store(&self, jobs: &[Job]) -> Result<StoreConfig, Failure> {
        let config = StoreConfig::default();
        let is_table = |output: &OutputConfig| matches!(output, OutputConfig::Table(_));
        let outputs = jobs.iter().flat_map(Job::all_outputs);
        let tables = outputs.filter(|output| is_table(&output.output)).count().max(1) as u64;
        let each = self.sixteenths(2) / tables;
        if each < ROWS_LEAST {
            let why = format!("the pipelines write to {tables} tables, late rows and dead letters included");
            self.is_short(&why, "", tables * ROWS_LEAST * SIXTEENTHS / 2)?;
        }
        Ok(StoreConfig {
            segment_bytes_max: least(config.segment_bytes_max, each.max(ROWS_LEAST)),
            merge_bytes_max: least(config.merge_bytes_max, self.sixteenths(2)),
            ..config
        })
    }

    /// Gives the state of each pipeline its part: what its file says, else an equal part of what is left, at most the default.
    ///
    /// # Errors
    /// When what their files say does not fit, and how much memory there is was said too.
    pub(crate) fn share_among(&self, jobs: &mut [Job]) -> Result<(), Failure> {
        let sixteenths = match self.of {
            Use::Up => 3,
            Use::Run => 12,
        };
        let is_said = |job: &Job| job.state_said_at.is_some();
        let (share, ahead) = (self.sixteenths(sixteenths), jobs.iter().map(read_ahead).sum::<u64>());
        let said: u64 = jobs.iter().filter(|job| is_said(job)).map(|job| job.state_bytes_max as u64).sum();
        let unsaid = jobs.iter().filter(|job| !is_said(job)).count() as u64;
        let needed = ahead.saturating_add(said).saturating_add(unsaid * STATE_LEAST);
        if needed > share {
            let places: Vec<&str> = jobs.iter().filter_map(|job| job.state_said_at.as_deref()).collect();
            let why = format!(
                "the pipelines read up to {} ahead and hold up to {} of state{}, and {} are their part of it",
                shown(ahead),
                shown(said + unsaid * STATE_LEAST),
                if places.is_empty() { String::new() } else { format!(" ({})", places.join(", ")) },
                shown(share)
            );
            let other = ", or lower their `state.memory`, `tasks` or the `buffer_bytes_max` of their sources";
            self.is_short(&why, other, needed / sixteenths * SIXTEENTHS)?;
        }
        let each = (share.saturating_sub(ahead + said) / unsaid.max(1)).clamp(STATE_LEAST, StateConfig::MEMORY_USUAL.0);
        for job in jobs.iter_mut().filter(|job| !is_said(job)) {
            job.state_bytes_max = usize::try_from(each).unwrap_or(usize::MAX);
        }
        Ok(())
    }

    /// It is too little: refuses, or only says so where it is the machine that says how much there is.
    fn is_short(&self, why: &str, other: &str, needed: u64) -> Result<(), Failure> {
        let (there, right) = (shown(self.bytes), ByteSize(needed.div_ceil(1 << 20).next_multiple_of(16) << 20));
        if self.is_said {
            let message = format!("--memory {there} is too little: {why}; give at least --memory {right}{other}");
            return Err(Failure::refused(message));
        }
        tracing::warn!("{there}, three quarters of this machine's memory, may be too little: {why}");
        Ok(())
    }
}

/// What a pipeline has read and not processed yet, at most.
fn read_ahead(job: &Job) -> u64 {
    let of = |source: &SourceConfig| match source {
        SourceConfig::Kafka(kafka) => kafka.buffer_bytes_max.0 + GATHERED_BYTES,
        SourceConfig::File(_) | SourceConfig::Stdin(_) | SourceConfig::Http(_) | SourceConfig::Log(_) => 0,
    };
    let sources: u64 = job.sources.iter().map(|source| of(&source.source)).sum();
    sources + job.tasks as u64 * PLACES_PER_TASK * PLACE_BYTES
}

fn least(usual: usize, share: u64) -> usize {
    usual.min(usize::try_from(share).unwrap_or(usize::MAX))
}

/// Whole mebibytes.
fn shown(bytes: u64) -> ByteSize {
    ByteSize(bytes >> 20 << 20)
}

#[cfg(test)]
mod tests;
