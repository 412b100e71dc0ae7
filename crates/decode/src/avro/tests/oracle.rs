//! Against Apache's own implementation: what it writes we read as it is meant, and what is damaged does no harm.

use apache_avro::{Schema, to_avro_datum};
use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;

use super::random::Ty;
use super::{config, decode};
use crate::typed::shown;
use crate::typed::trial::{Dice, all};

fn sample(seed: u64) -> (Ty, String, Vec<apache_avro::types::Value>, Vec<Vec<u8>>) {
    let mut dice = Dice(seed);
    let ty = Ty::record(&mut dice, &mut 0, 3);
    let text = ty.schema().to_string();
    let schema = Schema::parse_str(&text).expect("the oracle reads it");
    let values: Vec<_> = (0..3).map(|_| ty.value(&mut dice)).collect();
    let records = values.iter().map(|value| to_avro_datum(&schema, value.clone()).expect("the oracle writes it"));
    let records = records.collect();
    (ty, text, values, records)
}

proptest! {
    #![proptest_config(Config::with_cases(600))]

    #[test]
    fn what_the_oracle_writes_becomes_columns_as_it_is_meant(seed in any::<u64>()) {
        let (ty, text, values, records) = sample(seed);
        let decoded = decode(&config(&text), &all(), &records);
        assert!(decoded.rejected.is_empty(), "{text}\n{:?}", decoded.rejected[0].reason);
        let batch = &decoded.batches[0];
        for (row, value) in values.iter().enumerate() {
            assert_eq!(shown::row(&batch.columns, row), ty.column(value), "{text}");
        }
    }

    #[test]
    fn a_damaged_record_is_a_row_or_rejected_and_its_neighbours_are_not_harmed(seed in any::<u64>()) {
        let (ty, text, values, mut records) = sample(seed);
        let mut dice = Dice(seed ^ 1);
        let damaged = &mut records[1];
        for _ in 0..=dice.below(3) {
            if damaged.is_empty() {
                break;
            }
            let at = dice.below(damaged.len() as u64) as usize;
            match dice.below(4) {
                0 => damaged.truncate(at),
                1 => damaged[at] = dice.next() as u8,
                2 => damaged.insert(at, dice.next() as u8),
                _ => { damaged.splice(at..at, [0xff; 9]); }
            }
        }
        let decoded = decode(&config(&text), &all(), &records);
        let batch = &decoded.batches[0];
        assert_eq!(batch.rows() + decoded.rejected.len(), 3, "{text}");
        assert_eq!(shown::row(&batch.columns, 0), ty.column(&values[0]), "{text}");
        assert_eq!(shown::row(&batch.columns, batch.rows() - 1), ty.column(&values[2]), "{text}");
        assert!(batch.columns.get_array_memory_size() < 1 << 20, "{text}");
    }
}
