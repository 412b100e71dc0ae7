//! Against prost-reflect: what it writes we read as it is meant, in any order and in pieces, and what is damaged does no harm.

use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};

use super::{config, decode, oracle, random};
use crate::typed::shown;
use crate::typed::trial::{Dice, all};

fn sample(seed: u64) -> (String, MessageDescriptor, Vec<DynamicMessage>) {
    let mut dice = Dice(seed);
    let schema = random::schema(&mut dice);
    let of = oracle(&schema);
    let messages = (0..3).map(|_| random::value(&mut dice, &of)).collect();
    (schema, of, messages)
}

proptest! {
    #![proptest_config(Config::with_cases(400))]

    #[test]
    fn what_the_oracle_writes_becomes_columns_as_it_is_meant(seed in any::<u64>()) {
        let (schema, _, messages) = sample(seed);
        let records: Vec<Vec<u8>> = messages.iter().map(Message::encode_to_vec).collect();
        let decoded = decode(&config(&schema), &all(), &records);
        assert!(decoded.rejected.is_empty(), "{schema}\n{:?}", decoded.rejected[0].reason);
        for (row, message) in messages.iter().enumerate() {
            assert_eq!(shown::row(&decoded.batches[0].columns, row), random::columns(message), "{schema}");
        }
    }

    #[test]
    fn messages_in_several_pieces_are_merged_as_the_oracle_merges_them(seed in any::<u64>()) {
        let (schema, of, messages) = sample(seed);
        let pieces: Vec<u8> = messages.iter().flat_map(Message::encode_to_vec).collect();
        let merged = DynamicMessage::decode(of, &*pieces).expect("the oracle merges them");
        let decoded = decode(&config(&schema), &all(), &[pieces]);
        assert!(decoded.rejected.is_empty(), "{schema}\n{:?}", decoded.rejected[0].reason);
        assert_eq!(shown::row(&decoded.batches[0].columns, 0), random::columns(&merged), "{schema}");
    }

    #[test]
    fn a_damaged_record_is_a_row_or_rejected_and_its_neighbours_are_not_harmed(seed in any::<u64>()) {
        let (schema, _, messages) = sample(seed);
        let mut records: Vec<Vec<u8>> = messages.iter().map(Message::encode_to_vec).collect();
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
        let decoded = decode(&config(&schema), &all(), &records);
        let batch = &decoded.batches[0];
        assert_eq!(batch.rows() + decoded.rejected.len(), 3, "{schema}");
        assert_eq!(shown::row(&batch.columns, 0), random::columns(&messages[0]), "{schema}");
        assert_eq!(shown::row(&batch.columns, batch.rows() - 1), random::columns(&messages[2]), "{schema}");
        assert!(batch.columns.get_array_memory_size() < 1 << 20, "{schema}");
    }
}
