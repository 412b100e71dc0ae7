//! Plays stories: straight, cut into other batches, and with crashes. All must tell the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::ipc::{reader::StreamReader, writer::StreamWriter};
use weir_engine::{Effect, Engine, EngineError, Input, OperatorPlan, Plan, Snapshot, Table};
use weir_model::{Batch, Epoch, PartitionId, ProcessingTime};

use crate::away::{kept, play_away};
use crate::{Columns, Line, Outcome, Row, Story};

/// What went wrong in a play.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The engine refused the plan or a snapshot.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Rows were lost or counted twice.
    #[error("{play}: after line {line} the balance does not hold: {balance}")]
    Balance {
        /// Which play of the story.
        play: String,
        /// After which line.
        line: usize,
        /// The balance.
        balance: String,
    },
    /// Tasks do not understand each other.
    #[error("in tasks: {0}")]
    Tasks(String),
    /// Two plays of the same story told different things.
    #[error("{play} tells something else\nexpected: {expected:#?}\nfound: {found:#?}")]
    Differs {
        /// Which play.
        play: String,
        /// What the straight play told.
        expected: Box<Outcome>,
        /// What this one told.
        found: Box<Outcome>,
    },
}

/// Plays a story in every way, and returns what the straight play told, line by line.
///
/// # Errors
/// When the engine refuses it, a balance does not hold, or two plays differ.
pub fn play(story: &Story) -> Result<(String, Outcome), PlayError> {
    play_with_crashes(story, story.lines.len())
}

/// The same with fewer crashes, for long stories.
///
/// # Errors
/// As [`play`].
pub fn play_with_crashes(story: &Story, crashes: usize) -> Result<(String, Outcome), PlayError> {
    let (told, expected) = play_straight(story)?;
    let expected = expected.sorted();
    let agree = |play: String, found: Outcome| {
        let found = found.sorted();
        let (expected, found) = (Box::new(expected.clone()), Box::new(found));
        if expected == found { Ok(()) } else { Err(PlayError::Differs { play, expected, found }) }
    };
    for cut in Cut::ALL {
        let recut = Story { plan: story.plan.clone(), lines: cut.apply(&story.lines) };
        agree(format!("cut {cut:?}"), play_straight(&recut)?.1)?;
    }
    agree("with nothing in memory".to_owned(), play_away(story)?)?;
    for (barrier, crash) in crash_points(story, crashes) {
        agree(format!("barrier before line {barrier}, crash after line {crash}"), play_crash(story, barrier, crash)?)?;
    }
    Ok((told, expected))
}

/// Plays a story once, as it is.
///
/// # Errors
/// As [`play`].
pub fn play_once(story: &Story) -> Result<Outcome, PlayError> {
    Ok(play_straight(story)?.1)
}

/// Plays a story up to its first barrier and restores the snapshot with another plan.
///
/// # Errors
/// What [`Engine::restore`] says.
pub fn restore_with(story: &Story, plan: Plan) -> Result<Engine, EngineError> {
    let mut stage = Stage::new(&story.plan)?;
    let mut effects = Vec::new();
    for line in &story.lines {
        stage.step(line, &mut effects);
    }
    let snapshot = effects
        .into_iter()
        .find_map(|effect| if let Effect::Snapshot(snapshot) = effect { Some(snapshot) } else { None });
    Engine::restore(plan, Arc::new(Columns), snapshot.expect("the story has a barrier"))
}

