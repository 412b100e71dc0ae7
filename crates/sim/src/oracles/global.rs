//! An oracle for global windows: counts each key by hand. Random rows of random keys are played to it and to the engine.

use std::collections::BTreeMap;

use proptest::prelude::{Strategy, prop_assert_eq};

use super::lines::{Lines, partition, partitions};
use super::{Check, Verdict};
use crate::story::DAY;
use crate::{Line, Outcome, Row, Story};

/// What is random about a case.
#[derive(Clone, Debug)]
struct Case {
    every: usize,
    discarding: bool,
    /// The key and the value of each row, and what comes after it: nothing, another batch, a barrier.
    rows: Vec<(u8, i32, u8)>,
}

impl Case {
    fn story(&self) -> Story {
        let mode = if self.discarding { "discarding" } else { "accumulating" };
        let plan = format!(
            "time delay=0s\nwindow global by key compute n=count(*), total=sum(value), low=min(value) every_rows={} mode={mode}",
            self.every
        );
        let mut lines = Lines::of(&plan);
        lines.added(partitions(1));
        for (second, (key, value, then)) in (0..).zip(&self.rows) {
            let row =
                Row { time: DAY + second * 1_000_000, key: Some(format!("k{key}")), value: Some(f64::from(*value)) };
            lines.row(partition(0), row, *then > 0);
            if *then > 2 {
                lines.push(Line::Barrier);
            }
        }
        lines.end()
    }

    /// What every key says, ascending.
    fn answer(&self) -> Vec<String> {
        let mut values: BTreeMap<u8, Vec<i32>> = BTreeMap::new();
        for (key, value, _) in &self.rows {
            values.entry(*key).or_default().push(*value);
        }
        let mut said = Vec::new();
        for (key, values) in values {
            let ends = (self.every..=values.len()).step_by(self.every);
            let rest = (values.len() % self.every > 0).then_some(values.len());
            for (revision, end) in ends.chain(rest).enumerate() {
                let from = if self.discarding { revision * self.every } else { 0 };
                let own = &values[from..end];
                let (n, total, low) = (own.len(), own.iter().sum::<i32>(), own.iter().min().expect("somebody spoke"));
                let pane = if end % self.every == 0 { "early" } else { "on_time" };
                said.push(format!(
                    "k{key} n={n} total={:?} low={:?} {pane} revision={revision}",
                    f64::from(total),
                    f64::from(*low)
                ));
            }
        }
        said.sort_unstable();
        said
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let rows = proptest::collection::vec((0..5_u8, 0..100_i32, 0..4_u8), 1..60);
    (1..6_usize, proptest::bool::ANY, rows).prop_map(|(every, discarding, rows)| Case { every, discarding, rows })
}

fn compare(_: &Case, expected: &Vec<String>, outcome: &Outcome) -> Verdict {
    let results = outcome.results.iter().filter_map(|(_, _, text)| text.split_once(' '));
    let mut found: Vec<String> = results.map(|(_, rest)| rest.to_owned()).collect();
    found.sort_unstable();
    prop_assert_eq!(&found, expected);
    Ok(())
}

#[test]
fn keys_of_a_global_window_say_what_counting_by_hand_says() {
    let (story, answer, is_final) = (Case::story, Case::answer, |_: &Case| true);
    Check { weight: 1, crashes: 1, story, answer, straight: compare, tasks: compare, is_final }.run(cases);
}
