//! The story language: text to a plan and what happens to it. What it cannot read is an error with the line.

use weir_engine::{
    Aggregate, AggregatePlan, CalendarUnit, EmitMode, EmitPlan, GlobalPlan, LateEmit, Limits, Node, OperatorPlan,
    Output, Plan, TimePlan, Upstream, WatermarkPlan, Weekday, WindowKind, WindowPlan,
};
use weir_model::{DurationText, PartitionId, TimeDelta, TimeZone};

use crate::memory;

/// The beginning of 1 January 2026 in microseconds: the zero of event time and processing time in stories.
pub(crate) const DAY: i64 = 1_767_225_600_000_000;

/// A plan and what happens to it.
#[derive(Clone, Debug)]
pub struct Story {
    /// The plan.
    pub plan: Plan,
    /// What happens, in order.
    pub lines: Vec<Line>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A partition appears.
    Added(PartitionId),
    /// A partition will yield nothing more.
    Finished(PartitionId),
    /// A partition was read to its present end.
    CaughtUp(PartitionId),
    /// Rows of a partition.
    Rows(PartitionId, Vec<Row>),
    /// A node gets a newer version of its table: its columns, and rows of text.
    Table {
        /// The index of the node.
        node: usize,
        /// The names of its columns.
        columns: Vec<String>,
        /// Its rows; `None` is null.
        rows: Vec<Vec<Option<String>>>,
    },
    /// Processing time, in microseconds since the epoch.
    Tick(i64),
    /// An epoch ends.
    Barrier,
    /// Everything ends.
    End,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its event time in microseconds since the epoch.
    pub time: i64,
    /// Its key.
    pub key: Option<String>,
    /// Its value.
    pub value: Option<f64>,
}

/// What of a story cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("\"{line}\": {problem}")]
pub struct StoryError {
    line: String,
    problem: String,
}

impl Story {
    /// Reads a story.
    ///
    /// # Errors
    /// With the first line that cannot be read.
    pub fn parse(text: &str) -> Result<Self, StoryError> {
        let mut plan = empty_plan();
        let mut lines = Vec::new();
        let mut in_plan = true;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let parsed = match in_plan {
                true if line == "---" => {
                    in_plan = false;
                    Ok(())
                }
                true => plan_line(line, &mut plan),
                false => event_line(line).map(|line| lines.push(line)),
            };
            parsed.map_err(|problem| StoryError { line: line.to_owned(), problem })?;
        }
        plan.outputs[0].from = last(&plan);
        Ok(Self { plan, lines })
    }
}

fn empty_plan() -> Plan {
    Plan {
        pipeline: "story".to_owned(),
        time: None,
        sources: vec!["in".to_owned()],
        nodes: Vec::new(),
        outputs: vec![Output { name: "out".to_owned(), from: Upstream::AllSources }],
        limits: Limits::default(),
    }
}

fn last(plan: &Plan) -> Upstream {
    plan.nodes.len().checked_sub(1).map_or(Upstream::AllSources, Upstream::Node)
}

fn plan_line(line: &str, plan: &mut Plan) -> Result<(), String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let operator = match word {
        "time" => {
            let (rest, condition) = rest.split_once(" when ").map_or((rest, None), |(rest, when)| (rest, Some(when)));
            let delay = option(rest, "delay")?.unwrap_or_default();
            plan.time = Some(TimePlan {
                watermark: match (condition, option(rest, "every")?) {
                    (Some(condition), _) => WatermarkPlan::Punctuated { condition: condition.to_owned(), delay },
                    (None, Some(every)) => WatermarkPlan::Periodic { delay, every },
                    (None, None) => WatermarkPlan::Bounded { delay },
                },
                idle_after: option(rest, "idle_after")?.unwrap_or(TimeDelta::from_secs(30)),
                future_limit: option(rest, "future_limit")?.unwrap_or(TimeDelta::from_secs(300)),
                max_drift: option(rest, "max_drift")?,
            });
            return Ok(());
        }
        "limit" => {
            let number =
                |name: &str| find(rest, name).map(str::parse).transpose().map_err(|_| format!("{name} is no number"));
            plan.limits.groups_per_node = number("groups")?.unwrap_or(plan.limits.groups_per_node);
            plan.limits.runs_per_pane = number("runs")?.unwrap_or(plan.limits.runs_per_pane);
            return Ok(());
        }
        "sources" => {
            plan.sources = rest.split(' ').map(str::to_owned).collect();
            return Ok(());
        }
        "join" => OperatorPlan::Join(memory::join(rest, plan)?),
        "where" => OperatorPlan::Where(rest.to_owned()),
        "select" => OperatorPlan::Select(rest.split(", ").map(named).collect::<Result<_, _>>()?),
        "window" => OperatorPlan::Window(window(rest)?),
        "session" => OperatorPlan::Window(session(rest)?),
        "enrich" => OperatorPlan::Enrich(memory::enrich(rest)?),
        "deduplicate" => OperatorPlan::Deduplicate(memory::deduplicate(rest)?),
        _ => {
            let words = "time, limit, where, select, window, session, deduplicate, enrich, sources and join";
            return Err(format!("a plan has {words}"));
        }
    };
    let from = match (&operator, last(plan)) {
        (OperatorPlan::Join(_), Upstream::AllSources) => Upstream::Source(0),
        (_, from) => from,
    };
    plan.nodes.push(Node { name: format!("{word}{}", plan.nodes.len()), from, operator });
    Ok(())
}

