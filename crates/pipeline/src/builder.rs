//! A pipeline in Rust: the same [`PipelineConfig`] that YAML gives, key by key. Refuses nothing: [`crate::validate`]
//! looks at what comes out, as it does for YAML.
//!
//! ```
//! use weir_model::DurationText;
//! use weir_pipeline::builder::{File, Format, Pipeline, Tumbling};
//!
//! let errors = Pipeline::named("errors")
//!     .source("logs", File::new(["/var/log/spark/**/*.stderr"]), Format::SparkLog(Default::default()))
//!     .time("ts")
//!     .delay(DurationText::secs(10))
//!     .filter("level = 'ERROR'")
//!     .window(Tumbling::of(DurationText::secs(60)).by(["app_id"]).compute("errors", "count(*)"))
//!     .to_table("errors_per_minute")
//!     .build();
//! assert!(weir_pipeline::validate(&errors).is_empty());
//! ```

use weir_collect::{FileConfig, HttpConfig, KafkaConfig, LogConfig, SourceConfig, StdinConfig};
use weir_decode::FormatConfig;
use weir_deliver::{FileFormat, FileMode, FileOutput, HttpOutput, OutputConfig, StdoutOutput, TableOutput};
use weir_kafka::KafkaConnection;
use weir_model::DurationText;

use crate::config::{
    BoundedConfig, CalendarConfig, CalendarUnit, ConnectionConfig, EmitConfig, FieldType, GlobalConfig, LateConfig,
    ModeConfig, Named, OutputEntry, PeriodicConfig, PipelineConfig, PunctuatedConfig, SlidingConfig, SourceEntry,
    StateConfig, Step, StepKind, TimeConfig, TimeText, WatermarkConfig, Weekday, WindowConfig, WindowKind,
    WorkersConfig,
};
use crate::config::{
    DeadLettersLimit, DeduplicateConfig, EnrichConfig, ExplodeConfig, FlattenConfig, JoinConfig, JoinLinesConfig,
    MaskConfig, MatchConfig, ParseConfig, RateLimitConfig, RetryConfig, RouteConfig, SampleConfig,
};

/// Files as a source.
pub type File = FileConfig;
/// How the bytes of a source become records and columns.
pub type Format = FormatConfig;

/// A pipeline in the making.
#[derive(Clone, Debug)]
#[must_use = "a pipeline comes out of `build`"]
pub struct Pipeline {
    config: PipelineConfig,
    last: Option<Last>,
}

/// What was added last.
#[derive(Clone, Copy, Debug)]
enum Last {
    Step,
    Output,
}

/// What can be a source.
pub trait IntoSource {
    /// As its kind of source.
    fn into_source(self) -> SourceConfig;
}

macro_rules! sources {
    ($($type:ty => $make:expr),*) => {$(
        impl IntoSource for $type {
            fn into_source(self) -> SourceConfig {
                $make(self)
            }
        }
    )*};
}

sources! {
    SourceConfig => std::convert::identity,
    FileConfig => SourceConfig::File,
    StdinConfig => SourceConfig::Stdin,
    HttpConfig => SourceConfig::Http,
    LogConfig => SourceConfig::Log,
    KafkaConfig => SourceConfig::Kafka
}

impl Pipeline {
    /// Begins a pipeline.
    pub fn named(name: impl Into<String>) -> Self {
        Self { config: PipelineConfig::named(name), last: None }
    }

    /// Says once, under a name, how brokers are reached: for sources and outputs that name it, see [`KafkaConfig::by`].
    pub fn connection(mut self, name: impl Into<String>, kafka: KafkaConnection) -> Self {
        self.config.connections.insert(name.into(), ConnectionConfig::Kafka(kafka));
        self
    }

    /// Adds a source.
    pub fn source(mut self, name: impl Into<String>, source: impl IntoSource, format: Format) -> Self {
        let entry = SourceEntry { source: source.into_source(), format, schema: Default::default() };
        self.config.sources.insert(name.into(), entry);
        self
    }

