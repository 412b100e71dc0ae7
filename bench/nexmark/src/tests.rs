use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};

use crate::events::{Events, Stream};
use crate::naive::{All, Rows};
use crate::queries::{QUERIES, Query};
use crate::run::run;

const EVENTS: u64 = 30_000;
/// So few per second that there are several windows.
const RATE: u64 = 1_000;
const SEED: u64 = 7;

fn query(name: &str) -> &'static Query {
    QUERIES.iter().find(|query| query.name == name).expect("a query")
}

fn all() -> All {
    let mut all = All::default();
    all.add(&Events::new(SEED, RATE).take(EVENTS, None));
    all
}

/// A value as `naive` writes it.
fn cell(rows: &RecordBatch, name: &str, row: usize) -> String {
    let column = rows.column_by_name(name).unwrap_or_else(|| panic!("no column {name} in {:?}", rows.schema()));
    assert!(!column.is_null(row), "{name} is null");
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => format!("{:.3}", column.as_primitive::<Float64Type>().value(row)),
        DataType::Timestamp(..) => column.as_primitive::<TimestampMicrosecondType>().value(row).to_string(),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        other => panic!("{name} is {other}"),
    }
}

/// The result of a query in these columns, in the order in which it came.
fn result(name: &str, columns: &[&str]) -> Rows {
    let mut rows = Rows::new();
    let take = |batch: RecordBatch| {
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = columns.iter().map(|column| cell(&batch, column, row)).collect();
            rows.push(cells.join(" "));
        }
    };
    run(query(name), Events::new(SEED, RATE), EVENTS, None, take).expect("the query runs");
    rows
}

#[track_caller]
fn check(name: &str, columns: &[&str]) {
    let mut rows = result(name, columns);
    rows.sort();
    let expected = all().answer(name);
    assert!(!expected.is_empty(), "the query finds something");
    assert_eq!(rows, expected);
}

const WHOLE_BID: [&str; 5] = ["auction", "bidder", "price", "dateTime", "extra"];

#[test]
fn of_fifty_events_one_is_a_person_three_are_auctions_and_the_others_bids() {
    assert_eq!(all().counts(), [600, 1_800, 27_600]);
}

#[test]
fn the_same_seed_makes_the_same_events_however_they_are_taken() {
    let text = |streams: &[Stream; 3]| format!("{streams:?}");
    let mut two = Events::new(SEED, RATE);
    let (first, second) = (two.take(100, None), two.take(50, None));
    let mut again = Events::new(SEED, RATE);
    assert_eq!(text(&again.take(100, None)), text(&first));
    assert_eq!(text(&again.take(50, None)), text(&second));
    assert_ne!(text(&Events::new(SEED + 1, RATE).take(100, None)), text(&first));
}

#[test]
fn half_of_the_bids_are_on_hot_auctions() {
    let bids = &Events::new(SEED, RATE).take(EVENTS, None)[2].columns;
    let auctions = bids.column(0).as_primitive::<Int64Type>().values();
    let hot = auctions.iter().filter(|id| (**id - 1_000) % 100 == 0).count() as f64 / auctions.len() as f64;
    assert!((0.49..0.52).contains(&hot), "{hot}");
}

#[test]
fn q0_hands_every_bid_on() {
    check("q0", &WHOLE_BID);
}

#[test]
fn q1_converts_every_price() {
    check("q1", &["auction", "bidder", "price"]);
}

#[test]
fn q2_selects_the_bids_on_some_auctions() {
    check("q2", &["auction", "price"]);
}

#[test]
fn q3_finds_who_sells_in_some_states() {
    check("q3", &["name", "city", "state", "id"]);
}

#[test]
fn q4_ends_with_the_average_price_of_each_category() {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for row in result("q4", &["category", "average"]) {
        let (category, _) = row.split_once(' ').expect("two columns");
        last.insert(category.to_owned(), row);
    }
    assert_eq!(last.into_values().collect::<Rows>(), all().answer("q4"));
}

#[test]
fn q5_finds_the_auctions_with_the_most_bids() {
    check("q5", &["auction", "num", "window_end"]);
}

#[test]
fn q7_finds_the_highest_bids() {
    check("q7", &WHOLE_BID);
}

#[test]
fn q8_finds_who_came_and_sold() {
    check("q8", &["id", "name", "window_start"]);
}

#[test]
fn q11_counts_bids_per_session() {
    check("q11", &["bidder", "bids", "window_start", "window_end"]);
}

#[test]
fn q12_counts_bids_per_window_of_arrival() {
    check("q12", &["bidder", "bids"]);
}