fn play_straight(story: &Story) -> Result<(String, Outcome), PlayError> {
    let mut stage = Stage::new(&story.plan)?;
    let (mut outcome, mut told) = (Outcome::default(), String::new());
    for (index, line) in story.lines.iter().enumerate() {
        let mut effects = Vec::new();
        stage.step(line, &mut effects);
        stage.check(index, "played straight")?;
        let texts: Vec<String> = effects.iter().flat_map(|effect| outcome.add(effect)).collect();
        if !texts.is_empty() {
            told.push_str(&format!("{}\n", heading(line)));
            texts.iter().for_each(|text| told.push_str(&format!("    {text}\n")));
        }
    }
    let balance = stage.engine.balances()[0];
    let some = |rows: u64, what: &str| if rows == 0 { String::new() } else { format!(" + {what} {rows}") };
    let (added, merged) = (some(balance.added, "added"), some(balance.merged, "merged"));
    told.push_str(&format!(
        "read {}{added} = results {} + filtered {}{merged} + late {} + rejected {} + open {}\n",
        balance.read, balance.results, balance.filtered, balance.late, balance.rejected, balance.open
    ));
    Ok((told, outcome))
}

fn heading(line: &Line) -> String {
    match line {
        Line::Added(partition) => format!("added {partition}"),
        Line::Finished(partition) => format!("finished {partition}"),
        Line::CaughtUp(partition) => format!("caught_up {partition}"),
        Line::Rows(partition, rows) => format!("rows {partition}, {} of them", rows.len()),
        Line::Table { rows, .. } => format!("table, {} rows", rows.len()),
        Line::Tick(micros) => format!("tick {}s", (micros - crate::story::DAY) as f64 / 1e6),
        Line::Barrier => "barrier".to_owned(),
        Line::End => "end".to_owned(),
    }
}

/// Where to put a barrier and a crash: after `crashes` of the lines, evenly spread from where the story's own number says,
/// with the barrier one, three or all lines before it.
fn crash_points(story: &Story, crashes: usize) -> BTreeSet<(usize, usize)> {
    let lines = story.lines.len();
    let apart = lines.div_ceil(crashes).max(1);
    let crashes = (0..lines).rev().skip(number_of(story) as usize % apart).step_by(apart);
    crashes.flat_map(|crash| [crash, crash.saturating_sub(2), 0].map(|barrier| (barrier, crash))).collect()
}

/// Plays with a barrier before line `barrier` and a crash after line `crash`; what the first life told after its last
/// barrier never became visible.
fn play_crash(story: &Story, barrier: usize, crash: usize) -> Result<Outcome, PlayError> {
    let mut first = Stage::new(&story.plan)?;
    let mut outcome = Outcome::default();
    let mut committed = (0, None);
    let mut uncommitted = Vec::new();
    for (index, line) in story.lines[..=crash].iter().enumerate() {
        let barriers = [(index == barrier).then_some(&Line::Barrier), Some(line)];
        for (after, line) in
            [index, index + 1].into_iter().zip(barriers).filter_map(|(after, line)| Some((after, line?)))
        {
            first.step(line, &mut uncommitted);
            if *line == Line::Barrier {
                let mut snapshot = None;
                for effect in uncommitted.drain(..) {
                    outcome.add(&effect);
                    if let Effect::Snapshot(taken) = effect {
                        snapshot = Some(taken);
                    }
                }
                committed = (after, snapshot.map(|snapshot| (snapshot, first.source.clone())));
            }
        }
    }
    let (from, snapshot) = committed;
    let mut second = match snapshot {
        Some((snapshot, source)) => Stage::restore(&story.plan, snapshot, source)?,
        None => Stage::new(&story.plan)?,
    };
    let mut effects = Vec::new();
    for (index, line) in story.lines.iter().enumerate().skip(from) {
        second.step(line, &mut effects);
        second.check(index, &format!("after a crash after line {crash}"))?;
    }
    effects.iter().for_each(|effect| {
        outcome.add(effect);
    });
    Ok(outcome)
}

/// An engine and what its source remembers.
pub(crate) struct Stage {
    pub(crate) engine: Engine,
    source: SourceState,
}

/// What the source would know: which partitions there are, how far each was read, and which are at their end.
#[derive(Clone, Default)]
struct SourceState {
    offsets: BTreeMap<PartitionId, u64>,
    caught_up: BTreeSet<PartitionId>,
    finished: BTreeSet<PartitionId>,
    /// The newest table of each node that has one.
    tables: BTreeMap<usize, Arc<Table>>,
}

