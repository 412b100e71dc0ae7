//! The metrics of the pipelines, read from the board at every scrape: what the page shows and what is scraped are the
//! same numbers. It counts nothing.

use std::fmt::{self, Error};
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use weir_model::{Balance, Clock, ProcessingTime, Watermark};

use super::write::{Labels, counter, gauge, histogram};
use crate::board::{BREAKER_STATES, Behind, BreakerCounts, Guarded, Measured, PartitionState, PipelineBoard};
use crate::board::{OutputCounts, OutputWaiting, PipelineState, Stage};

/// One number of a balance.
type Part = fn(&Balance) -> u64;

pub(super) struct Pipelines {
    board: Arc<PipelineBoard>,
    clock: Arc<dyn Clock>,
}

impl Pipelines {
    pub(super) fn new(board: Arc<PipelineBoard>, clock: Arc<dyn Clock>) -> Self {
        Self { board, clock }
    }
}

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipelines").finish_non_exhaustive()
    }
}

impl Collector for Pipelines {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), Error> {
        let measured: Vec<Measured> = self.board.handles().iter().map(|handle| handle.measure()).collect();
        let all = Measures(&measured);
        all.progress(&mut to)?;
        all.time(&mut to, self.clock.now().micros())?;
        all.partitions(&mut to)?;
        all.checkpoints(&mut to)?;
        all.effort(&mut to)?;
        all.outputs(&mut to)?;
        all.breakers(&mut to)
    }
}

struct Measures<'a>(&'a [Measured]);

impl<'a> Measures<'a> {
    /// One series per pipeline.
    fn each(&self, value: impl Fn(&Measured) -> f64) -> impl Iterator<Item = (Labels<'a>, f64)> {
        self.0.iter().map(move |pipeline| (vec![("pipeline", pipeline.name.as_str())], value(pipeline)))
    }

    /// One series per output of each pipeline.
    fn each_output(&self, value: impl Fn(&OutputCounts) -> u64 + Copy) -> impl Iterator<Item = (Labels<'a>, f64)> {
        self.0.iter().flat_map(move |pipeline| {
            pipeline.outputs.iter().map(move |counts| {
                (
                    vec![("pipeline", pipeline.name.as_str()), ("output", counts.output.name.as_str())],
                    value(counts) as f64,
                )
            })
        })
    }

    /// One series per output that waits.
    fn each_waiting(
        &self,
        value: impl Fn(&OutputWaiting) -> Option<ProcessingTime> + Copy,
    ) -> impl Iterator<Item = (Labels<'a>, f64)> {
        self.0.iter().flat_map(move |pipeline| {
            pipeline.waiting.values().filter_map(move |waiting| {
                let labels = vec![("pipeline", pipeline.name.as_str()), ("output", waiting.output.as_str())];
                Some((labels, value(waiting)?.micros() as f64 / 1e6))
            })
        })
    }

    /// The circuit breakers before outputs, or before lookups.
    fn each_breaker(&self, lookups: bool) -> impl Iterator<Item = (Labels<'a>, &'a BreakerCounts)> {
        self.0.iter().flat_map(move |pipeline| {
            pipeline.breakers.iter().filter_map(move |(guarded, counts)| {
                let (is_lookup, label) = match guarded {
                    Guarded::Output(output) => (false, ("output", output.as_str())),
                    Guarded::Lookup(step) => (true, ("step", step.as_str())),
                };
                (is_lookup == lookups).then(|| (vec![("pipeline", pipeline.name.as_str()), label], counts))
            })
        })
    }

    fn breakers(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        for (lookups, of, whom) in [(false, "output", "output"), (true, "lookup", "lookup of a step")] {
            let states = self.each_breaker(lookups).flat_map(|(labels, counts)| {
                BREAKER_STATES.iter().map(move |state| {
                    let labels = labels.iter().copied().chain([("state", *state)]).collect();
                    (labels, f64::from(u8::from(counts.is(state))))
                })
            });
            let help = format!("1 for the state of the circuit breaker before the {whom}, 0 for the others");
            gauge(to, &format!("{of}_breaker_state"), &help, states)?;
            let opened = self.each_breaker(lookups).map(|(labels, counts)| (labels, counts.opened as f64));
            let help = format!("How often the circuit breaker before the {whom} has opened, anew after failed probes");
            counter(to, &format!("{of}_breaker_opened"), &help, opened)?;
        }
        Ok(())
    }

