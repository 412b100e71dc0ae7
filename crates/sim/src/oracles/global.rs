//! An oracle for global windows: counts each key by hand. Random rows of random keys are played to it and to the engine.

use std::collections::BTreeMap;

use proptest::prelude::{Strategy, prop_assert_eq};
use proptest::test_runner::TestCaseError;
use weir_model::PartitionId;

use super::Check;
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
            "time delay=0s\nwindow global by key compute n=count(*), total=sum(value), low=min(value) every_rows={} mode={mode}\n---\nadded p0",
            self.every
        );
        let mut story = Story::parse(&plan).expect("the plan can be read");
        let mut batch = Vec::new();
        let send = |batch: &mut Vec<Row>, story: &mut Story| {
            if !batch.is_empty() {
                story.lines.push(Line::Rows(PartitionId::new("p0"), std::mem::take(batch)));
            }
        };
        for (second, (key, value, then)) in (0..).zip(&self.rows) {
            let row =
                Row { time: DAY + second * 1_000_000, key: Some(format!("k{key}")), value: Some(f64::from(*value)) };
            batch.push(row);
            if *then > 0 {
                send(&mut batch, &mut story);
            }
            if *then > 2 {
                story.lines.push(Line::Barrier);
            }
        }
        send(&mut batch, &mut story);
        story.lines.push(Line::End);
        story
    }

    /// What every key says, in the order of the keys.
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
        said
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let rows = proptest::collection::vec((0..5_u8, 0..100_i32, 0..4_u8), 1..60);
    (1..6_usize, proptest::bool::ANY, rows).prop_map(|(every, discarding, rows)| Case { every, discarding, rows })
}

fn compare(case: &Case, outcome: &Outcome) -> Result<(), TestCaseError> {
    let results = outcome.results.iter();
    let mut found: Vec<&str> = results.filter_map(|(_, _, text)| text.split_once(' ')).map(|(_, rest)| rest).collect();
    let mut expected = case.answer();
    found.sort_unstable();
    expected.sort_unstable();
    prop_assert_eq!(found, expected);
    Ok(())
}

#[test]
fn keys_of_a_global_window_say_what_counting_by_hand_says() {
    Check { crashes: 3, story: Case::story, straight: compare, tasks: Some(compare), is_final: |_| true }.run(cases());
}
