//! A story as several tasks would tell it that read different partitions, each at a pace of its own: the order within a
//! partition stays, the order between partitions does not.

use std::collections::{BTreeMap, VecDeque};

use weir_model::PartitionId;

use crate::player::next_random;
use crate::{Line, Story};

/// What a task has to say, in order.
type Queue = VecDeque<Line>;

/// The story read by `tasks` tasks; `seed` decides who is how fast. What concerns everybody (the end, and what comes
/// before the first rows after it) stays where it is.
///
/// # Panics
/// When there is no task or the seed is 0.
#[must_use]
pub fn interleave(story: &Story, tasks: usize, mut seed: u64) -> Story {
    assert!(tasks > 0 && seed > 0, "somebody reads, and xorshift needs a seed");
    let mut lines = Vec::new();
    let mut rest = story.lines.as_slice();
    while !rest.is_empty() {
        let begin = rest.iter().take_while(|line| !matches!(line, Line::Rows(..))).count();
        lines.extend_from_slice(&rest[..begin]);
        rest = &rest[begin..];
        let length = rest.iter().take_while(|line| **line != Line::End).count();
        lines.extend(mixed(&rest[..length], tasks, &mut seed));
        rest = &rest[length..];
    }
    Story { plan: story.plan.clone(), lines }
}

fn mixed(lines: &[Line], tasks: usize, seed: &mut u64) -> Vec<Line> {
    let mut of: BTreeMap<&PartitionId, usize> = BTreeMap::new();
    // The last one is what happens besides: ticks, barriers.
    let mut queues = vec![Queue::new(); tasks + 1];
    for line in lines {
        let task = match line {
            Line::Rows(partition, _)
            | Line::Added(partition)
            | Line::CaughtUp(partition)
            | Line::Finished(partition) => {
                let next = of.len() % tasks;
                *of.entry(partition).or_insert(next)
            }
            Line::Table { .. } | Line::Tick(_) | Line::Barrier | Line::End => tasks,
        };
        queues[task].push_back(line.clone());
    }
    let mut mixed = Vec::with_capacity(lines.len());
    while mixed.len() < lines.len() {
        let queue = next_random(seed) as usize % queues.len();
        // A task that is at it says a few things in a row.
        let burst = next_random(seed) as usize % 4;
        let said = queues[queue].len().min(burst);
        mixed.extend(queues[queue].drain(..said));
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_keep_their_order_and_the_end_its_place() {
        let text = "where value > 1\n---\nadded a\nadded b\nrows a: 00:00:01 k 1\nrows b: 00:00:02 k 1\nrows a: 00:00:03 k 1\n\
                    rows b: 00:00:04 k 1\nbarrier\nend\nrows a: 00:00:05 k 1\nend\n";
        let story = Story::parse(text).expect("it can be read");
        let mut orders = std::collections::BTreeSet::new();
        for seed in 1..50 {
            let told = interleave(&story, 2, seed).lines;
            assert_eq!(told.len(), story.lines.len());
            assert_eq!((&told[7..], &told[..2]), (&story.lines[7..], &story.lines[..2]));
            let of = |name: &str| {
                let partition = PartitionId::new(name.to_owned());
                let own = |line: &&Line| matches!(line, Line::Rows(own, _) if *own == partition);
                (
                    told.iter().filter(own).cloned().collect::<Vec<_>>(),
                    story.lines.iter().filter(own).cloned().collect::<Vec<_>>(),
                )
            };
            for (told, meant) in [of("a"), of("b")] {
                assert_eq!(told, meant);
            }
            orders.insert(format!("{told:?}"));
        }
        assert!(orders.len() > 10, "the order between partitions differs");
    }
}