    fn progress(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let up = |p: &Measured| f64::from(u8::from(p.state == PipelineState::Running));
        gauge(to, "pipeline_running", "1 while the pipeline runs, else 0", self.each(up))?;
        let failed = |p: &Measured| f64::from(u8::from(p.state == PipelineState::Failed));
        gauge(to, "pipeline_failed", "1 when the pipeline gave up, else 0", self.each(failed))?;
        counter(to, "pipeline_records_read", "Records taken from the sources", self.each(|p| p.records as f64))?;
        counter(
            to,
            "pipeline_read_bytes",
            "Bytes taken from the sources, decompressed",
            self.each(|p| p.bytes as f64),
        )?;
        counter(to, "pipeline_late_rows", "Rows that went to the late output", self.each(|p| p.late as f64))?;
        counter(
            to,
            "pipeline_dead_letters",
            "Records that went to the dead letters",
            self.each(|p| p.dead_letters as f64),
        )?;
        counter(
            to,
            "pipeline_lookups_failed",
            "Tables to look up in, and rows of them, that were asked for and not given",
            self.each(|p| p.lookups_failed as f64),
        )?;
        counter(
            to,
            "pipeline_trouble",
            "Things that went wrong without stopping the pipeline",
            self.each(|p| p.troubles as f64),
        )?;
        let states = self.0.iter().flat_map(|pipeline| {
            PartitionState::ALL.iter().map(|&state| {
                let labels = vec![("pipeline", pipeline.name.as_str()), ("state", state.as_str())];
                (labels, pipeline.partitions[state as usize] as f64)
            })
        });
        gauge(to, "pipeline_partitions", "Partitions by what is being done with them", states)
    }

    /// Where there is no watermark, or nothing more will come, there is no series either.
    fn time(&self, to: &mut DescriptorEncoder<'_>, now_micros: i64) -> Result<(), Error> {
        let with_time = |value: fn(i64, i64) -> i64| {
            self.0.iter().filter(|p| ![Watermark::UNKNOWN, Watermark::END].contains(&p.watermark)).map(move |p| {
                let seconds = value(p.watermark.time().micros(), now_micros) as f64 / 1e6;
                (vec![("pipeline", p.name.as_str())], seconds)
            })
        };
        gauge(
            to,
            "pipeline_watermark_timestamp_seconds",
            "Event time up to which the pipeline is believed to be complete",
            with_time(|watermark, _| watermark),
        )?;
        gauge(
            to,
            "pipeline_watermark_delay_seconds",
            "How far the watermark is behind the clock",
            with_time(|watermark, now| now.saturating_sub(watermark)),
        )
    }

    /// One series per partition whose end is known, as of topics; of at most so many as a status lists.
    fn each_partition(&self, value: impl Fn(&Behind) -> Option<f64> + Copy) -> impl Iterator<Item = (Labels<'a>, f64)> {
        self.0.iter().flat_map(move |pipeline| {
            pipeline.behind.iter().filter_map(move |behind| {
                let labels = vec![("pipeline", pipeline.name.as_str()), ("partition", behind.partition.as_str())];
                Some((labels, value(behind)?))
            })
        })
    }

    fn partitions(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let known = self.0.iter().filter(|pipeline| !pipeline.behind.is_empty());
        let sums = known.map(|pipeline| {
            let lag: u64 = pipeline.behind.iter().map(|behind| behind.lag).sum();
            (vec![("pipeline", pipeline.name.as_str())], lag as f64)
        });
        gauge(to, "pipeline_lag_records", "Records that are there and not read yet, over all partitions", sums)?;
        gauge(
            to,
            "pipeline_partition_lag_records",
            "Records of the partition that are there and not read yet",
            self.each_partition(|behind| Some(behind.lag as f64)),
        )?;
        counter(
            to,
            "pipeline_partition_records_read",
            "Records taken from the partition since the pipeline started here",
            self.each_partition(|behind| Some(behind.records as f64)),
        )?;
        let is_time = |watermark| ![Watermark::UNKNOWN, Watermark::END].contains(&watermark);
        gauge(
            to,
            "pipeline_partition_watermark_timestamp_seconds",
            "Event time up to which the partition is believed to be complete",
            self.each_partition(|behind| {
                is_time(behind.watermark).then(|| behind.watermark.time().micros() as f64 / 1e6)
            }),
        )
    }

