//! The benchmark's log lines: the same seed gives the same bytes, here and in the reference generator. It writes nothing
//! but the lines, and knows nothing of who reads them.
//!
//! Event time of row `i` is `start + i / rows_per_sec - delay`, where 70% of the rows are delayed by up to 0.5 s, 29.9% by
//! up to 5 s and 0.1% by 10.5 to 120 s.

use std::io::{self, Write};

/// 2026-01-01T00:00:00Z in milliseconds.
const START_MS: u64 = 1_767_225_600_000;
/// Rows begin this long after the start, so that the most delayed one is not before it.
const LEAD_MS: f64 = 120_000.0;
/// Every so many rows carry a word that occurs nowhere else.
const NEEDLE_EVERY: u64 = 250_003;

const LEVELS: [(&str, f64); 5] = [("DEBUG", 0.20), ("INFO", 0.90), ("WARN", 0.96), ("ERROR", 0.995), ("FATAL", 1.0)];
const REGIONS: [&str; 4] = ["us-east-1", "eu-west-1", "ap-south-1", "us-west-2"];
const TEAMS: [&str; 6] = ["core", "billing", "search", "growth", "infra", "risk"];
const STATUS_BAD: [u16; 4] = [500, 502, 503, 504];
const STATUS_GOOD: [u16; 9] = [200, 200, 200, 200, 201, 204, 301, 400, 404];

/// Messages by what a level may say: the first 18 for DEBUG and INFO, 16 to 19 for WARN, 18 and more for the worse ones.
/// Each `#` becomes a number.
const MESSAGES: [&str; 24] = [
    "Finished task # in stage #.0 (TID #) in # ms on executor # (#/200) with # bytes of shuffle output",
    "Starting task # in stage #.0 (TID #, executor #, partition #, PROCESS_LOCAL, # bytes) on worker pool default",
    "Block rdd_#_# stored as values in memory (estimated size # KiB, free # MiB) by the block manager",
    "Removed broadcast_#_piece0 on executor # in memory (size: # KiB, free: # MiB) after garbage collection",
    "Getting # non-empty blocks (# MiB) including # local and # remote blocks for shuffle # attempt #",
    "HTTP request GET /api/v1/orders/#/items?page=# completed with # bytes for tenant # in pool worker-#",
    "Consumer group orders-# committed offset # for partition # of topic events after # records in # batches",
    "Cache lookup for key user:#:profile missed on shard #, fetching from the primary store with timeout # ms",
    "Query plan for statement # uses index scan on table events_# with an estimated # rows and cost #",
    "Checkpoint # for operator window-aggregate completed: # bytes written to state backend in # ms, # files",
    "Connection pool stats: active=# idle=# waiting=# max=# for datasource postgres-primary-# after # s",
    "Scheduled job nightly-compaction-# merged # segments into # and reclaimed # MiB of local disk space",
    "User session # refreshed its token, expires in # s, client version 7.#.#, issued by realm customers",
    "Payment # authorised by gateway acquirer-# for merchant # after # attempts, settlement batch # is open",
    "Rate limiter for route /v2/search allowed # of # requests during the last # s window for client #",
    "Message # delivered to subscription audit-# after # retries, ack deadline # s, backlog now # messages",
    "Leader election for partition # won by broker # at epoch #, isr size is #, last stable offset #",
    "Container # on node ip-10-#-#-# is using # MiB of # MiB memory limit and # millicores of cpu time",
    "Slow operation detected: stage # has been running for # ms, above the threshold of # ms on executor #",
    "Retrying fetch of block # from host # after failure, attempt # of 3, next wait # ms, backoff exponential",
    "Failed to write batch # to sink clickhouse-#: connection reset by peer after # bytes, will retry in # ms",
    "ExecutorLostFailure (executor # exited caused by one of the running tasks) reason: heartbeat timed out # ms",
    "java.lang.OutOfMemoryError: Java heap space while allocating # bytes for task # in stage # on executor #",
    "Deadline exceeded after # ms calling inventory-service/reserve for order # with # items, trace #",
];

/// Makes the rows one by one.
#[derive(Debug)]
pub struct LogLines {
    random: Random,
    services: Vec<f64>,
    hosts: Vec<f64>,
    apps: Vec<f64>,
    rows_per_sec: f64,
    row: u64,
}

impl LogLines {
    /// Rows of `seed` whose event time runs at `rows_per_sec`.
    pub fn new(seed: u64, rows_per_sec: f64) -> Self {
        Self {
            random: Random::new(seed),
            services: zipf(50, 1.1),
            hosts: zipf(200, 0.5),
            apps: zipf(500, 1.0),
            rows_per_sec,
            row: 0,
        }
    }