impl Stage {
    pub(crate) fn new(plan: &Plan) -> Result<Self, EngineError> {
        let engine = Engine::new(plan.clone(), Arc::new(Columns))?;
        Ok(Self { engine, source: SourceState::default() })
    }

    /// A second life. The source says again what it knows.
    fn restore(plan: &Plan, snapshot: Snapshot, source: SourceState) -> Result<Self, EngineError> {
        let mut engine = Engine::restore(plan.clone(), Arc::new(Columns), kept(snapshot))?;
        let mut effects = Vec::new();
        for (node, table) in &source.tables {
            engine.step(Input::Table { node: *node, table: table.clone() }, &mut effects);
        }
        for partition in source.offsets.keys() {
            let source = source_of(plan, partition);
            engine.step(Input::PartitionAdded { source, partition: partition.clone() }, &mut effects);
        }
        for partition in &source.finished {
            engine.step(Input::PartitionFinished(partition.clone()), &mut effects);
        }
        for partition in &source.caught_up {
            engine.step(Input::CaughtUp(partition.clone()), &mut effects);
        }
        let silent = effects.iter().all(|effect| matches!(effect, Effect::Pause(_) | Effect::Resume(_)));
        assert!(silent, "a restored engine has nothing to say before something happens: {effects:?}");
        Ok(Self { engine, source })
    }

    pub(crate) fn step(&mut self, line: &Line, effects: &mut Vec<Effect>) {
        let input = match line {
            Line::Added(partition) => {
                self.source.offsets.entry(partition.clone()).or_default();
                self.source.finished.remove(partition);
                let source = source_of(self.engine.plan(), partition);
                Input::PartitionAdded { source, partition: partition.clone() }
            }
            Line::Finished(partition) => {
                self.source.finished.insert(partition.clone());
                Input::PartitionFinished(partition.clone())
            }
            Line::CaughtUp(partition) => {
                self.source.caught_up.insert(partition.clone());
                Input::CaughtUp(partition.clone())
            }
            Line::Rows(partition, rows) => {
                self.source.caught_up.remove(partition);
                self.source.finished.remove(partition);
                let offset = self.source.offsets.entry(partition.clone()).or_default();
                *offset += rows.len() as u64;
                let source = source_of(self.engine.plan(), partition);
                Input::Batch { source, batch: batch(partition, *offset - rows.len() as u64, rows) }
            }
            Line::Table { node, columns, rows } => {
                let table = table(self.engine.plan(), *node, columns, rows);
                self.source.tables.insert(*node, table.clone());
                Input::Table { node: *node, table }
            }
            Line::Tick(micros) => Input::Tick(ProcessingTime::from_micros(*micros)),
            Line::Barrier => Input::Barrier(Epoch(1)),
            Line::End => {
                self.source.finished.extend(self.source.offsets.keys().cloned());
                Input::End
            }
        };
        self.engine.step(input, effects);
    }

    pub(crate) fn check(&self, line: usize, play: &str) -> Result<(), PlayError> {
        match self.engine.balances().into_iter().find(|balance| !balance.holds()) {
            None => Ok(()),
            Some(balance) => Err(PlayError::Balance { play: play.to_owned(), line, balance: format!("{balance:?}") }),
        }
    }
}

/// The source of a partition: the one whose name stands before its first slash, or the only one.
pub(crate) fn source_of(plan: &Plan, partition: &PartitionId) -> usize {
    let name = partition.as_str().split('/').next().unwrap_or_default();
    plan.sources.iter().position(|source| source == name).unwrap_or(0)
}

/// The columns as they come back from where snapshots are kept.
pub(crate) fn through_bytes(batch: &RecordBatch) -> RecordBatch {
    let why = "what was just written can be read";
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect(why);
    writer.write(batch).expect(why);
    let bytes = writer.into_inner().expect(why);
    StreamReader::try_new(Cursor::new(bytes), None).expect(why).next().expect(why).expect(why)
}