    fn checkpoints(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        gauge(to, "pipeline_epoch", "The last committed epoch", self.each(|p| p.epoch.0 as f64))?;
        let durations = self.0.iter().map(|p| (vec![("pipeline", p.name.as_str())], &p.checkpoint_seconds));
        histogram(
            to,
            "pipeline_checkpoint_duration_seconds",
            "Seal, snapshot, prepare and commit of an epoch",
            durations,
        )?;
        let bytes = self.each(|p| p.snapshot_bytes as f64);
        gauge(to, "pipeline_checkpoint_size_bytes", "Size of the last committed snapshot", bytes)?;
        let failed = self.each(|p| p.checkpoints_failed as f64);
        counter(to, "pipeline_checkpoint_failures", "Epochs that could not be committed", failed)?;
        let fallbacks = self.each(|p| p.fallbacks as f64);
        counter(
            to,
            "pipeline_fallbacks",
            "Recoveries from an older commit, because the newest was damaged",
            fallbacks,
        )?;
        gauge(to, "pipeline_state_bytes", "Bytes of state in memory", self.each(|p| p.state_bytes as f64))
    }

    fn effort(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let busy = self.0.iter().flat_map(|pipeline| {
            Stage::ALL.iter().map(|&stage| {
                let labels = vec![("pipeline", pipeline.name.as_str()), ("stage", stage.as_str())];
                (labels, pipeline.busy_seconds[stage as usize])
            })
        });
        counter(to, "pipeline_busy_seconds", "Time that threads worked in a stage", busy)?;
        let waited = self.each(|p| p.backpressure_seconds);
        counter(
            to,
            "pipeline_backpressure_seconds",
            "Time that reading stood still because what comes after was full",
            waited,
        )?;
        let latency = self.0.iter().map(|p| (vec![("pipeline", p.name.as_str())], &p.batch_seconds));
        histogram(
            to,
            "pipeline_batch_duration_seconds",
            "From the arrival of a batch to its rows at the sinks",
            latency,
        )
    }

    /// The conservation law can be checked from outside: read and added rows are in results,
    /// filtered, merged, late, rejected and open. `read` never
    /// goes back but for a restart from an older commit, nor do the others but `open`, which is a gauge of its own.
    fn outputs(&self, to: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let rows = self.each_output(|counts| counts.rows_written);
        counter(to, "output_rows", "Rows given to the output, revisions included", rows)?;
        let rejected = self.each_output(|counts| counts.rows_rejected);
        counter(
            to,
            "output_rejected_rows",
            "Rows that the output will never take; they are in the dead letters",
            rejected,
        )?;
        let retries = self.0.iter().flat_map(|pipeline| {
            pipeline.retries.iter().map(|(output, retries)| {
                (vec![("pipeline", pipeline.name.as_str()), ("output", output.as_str())], *retries as f64)
            })
        });
        counter(to, "output_retries", "Tries to reach the output that have failed", retries)?;
        gauge(
            to,
            "output_waiting_since_timestamp_seconds",
            "Since when the output takes no rows and the pipeline waits for it; no series while it does",
            self.each_waiting(|waiting| Some(waiting.since)),
        )?;
        gauge(
            to,
            "output_next_try_timestamp_seconds",
            "When an output that takes no rows is tried next",
            self.each_waiting(|waiting| waiting.next_try),
        )?;
        let outcomes: [(&str, Part); 7] = [
            ("read", |b| b.read),
            ("added", |b| b.added),
            ("results", |b| b.results),
            ("filtered", |b| b.filtered),
            ("merged", |b| b.merged),
            ("late", |b| b.late),
            ("rejected", |b| b.rejected),
        ];
        let balance = outcomes.iter().flat_map(|(outcome, value)| {
            self.each_output(|counts| value(&counts.balance)).map(|(mut labels, rows)| {
                labels.push(("outcome", outcome));
                (labels, rows)
            })
        });
        counter(to, "pipeline_rows", "Rows read for the output, and what became of them", balance)?;
        gauge(
            to,
            "pipeline_open_rows",
            "Rows on the way to the output in windows that have not fired yet",
            self.each_output(|counts| counts.balance.open),
        )?;
        gauge(
            to,
            "pipeline_balance_holds",
            "1 while every row read for the output is accounted for, else 0",
            self.each_output(|counts| u64::from(counts.balance.holds())),
        )
    }
}