    /// Appends the next row and its line ending.
    ///
    /// # Errors
    /// As `out` says.
    pub fn write_next(&mut self, out: &mut impl Write) -> io::Result<()> {
        // The order of the draws is part of the format: the same seed must give the same bytes.
        let random = &mut self.random;
        let kind = random.unit();
        let delay_ms = match kind {
            x if x < 0.001 => 10_500.0 + random.unit() * 109_500.0,
            x if x < 0.3 => random.unit() * 5_000.0,
            _ => random.unit() * 500.0,
        };
        let ms = (START_MS as f64 + LEAD_MS + self.row as f64 * 1_000.0 / self.rows_per_sec - delay_ms) as u64;
        let service = pick(&self.services, random.unit());
        let host = pick(&self.hosts, random.unit());
        let app = pick(&self.apps, random.unit());
        let executor = random.below(20);
        let severity = random.unit();
        let level = LEVELS.iter().position(|(_, share)| severity < *share).unwrap_or(LEVELS.len() - 1);
        let message = match level {
            0 | 1 => random.below(18),
            2 => 16 + random.below(4),
            _ => 18 + random.below(6),
        } as usize;
        let duration_ms = (3.0 + 0.03 * service as f64 + 1.1 * random.normal()).exp();
        let status =
            if level >= 3 { STATUS_BAD[random.below(4) as usize] } else { STATUS_GOOD[random.below(9) as usize] };

        let time = weir_model::EventTime::from_micros(ms as i64 * 1_000).to_string();
        let (seconds, fraction) = (&time[..19], ms % 1_000);
        write!(
            out,
            "{{\"ts\":\"{seconds}.{fraction:03}Z\",\"level\":\"{}\",\"service\":\"svc-{service:02}\",",
            LEVELS[level].0
        )?;
        write!(
            out,
            "\"host\":\"host-{host:03}\",\"app_id\":\"app-{app:04}\",\"executor_id\":\"{executor}\",\"message\":\""
        )?;
        write_message(MESSAGES[message], random, out)?;
        if self.row % NEEDLE_EVERY == 17 {
            write!(out, " needle-7f3a{}", self.row)?;
        }
        let environment = if random.below(10) == 0 { "dev" } else { "prod" };
        let (region, team, major) = (REGIONS[host % 4], TEAMS[service % 6], 1 + service % 3);
        write!(out, "\",\"duration_ms\":{duration_ms:.3},\"status\":{status},\"tags\":{{\"env\":\"{environment}\",")?;
        writeln!(out, "\"region\":\"{region}\",\"team\":\"{team}\",\"v\":\"{major}.{}\"}}}}", random.below(10))?;
        self.row += 1;
        Ok(())
    }
}

fn write_message(template: &str, random: &mut Random, out: &mut impl Write) -> io::Result<()> {
    let mut parts = template.split('#');
    out.write_all(parts.next().unwrap_or_default().as_bytes())?;
    for part in parts {
        let range = [10, 100, 1_000, 100_000][random.below(4) as usize];
        write!(out, "{}", random.below(range))?;
        out.write_all(part.as_bytes())?;
    }
    Ok(())
}

/// The cumulative shares of `n` values whose frequency falls with the power `exponent` of their rank.
fn zipf(n: usize, exponent: f64) -> Vec<f64> {
    let weights: Vec<f64> = (1..=n).map(|rank| 1.0 / (rank as f64).powf(exponent)).collect();
    let total: f64 = weights.iter().sum();
    let mut so_far = 0.0;
    weights
        .into_iter()
        .map(|weight| {
            so_far += weight / total;
            so_far
        })
        .collect()
}

fn pick(cumulative: &[f64], x: f64) -> usize {
    cumulative.partition_point(|&share| share < x).min(cumulative.len() - 1)
}

/// A small generator after xoroshiro128+ (Blackman and Vigna), kept exactly as the reference generator has it.
#[derive(Debug)]
struct Random(u64, u64);

impl Random {
    fn new(seed: u64) -> Self {
        let mut random = Self(seed ^ 0x9E37_79B9_7F4A_7C15, seed.wrapping_mul(0xD134_2543_DE82_EF95) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        let (a, b) = (self.0, self.1);
        let sum = a.wrapping_add(b);
        let mixed = a ^ b;
        self.0 = a.rotate_left(24) ^ mixed ^ (mixed << 16);
        self.1 = mixed.rotate_left(37);
        sum ^ (sum >> 29)
    }

    /// Uniform in `[0, 1)`.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `0..limit`.
    fn below(&mut self, limit: u64) -> u64 {
        (self.unit() * limit as f64) as u64
    }

    /// Standard normal, by Box and Muller.
    fn normal(&mut self) -> f64 {
        let (u, v) = (1.0 - self.unit(), self.unit());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::LogLines;

    #[test]
    fn the_same_seed_gives_the_bytes_of_the_reference_generator() {
        let (mut lines, mut bytes) = (LogLines::new(1, 1_389.0), Vec::new());
        for _ in 0..1_000 {
            lines.write_next(&mut bytes).expect("a Vec takes everything");
        }
        assert_eq!(bytes.len(), 347_811);
        assert_eq!(crc32fast::hash(&bytes), REFERENCE_CRC32, "the first thousand rows of seed 1 have changed");
    }

    /// CRC-32 of the reference generator's first thousand rows at seed 1.
    const REFERENCE_CRC32: u32 = 0x8707_7566;
}
