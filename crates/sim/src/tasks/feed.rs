//! What a story gives to each partition, in an order that is its own, and where everybody waits for everybody.

use std::collections::BTreeMap;

use weir_model::PartitionId;

use crate::{Line, Row, Story};

/// What happens to a partition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Added,
    Row(Row),
    CaughtUp,
    Finished,
    /// Every source ends.
    End,
    /// What follows does not happen before this phase.
    Gate(usize),
}

/// A story by partition.
///
/// Phases alternate: in even ones partitions are announced, in odd ones read, up to an end or to the end of the story. So
/// nobody is read before everybody who was known then is known to the owners of keys, as one engine would have known them.
pub(super) struct Feeds {
    pub(super) partitions: BTreeMap<PartitionId, Vec<Item>>,
    /// Ticks, and the phases before which they do not come.
    pub(super) ticks: Vec<(usize, i64)>,
    /// The last phase.
    pub(super) last: usize,
}

impl Feeds {
    pub(super) fn of(story: &Story) -> Self {
        let of_partition = |line: &Line| match line {
            Line::Added(partition)
            | Line::Finished(partition)
            | Line::CaughtUp(partition)
            | Line::Rows(partition, _) => Some(partition.clone()),
            Line::Table { .. } | Line::Tick(_) | Line::Barrier | Line::End => None,
        };
        let mut partitions: BTreeMap<PartitionId, Vec<Item>> =
            story.lines.iter().filter_map(of_partition).map(|partition| (partition, Vec::new())).collect();
        let (mut ticks, mut phase) = (Vec::new(), 0);
        for line in &story.lines {
            if matches!(line, Line::Rows(..)) && phase % 2 == 0 {
                gate(&mut partitions, &mut phase);
            }
            let items: Vec<Item> = match line {
                Line::Added(_) => vec![Item::Added],
                Line::Finished(_) => vec![Item::Finished],
                Line::CaughtUp(_) => vec![Item::CaughtUp],
                Line::Rows(_, rows) => rows.iter().cloned().map(Item::Row).collect(),
                Line::Table { .. } => panic!("tasks are played without tables"),
                // When is decided by those who play.
                Line::Barrier => Vec::new(),
                Line::Tick(micros) => {
                    ticks.push((phase, *micros));
                    Vec::new()
                }
                Line::End => {
                    if phase % 2 == 0 {
                        gate(&mut partitions, &mut phase);
                    }
                    partitions.values_mut().for_each(|items| items.push(Item::End));
                    gate(&mut partitions, &mut phase);
                    Vec::new()
                }
            };
            if let Some(partition) = of_partition(line) {
                partitions.get_mut(&partition).expect("it was listed").extend(items);
            }
        }
        Self { partitions, ticks, last: phase }
    }
}

fn gate(partitions: &mut BTreeMap<PartitionId, Vec<Item>>, phase: &mut usize) {
    *phase += 1;
    partitions.values_mut().for_each(|items| items.push(Item::Gate(*phase)));
}
