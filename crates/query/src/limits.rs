//! How much a query may take; enforces nothing.

use std::time::Duration;

use arrow::datatypes::DataType;
use weir_sql::Gate;

/// What all queries together, and each by itself, may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The size of an SQL text.
    pub gate: Gate,
    /// How many tables, subqueries and expressions an SQL text may stand for once its common table expressions and
    /// nested columns are written out. A short text can stand for a billion.
    pub expansion_max: u64,
    /// Memory of all running queries; beyond it they spill to disk, then fail. The process takes up to 1.7 times as much.
    pub memory_bytes: usize,
    /// One row of an answer. What is larger is refused: it is in memory several times until it is written.
    pub row_bytes_max: usize,
    /// Rows of an answer that are gathered before they are shown: a page of lines.
    pub page_bytes_max: usize,
    /// Temporary files of all running queries.
    pub spill_bytes_max: u64,
    /// Footers and page indexes of segments that are kept in memory.
    pub metadata_cache_bytes: usize,
    /// Search indexes of segments that are kept in memory.
    pub index_cache_bytes: usize,
    /// How long a query may take if it does not say less, planning and waiting included.
    pub timeout: Duration,
    /// How long a query may take that asks for more time than others have: an export. All but one of the turns are open
    /// to such queries.
    pub timeout_max: Duration,
    /// How long a query waits for its turn before it is told to come back.
    pub queue_timeout: Duration,
    /// How long an answer may wait to be read while memory is scarce and others wait for it; less than they wait for their turn.
    pub unread_max: Duration,
    /// How many queries run at once.
    pub concurrent_max: usize,
    /// How many threads they run on.
    pub threads: usize,
    /// The most rows that a query may ask for; `None` for no limit.
    pub rows_max: Option<u64>,
}

const MEMORY_BYTES_MAX: u64 = 1 << 30;
const MEMORY_SHARE: u64 = 4;
const CONCURRENT_MIN: usize = 2;

impl Default for Limits {
    fn default() -> Self {
        Self {
            gate: Gate::default(),
            expansion_max: 10_000,
            memory_bytes: MEMORY_BYTES_MAX as usize,
            row_bytes_max: 64 << 20,
            page_bytes_max: 64 << 20,
            spill_bytes_max: 4 << 30,
            metadata_cache_bytes: 128 << 20,
            index_cache_bytes: 64 << 20,
            timeout: Duration::from_secs(30),
            timeout_max: Duration::from_secs(900),
            queue_timeout: Duration::from_secs(5),
            unread_max: Duration::from_secs(2),
            concurrent_max: CONCURRENT_MIN,
            threads: 2,
            rows_max: None,
        }
    }
}

impl Limits {
    /// The defaults for this machine: a quarter of its memory but at most 1 GiB, and as many queries as it has cores
    /// but at least two.
    pub fn for_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(CONCURRENT_MIN, usize::from);
        let memory =
            machine_memory_bytes().map_or(MEMORY_BYTES_MAX, |bytes| (bytes / MEMORY_SHARE).min(MEMORY_BYTES_MAX));
        Self {
            memory_bytes: usize::try_from(memory).unwrap_or(usize::MAX),
            concurrent_max: cores.max(CONCURRENT_MIN),
            threads: cores.max(CONCURRENT_MIN),
            ..Self::default()
        }
    }
}

/// The memory of the machine, or of the container if that is less; `None` where that cannot be known.
pub fn machine_memory_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = meminfo.as_deref().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
    });
    let container = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    container.chain(machine).min()
}

/// A value for a placeholder (`$1`) of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// The value as text; `None` is null.
    pub value: Option<String>,
    /// What it is; if that is not said, what the place of the placeholder makes it, else text.
    pub data_type: Option<DataType>,
}

/// What one query wants of what it may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The most rows to return; the result says if there were more. `None` for all of them.
    pub max_rows: Option<u64>,
    /// The most bytes of rows to return, counted in whole batches; the result says if there were more.
    pub max_bytes: Option<u64>,
    /// How long it may take, at most [`Limits::timeout_max`]; [`Limits::timeout`] if it does not say.
    pub timeout: Option<Duration>,
    /// The values of its placeholders, from `$1` on.
    pub parameters: Vec<Parameter>,
}
