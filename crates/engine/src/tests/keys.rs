//! Many keys: they are forgotten with their windows, and no row is counted under another's key meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;

use super::{Names, batch, emitted, step, window_plan};
use crate::{Aggregate, Engine, Input, OperatorPlan};

/// Keys of each window.
const KEYS: i64 = 3_000;
const WINDOWS: i64 = 6;

#[test]
fn keys_are_forgotten_with_their_windows_also_where_windows_speak_early() {
    for early_rows in [None, Some(700), Some(4_900)] {
        let mut plan =
            window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None), ("k", Aggregate::Max, Some("key"))]);
        if let OperatorPlan::Window(window) = &mut plan.nodes[0].operator {
            window.emit.early_rows = early_rows;
        }
        let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
        let mut last: BTreeMap<i64, i64> = BTreeMap::new();
        for window in 0..WINDOWS {
            // Every key twice, and the first row moves time on past the window before.
            let keys: Vec<i64> = (0..2 * KEYS).map(|row| window * KEYS + row % KEYS).collect();
            let times = vec![window * 10 + 1; keys.len()];
            let keys: ArrayRef = Arc::new(Int64Array::from(keys));
            let effects =
                step(&mut engine, Input::Batch { source: 0, batch: batch("p0", &times, vec![("key", keys)]) });
            note(&mut last, effects);
        }
        note(&mut last, step(&mut engine, Input::End));
        assert_eq!(last.len() as i64, WINDOWS * KEYS, "every key was told");
        assert!(last.values().all(|count| *count == 2), "and counted twice");
    }
}

/// Keeps the latest count of each key.
fn note(last: &mut BTreeMap<i64, i64>, effects: Vec<crate::Effect>) {
    for rows in emitted(effects) {
        let column = |name: &str| rows[name].as_primitive::<Int64Type>().clone();
        let (keys, counts, highest) = (column("key"), column("n"), column("k"));
        assert_eq!(keys, highest, "a group holds rows of its own key only");
        last.extend(keys.values().iter().copied().zip(counts.values().iter().copied()));
    }
}