fn window(text: &str) -> Result<WindowPlan, String> {
    let (head, compute) = text.split_once(" compute ").ok_or("a window needs compute")?;
    let first = head.split(' ').next().unwrap_or(head);
    let slide =
        head.split_once(" every ").map(|(_, rest)| duration(rest.split(' ').next().unwrap_or(rest))).transpose()?;
    let by = head.split_once(" by ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or(rest));
    let options = compute.split(' ').filter(|word| OPTIONS.iter().any(|option| word.starts_with(option)));
    let options = options.collect::<Vec<_>>().join(" ");
    let compute = OPTIONS
        .iter()
        .filter_map(|option| compute.find(&format!(" {option}")))
        .min()
        .map_or(compute, |end| &compute[..end]);
    let offset = option(&options, "offset")?.unwrap_or_default();
    Ok(WindowPlan {
        window: match (calendar(head), slide) {
            _ if first == "global" => WindowKind::Global(GlobalPlan {
                every_rows: number(&options, "every_rows")?,
                forget_after: option(&options, "forget_after")?,
            }),
            (Some((unit, zone)), _) => WindowKind::Calendar { unit, zone: zone?, offset },
            (None, Some(slide)) => WindowKind::Sliding { size: duration(first)?, slide, offset },
            (None, None) => WindowKind::Tumbling { size: duration(first)?, offset },
        },
        by: by.split(',').filter(|key| !key.is_empty()).map(str::to_owned).collect(),
        compute: compute.split(", ").map(aggregate).collect::<Result<_, _>>()?,
        lateness: option(&options, "lateness")?.unwrap_or_default(),
        emit: EmitPlan {
            mode: match find(&options, "mode") {
                None | Some("accumulating") => EmitMode::Accumulating,
                Some("discarding") => EmitMode::Discarding,
                Some(other) => return Err(format!("there is no mode {other}")),
            },
            late: match find(&options, "late") {
                None => EmitPlan::default().late,
                Some("immediately") => LateEmit::Immediately,
                Some(every) => LateEmit::Every(duration(every)?),
            },
            early_every: option(&options, "early_every")?,
            early_rows: number(&options, "early_rows")?,
        },
    })
}

/// As a window, with the gap for its size.
fn session(text: &str) -> Result<WindowPlan, String> {
    let mut plan = window(text)?;
    let WindowKind::Tumbling { size: gap, .. } = plan.window else {
        return Err("a session has a gap, such as 30s".to_owned());
    };
    plan.window = WindowKind::Session { gap };
    Ok(plan)
}

/// `day in Europe/Berlin`, also hour, week, month, quarter and year.
fn calendar(head: &str) -> Option<(CalendarUnit, Result<TimeZone, String>)> {
    let (unit, rest) = head.split_once(" in ")?;
    let unit = match unit {
        "hour" => CalendarUnit::Hour,
        "day" => CalendarUnit::Day,
        "week" => CalendarUnit::Week { starts: Weekday::Mon },
        "month" => CalendarUnit::Month,
        "quarter" => CalendarUnit::Quarter,
        "year" => CalendarUnit::Year,
        _ => return None,
    };
    Some((unit, rest.split(' ').next().unwrap_or(rest).parse()))
}

const OPTIONS: [&str; 8] =
    ["offset=", "lateness=", "late=", "early_every=", "early_rows=", "mode=", "every_rows=", "forget_after="];

/// `name=function(argument) if condition`; a quantile is `p95(argument)`.
fn aggregate(text: &str) -> Result<AggregatePlan, String> {
    let (name, text) = named(text)?;
    let (call, filter) = text.split_once(" if ").map_or((text.as_str(), None), |(call, filter)| (call, Some(filter)));
    let (function, argument) = call
        .strip_suffix(')')
        .and_then(|call| call.split_once('('))
        .ok_or("an aggregate is name=function(argument)")?;
    let function = match function {
        "count" => Aggregate::Count,
        "sum" => Aggregate::Sum,
        "avg" => Aggregate::Avg,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "variance" => Aggregate::Variance,
        "stddev" => Aggregate::Stddev,
        "first" => Aggregate::First,
        "last" => Aggregate::Last,
        "count_distinct" => Aggregate::CountDistinct,
        "approx_distinct" => Aggregate::ApproxDistinct,
        other if other.starts_with("top") => {
            Aggregate::TopK(other[3..].parse().map_err(|_| format!("{other} should be top and a number"))?)
        }
        other => {
            let percent = other.strip_prefix('p').and_then(|percent| percent.parse::<f64>().ok());
            Aggregate::Quantile(percent.ok_or_else(|| format!("there is no aggregate {other}"))? / 100.0)
        }
    };
    let argument = Some(argument.to_owned()).filter(|argument| argument != "*");
    Ok(AggregatePlan { name, function, argument, filter: filter.map(str::to_owned) })
}

pub(crate) fn named(text: &str) -> Result<(String, String), String> {
    let (name, text) = text.split_once('=').ok_or_else(|| format!("\"{text}\" should be name=expression"))?;
    Ok((name.trim().to_owned(), text.trim().to_owned()))
}

fn event_line(line: &str) -> Result<Line, String> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    Ok(match word {
        "added" => Line::Added(PartitionId::new(rest)),
        "finished" => Line::Finished(PartitionId::new(rest)),
        "caught_up" => Line::CaughtUp(PartitionId::new(rest)),
        "tick" => Line::Tick(DAY + duration(rest)?.micros()),
        "table" => memory::table(rest)?,
        "barrier" => Line::Barrier,
        "end" => Line::End,
        "rows" => {
            let (partition, rows) = rest.split_once(':').ok_or("rows are `rows partition: time key value | ...`")?;
            Line::Rows(
                PartitionId::new(partition),
                outside_quotes(rows, '|').into_iter().map(row).collect::<Result<_, _>>()?,
            )
        }
        _ => return Err("what happens is added, finished, caught_up, rows, tick, barrier or end".to_owned()),
    })
}