pub(crate) fn batch(partition: &PartitionId, offset: u64, rows: &[Row]) -> Batch {
    let keys: DictionaryArray<Int32Type> = rows.iter().map(|row| row.key.as_deref()).collect();
    let names: StringArray = rows.iter().map(|row| row.key.as_deref()).collect();
    let values: Float64Array = rows.iter().map(|row| row.value).collect();
    let columns = RecordBatch::try_new(COLUMNS.clone(), vec![Arc::new(keys), Arc::new(names), Arc::new(values)]);
    Batch {
        partition: partition.clone(),
        origin: partition.as_str().into(),
        columns: columns.expect("the columns are of the fields' types"),
        times: rows.iter().map(|row| row.time).collect::<Vec<_>>().into(),
        offsets: (offset..offset + rows.len() as u64).collect::<Vec<_>>().into(),
    }
}

/// The table of a story. Its version is what is in it.
fn table(plan: &Plan, node: usize, columns: &[String], rows: &[Vec<Option<String>>]) -> Arc<Table> {
    let OperatorPlan::Enrich(enrich) = &plan.nodes[node].operator else { panic!("step {node} looks nothing up") };
    let column =
        |index: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row[index].as_deref()).collect::<StringArray>()) };
    let columns = columns.iter().enumerate().map(|(index, name)| (name, column(index)));
    let columns = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true)));
    let table =
        Table::new(enrich, format!("{rows:?}"), &columns.expect("the rows are as long as the columns are many"));
    Arc::new(table.expect("the story gives a table that fits"))
}

/// The columns of every batch: one schema, as a decoder has one, so that nobody has to compare it.
static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let keys = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields = [("key", keys), ("name", DataType::Utf8), ("value", DataType::Float64)];
    Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
});

/// How the rows of a story are cut into batches.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// A batch per row.
    Single,
    /// Neighbouring lines of one partition in one batch.
    Merged,
    /// After the merge, wherever a generator with this seed says.
    Random(u64),
}

impl Cut {
    const ALL: [Self; 5] = [Self::Single, Self::Merged, Self::Random(1), Self::Random(2), Self::Random(3)];

    fn apply(self, lines: &[Line]) -> Vec<Line> {
        let merged = merge(lines);
        let mut random = match self {
            Self::Merged => return merged,
            Self::Single => None,
            Self::Random(seed) => Some(seed),
        };
        let mut cut = Vec::new();
        for line in merged {
            let Line::Rows(partition, rows) = line else {
                cut.push(line);
                continue;
            };
            let mut rest = rows.as_slice();
            while !rest.is_empty() {
                let length = random.as_mut().map_or(1, |seed| next_random(seed) as usize % rest.len() + 1);
                let (head, tail) = rest.split_at(length);
                cut.push(Line::Rows(partition.clone(), head.to_vec()));
                rest = tail;
            }
        }
        cut
    }
}

fn merge(lines: &[Line]) -> Vec<Line> {
    let mut merged: Vec<Line> = Vec::new();
    for line in lines {
        match (merged.last_mut(), line) {
            (Some(Line::Rows(known, rows)), Line::Rows(partition, more)) if known == partition => {
                rows.extend_from_slice(more)
            }
            (_, line) => merged.push(line.clone()),
        }
    }
    merged
}

/// A number that follows from how a story is cut into lines, and differs between most: it decides what else is random.
pub(crate) fn number_of(story: &Story) -> u64 {
    let rows = |line: &Line| if let Line::Rows(_, rows) = line { rows.len() as u64 } else { 1 };
    story.lines.iter().map(rows).fold(1, |number, rows| number * 31 % 1_000_003 + rows)
}

/// Marsaglia's xorshift: enough to cut batches with.
pub(crate) fn next_random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}