    /// Declares the type of a field of a source that was added before.
    ///
    /// # Panics
    /// When there is no source of that name.
    pub fn field(mut self, source: &str, field: impl Into<String>, field_type: FieldType) -> Self {
        let entry = self.config.sources.get_mut(source);
        entry.expect("a field is declared after its source").schema.insert(field.into(), field_type);
        self
    }

    /// Names the field that holds the event time.
    pub fn time(mut self, field: impl Into<String>) -> Self {
        self.config.time = Some(TimeConfig::field(field));
        self
    }

    /// How far out of order records may come.
    ///
    /// # Panics
    /// Before [`Pipeline::time`].
    pub fn delay(self, delay: DurationText) -> Self {
        self.with_time(|time| time.watermark = WatermarkConfig::Bounded(BoundedConfig { delay }))
    }

    /// A watermark that moves at multiples of `every` only; records may come out of order by `delay`.
    ///
    /// # Panics
    /// Before [`Pipeline::time`].
    pub fn periodic(self, delay: DurationText, every: DurationText) -> Self {
        self.with_time(|time| time.watermark = WatermarkConfig::Periodic(PeriodicConfig { delay, every }))
    }

    /// A watermark that only records move for which a SQL condition is true, to their event time less `delay`.
    ///
    /// # Panics
    /// Before [`Pipeline::time`].
    pub fn punctuated(self, condition: impl Into<String>, delay: DurationText) -> Self {
        let r#where = condition.into();
        self.with_time(|time| time.watermark = WatermarkConfig::Punctuated(PunctuatedConfig { r#where, delay }))
    }

    /// How long a silent partition that was read to its end holds time back.
    ///
    /// # Panics
    /// Before [`Pipeline::time`].
    pub fn idle_after(self, idle_after: DurationText) -> Self {
        self.with_time(|time| time.idle_after = idle_after)
    }

    /// How far in the future a record's time may be.
    ///
    /// # Panics
    /// Before [`Pipeline::time`].
    pub fn future_limit(self, future_limit: DurationText) -> Self {
        self.with_time(|time| time.future_limit = future_limit)
    }

    /// The earliest time that is believed.
    ///
    /// # Panics
    /// Before [`Pipeline::time`].
    pub fn not_before(self, not_before: TimeText) -> Self {
        self.with_time(|time| time.not_before = not_before)
    }

    /// How far a partition may be ahead of the slowest before it waits.
    ///
    /// # Panics
    /// Before [`Pipeline::time`].
    pub fn max_drift(self, max_drift: DurationText) -> Self {
        self.with_time(|time| time.max_drift = Some(max_drift))
    }

    fn with_time(mut self, change: impl FnOnce(&mut TimeConfig)) -> Self {
        change(self.config.time.as_mut().expect("`time` names the field before anything else is said about time"));
        self
    }

    /// Keeps the rows for which a SQL expression is true.
    pub fn filter(self, expression: impl Into<String>) -> Self {
        self.step(StepKind::Where(expression.into()))
    }

    /// The columns that go on, each a SQL expression.
    pub fn select<N: Into<String>, T: Into<String>>(self, columns: impl IntoIterator<Item = (N, T)>) -> Self {
        self.step(StepKind::Select(Named::from_iter(columns)))
    }

    /// Computes columns beside those that are there.
    pub fn add_columns<N: Into<String>, T: Into<String>>(self, columns: impl IntoIterator<Item = (N, T)>) -> Self {
        self.step(StepKind::Add(Named::from_iter(columns)))
    }

    /// Leaves columns out.
    pub fn drop_columns(self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.step(StepKind::Drop(columns.into_iter().map(Into::into).collect()))
    }

    /// Gives columns other names: the new name, then the one that it has.
    pub fn rename<N: Into<String>, T: Into<String>>(self, columns: impl IntoIterator<Item = (N, T)>) -> Self {
        self.step(StepKind::Rename(Named::from_iter(columns)))
    }

    /// Replaces columns that are objects by what is inside of them.
    pub fn flatten(self, flatten: FlattenConfig) -> Self {
        self.step(StepKind::Flatten(flatten))
    }

    /// Makes a row of each element of a list.
    pub fn explode(self, explode: ExplodeConfig) -> Self {
        self.step(StepKind::Explode(explode))
    }

    /// Makes columns of what a text says.
    pub fn parse(self, parse: ParseConfig) -> Self {
        self.step(StepKind::Parse(parse))
    }

    /// Replaces what tells who somebody is.
    pub fn mask(self, mask: MaskConfig) -> Self {
        self.step(StepKind::Mask(mask))
    }

    /// Keeps a share of the rows; those of the same keys all or none.
    pub fn sample(self, keep: f64, by: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.step(StepKind::Sample(SampleConfig { keep, by: by.into_iter().map(Into::into).collect() }))
    }

    /// Lets so many rows pass per span of event time.
    pub fn rate_limit(self, limit: RateLimitConfig) -> Self {
        self.step(StepKind::RateLimit(limit))
    }

    /// Joins rows whose texts are lines of one record.
    pub fn join_lines(self, lines: JoinLinesConfig) -> Self {
        self.step(StepKind::JoinLines(lines))
    }

    /// Sends each row to the first branch whose condition is true; `else` takes those that no other takes.
    pub fn route<N: Into<String>, T: Into<String>>(self, branches: impl IntoIterator<Item = (N, T)>) -> Self {
        let branches = Named::from_iter(branches);
        self.step(StepKind::Route(RouteConfig { branches, matching: MatchConfig::First }))
    }

    /// Sends each row to every branch whose condition is true.
    pub fn route_all<N: Into<String>, T: Into<String>>(self, branches: impl IntoIterator<Item = (N, T)>) -> Self {
        let branches = Named::from_iter(branches);
        self.step(StepKind::Route(RouteConfig { branches, matching: MatchConfig::All }))
    }

    /// Aggregates over windows: see [`Tumbling`], [`Sliding`], [`Calendar`], [`Global`] and [`Sessions`].
    pub fn window(self, window: impl Into<WindowConfig>) -> Self {
        self.step(StepKind::Window(window.into()))
    }

    /// Filters rows that equal one which went on before: see [`DeduplicateConfig::by`].
    pub fn deduplicate(self, deduplicate: DeduplicateConfig) -> Self {
        self.step(StepKind::Deduplicate(deduplicate))
    }

    /// Looks rows up in a table: see [`EnrichConfig::csv`].
    pub fn enrich(self, enrich: EnrichConfig) -> Self {
        self.step(StepKind::Enrich(enrich))
    }

    /// Pairs rows with those of another stream: see [`JoinConfig::with`].
    pub fn join(self, join: JoinConfig) -> Self {
        self.step(StepKind::Join(join))
    }

    fn step(mut self, kind: StepKind) -> Self {
        self.config.steps.push(Step::from(kind));
        self.last = Some(Last::Step);
        self
    }

    /// Writes the rows to a table of the store.
    pub fn to_table(self, table: &str) -> Self {
        self.to(OutputConfig::table(table))
    }

    /// Writes the rows to a table about which something is chosen: see [`TableOutput::named`].
    pub fn to_table_kept(self, table: TableOutput) -> Self {
        self.to(OutputConfig::Table(table))
    }

    /// Writes the rows to a file that must not exist yet.
    pub fn to_file(self, path: impl Into<String>, format: FileFormat) -> Self {
        self.to(OutputConfig::File(FileOutput { path: path.into(), format, mode: FileMode::default() }))
    }

    /// Writes the rows to standard output.
    pub fn to_stdout(self) -> Self {
        self.to(OutputConfig::Stdout(StdoutOutput::default()))
    }

    /// Sends the rows to an HTTP endpoint: see [`HttpOutput::new`].
    pub fn to_http(self, http: HttpOutput) -> Self {
        self.to(OutputConfig::Http(http))
    }

    /// How long the output that was added last is waited for when it takes no rows.
    ///
    /// # Panics
    /// Before any output.
    pub fn retry(mut self, retry: RetryConfig) -> Self {
        self.config.outputs.last_mut().expect("an output was added before").retry = Some(retry);
        self
    }

    /// Writes the rows anywhere.
    pub fn to(mut self, output: OutputConfig) -> Self {
        self.config.outputs.push(OutputEntry { output, from: None, name: None, retry: None });
        self.last = Some(Last::Output);
        self
    }

    /// Names the step or output that was added last.
    ///
    /// # Panics
    /// Before any.
    pub fn called(mut self, name: impl Into<String>) -> Self {
        *self.last_name_and_from().0 = Some(name.into());
        self
    }

    /// Says whose rows the step or output that was added last takes: a source's or an earlier step's.
    ///
    /// # Panics
    /// Before any.
    pub fn from(mut self, name: impl Into<String>) -> Self {
        *self.last_name_and_from().1 = Some(name.into());
        self
    }

    fn last_name_and_from(&mut self) -> (&mut Option<String>, &mut Option<String>) {
        let last = self.last.expect("a step or an output was added before");
        let (step, output) = (self.config.steps.last_mut(), self.config.outputs.last_mut());
        let found = match last {
            Last::Step => step.map(|step| (&mut step.name, &mut step.from)),
            Last::Output => output.map(|output| (&mut output.name, &mut output.from)),
        };
        found.expect("what was added last is there")
    }

    /// Where late rows go.
    pub fn late(mut self, output: OutputConfig) -> Self {
        self.config.late = output;
        self
    }

    /// Where records go that could not be decoded or processed.
    pub fn dead_letters(mut self, output: OutputConfig) -> Self {
        self.config.dead_letters = output;
        self
    }

    /// How many dead letters there may be before the pipeline waits.
    pub fn dead_letters_limit(mut self, limit: DeadLettersLimit) -> Self {
        self.config.dead_letters_limit = limit;
        self
    }

    /// How often results, positions and state are committed.
    pub fn epoch(mut self, epoch: DurationText) -> Self {
        self.config.epoch = epoch;
        self
    }

    /// How many threads read and decode.
    pub fn tasks(mut self, tasks: u32) -> Self {
        self.config.tasks = Some(tasks);
        self
    }

    /// Where what the pipeline remembers is kept, and what is done when it is damaged.
    pub fn state(mut self, state: StateConfig) -> Self {
        self.config.state = state;
        self
    }

    /// Several processes share it over Kafka.
    pub fn workers(mut self, workers: WorkersConfig) -> Self {
        self.config.workers = Some(workers);
        self
    }

    /// The pipeline, resolved as a loaded one is.
    pub fn build(self) -> PipelineConfig {
        self.config.resolved()
    }
}

/// Tumbling windows in the making: one after the other, without gaps or overlap.
#[derive(Clone, Debug)]
#[must_use = "a window belongs into `Pipeline::window`"]
pub struct Tumbling(WindowConfig);

/// Sliding windows in the making: they overlap.
#[derive(Clone, Debug)]
#[must_use = "a window belongs into `Pipeline::window`"]
pub struct Sliding(WindowConfig);

impl Tumbling {
    /// Windows of this length.
    pub fn of(size: DurationText) -> Self {
        Self(window(WindowKind::Tumbling(size)))
    }
}

impl Sliding {
    /// Windows of this length, one beginning every `slide`.
    pub fn of(size: DurationText, slide: DurationText) -> Self {
        Self(window(WindowKind::Sliding(SlidingConfig { size, slide })))
    }
}

/// Calendar windows in the making: days, weeks, months and the like, as the clocks of a place show them.
#[derive(Clone, Debug)]
#[must_use = "a window belongs into `Pipeline::window`"]
pub struct Calendar(WindowConfig);

impl Calendar {
    /// Windows of this unit, by the clock of a zone such as `Europe/Berlin`.
    pub fn of(unit: CalendarUnit, zone: impl Into<String>) -> Self {
        let week_starts = Weekday::default();
        Self(window(WindowKind::Calendar(CalendarConfig { unit, zone: zone.into(), week_starts })))
    }

    /// Weeks that begin with this day, by the clock of a zone.
    pub fn weeks_from(week_starts: Weekday, zone: impl Into<String>) -> Self {
        let unit = CalendarUnit::Week;
        Self(window(WindowKind::Calendar(CalendarConfig { unit, zone: zone.into(), week_starts })))
    }
}

/// A global window in the making: it never ends, and each key speaks on its own.
#[derive(Clone, Debug)]
#[must_use = "a window belongs into `Pipeline::window`"]
pub struct Global(WindowConfig);

impl Global {
    /// A window in which a key speaks with every so many rows of its own.
    pub fn every_rows(rows: u64) -> Self {
        let mut window = window(WindowKind::Global(GlobalConfig::default()));
        window.emit.every_rows = Some(rows);
        Self(window)
    }

    /// Forgets a key when event time is so far ahead of its latest row.
    pub fn forget_after(mut self, after: DurationText) -> Self {
        self.0.kind = WindowKind::Global(GlobalConfig { forget_after: Some(after) });
        self
    }
}

/// Sessions in the making: rows that follow each other closely.
#[derive(Clone, Debug)]
#[must_use = "sessions belong into `Pipeline::window`"]
pub struct Sessions(WindowConfig);

impl Sessions {
    /// Rows of a group belong together while they follow each other in less than `gap`.
    pub fn of(gap: DurationText) -> Self {
        Self(window(WindowKind::Session(gap)))
    }
}

fn window(kind: WindowKind) -> WindowConfig {
    WindowConfig {
        kind,
        offset: DurationText::default(),
        by: Vec::new(),
        compute: Named::default(),
        lateness: DurationText::default(),
        emit: EmitConfig::default(),
    }
}

macro_rules! windows {
    ($($window:ident),*) => {$(
        impl $window {
            /// Shifts the windows' beginnings.
            pub fn offset(mut self, offset: DurationText) -> Self {
                self.0.offset = offset;
                self
            }

            /// Groups by these columns.
            pub fn by(mut self, columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
                self.0.by.extend(columns.into_iter().map(Into::into));
                self
            }

            /// Adds a column with a SQL aggregate.
            pub fn compute(mut self, name: impl Into<String>, aggregate: impl Into<String>) -> Self {
                self.0.compute.push(name, aggregate);
                self
            }

            /// How long after its end a window still takes rows.
            pub fn lateness(mut self, lateness: DurationText) -> Self {
                self.0.lateness = lateness;
                self
            }

            /// Emits what there is so far this often.
            pub fn early(mut self, every: DurationText) -> Self {
                self.0.emit.early = Some(every);
                self
            }

            /// Emits what there is so far each time that so many rows were taken.
            pub fn early_rows(mut self, rows: u64) -> Self {
                self.0.emit.early_rows = Some(rows);
                self
            }

            /// Collects rows of windows that have fired for so long before they are emitted.
            pub fn late(mut self, every: DurationText) -> Self {
                self.0.emit.late = Some(LateConfig::Every(every));
                self
            }

            /// Emits the group of a row of a window that has fired at once.
            pub fn late_immediately(mut self) -> Self {
                self.0.emit.late = Some(LateConfig::Immediately);
                self
            }

            /// Emits only what came since the window's last result.
            pub fn discarding(mut self) -> Self {
                self.0.emit.mode = ModeConfig::Discarding;
                self
            }
        }

        impl From<$window> for WindowConfig {
            fn from(window: $window) -> Self {
                window.0
            }
        }
    )*};
}

windows! { Tumbling, Sliding, Calendar, Global, Sessions }