fn row(text: &str) -> Result<Row, String> {
    let words = outside_quotes(text.trim(), ' ').into_iter().filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let [time, key, value] = words[..] else { return Err(format!("\"{text}\" should be time, key and value")) };
    let value = if value == "-" { None } else { Some(value.parse().map_err(|_| format!("\"{value}\" is no number"))?) };
    let quoted = key.strip_prefix('`').and_then(|key| key.strip_suffix('`'));
    let key = quoted.or(Some(key).filter(|key| *key != "-"));
    Ok(Row { time: time_of_day(time)?, key: key.map(str::to_owned), value })
}

/// The parts of `text` between `separator`s that do not stand between backticks.
fn outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let part = |c: char| {
        quoted ^= c == '`';
        c == separator && !quoted
    };
    text.split(part).collect()
}

/// `HH:MM:SS` with decimals, or a date before it: `2026-03-29T01:00:00`.
fn time_of_day(text: &str) -> Result<i64, String> {
    let parts: Option<Vec<f64>> = text.split(':').map(|part| part.parse().ok()).collect();
    if let Some((date, time)) = text.split_once('T') {
        let days = date.parse::<chrono::NaiveDate>().map_err(|_| format!("\"{date}\" is no date"))?;
        let midnight = days.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_micros();
        return Ok(time_of_day(time)? - DAY + midnight);
    }
    match parts.as_deref() {
        Some([hours, minutes, seconds]) => Ok(DAY + ((hours * 3600.0 + minutes * 60.0 + seconds) * 1e6).round() as i64),
        _ => Err(format!("\"{text}\" is no time of day such as 00:01:30")),
    }
}

fn number(text: &str, name: &str) -> Result<Option<u64>, String> {
    find(text, name).map(str::parse).transpose().map_err(|_| format!("{name} is no number"))
}

pub(crate) fn option(text: &str, name: &str) -> Result<Option<TimeDelta>, String> {
    find(text, name).map(duration).transpose()
}

pub(crate) fn find<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn duration(text: &str) -> Result<TimeDelta, String> {
    text.parse::<DurationText>().map(DurationText::delta)
}
