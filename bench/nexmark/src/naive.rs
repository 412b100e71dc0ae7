//! What the queries ask, computed over all events at once, in loops over rows. Shares nothing with the engine, and does not
//! care how long it takes.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use crate::events::Stream;

/// The rows of a result as texts, sorted.
pub(crate) type Rows = Vec<String>;

const SECOND: i64 = 1_000_000;

struct Person {
    id: i64,
    name: String,
    city: String,
    state: String,
    time: i64,
}

struct Auction {
    id: i64,
    seller: i64,
    category: i64,
    time: i64,
    expires: i64,
}

struct Bid {
    auction: i64,
    bidder: i64,
    price: i64,
    time: i64,
    extra: String,
}

/// All events.
#[derive(Default)]
pub(crate) struct All {
    persons: Vec<Person>,
    auctions: Vec<Auction>,
    bids: Vec<Bid>,
}

fn long(rows: &RecordBatch, name: &str, row: usize) -> i64 {
    let column = rows.column_by_name(name).expect("the column is there");
    let times = column.as_primitive_opt::<TimestampMicrosecondType>().map(|times| times.value(row));
    times.unwrap_or_else(|| column.as_primitive::<Int64Type>().value(row))
}

fn text(rows: &RecordBatch, name: &str, row: usize) -> String {
    rows.column_by_name(name).expect("the column is there").as_string::<i32>().value(row).to_owned()
}

impl All {
    pub(crate) fn add(&mut self, [persons, auctions, bids]: &[Stream; 3]) {
        let (persons, auctions, bids) = (&persons.columns, &auctions.columns, &bids.columns);
        self.persons.extend((0..persons.num_rows()).map(|row| Person {
            id: long(persons, "id", row),
            name: text(persons, "name", row),
            city: text(persons, "city", row),
            state: text(persons, "state", row),
            time: long(persons, "dateTime", row),
        }));
        self.auctions.extend((0..auctions.num_rows()).map(|row| Auction {
            id: long(auctions, "id", row),
            seller: long(auctions, "seller", row),
            category: long(auctions, "category", row),
            time: long(auctions, "dateTime", row),
            expires: long(auctions, "expires", row),
        }));
        self.bids.extend((0..bids.num_rows()).map(|row| Bid {
            auction: long(bids, "auction", row),
            bidder: long(bids, "bidder", row),
            price: long(bids, "price", row),
            time: long(bids, "dateTime", row),
            extra: text(bids, "extra", row),
        }));
    }

    /// How many events there are of each kind.
    pub(crate) fn counts(&self) -> [usize; 3] {
        [self.persons.len(), self.auctions.len(), self.bids.len()]
    }

    /// The answer to a query, in the columns that `tests` compares.
    pub(crate) fn answer(&self, query: &str) -> Rows {
        let mut rows = match query {
            "q0" => self.whole_bids(|_| true),
            "q1" => self
                .bids
                .iter()
                .map(|bid| format!("{} {} {:.3}", bid.auction, bid.bidder, 0.908 * bid.price as f64))
                .collect(),
            "q2" => self
                .bids
                .iter()
                .filter(|bid| bid.auction % 123 == 0)
                .map(|bid| format!("{} {}", bid.auction, bid.price))
                .collect(),
            "q3" => self.local_items(),
            "q4" => self.averages(),
            "q5" => self.hot_items(),
            "q7" => self.highest_bids(),
            "q8" => self.new_sellers(),
            "q11" => self.sessions(),
            "q12" => self
                .counts_per_window(10 * SECOND)
                .into_iter()
                .map(|((_, bidder), bids)| format!("{bidder} {bids}"))
                .collect(),
            other => panic!("no such query: {other}"),
        };
        rows.sort();
        rows
    }

    fn whole_bids(&self, keep: impl Fn(&Bid) -> bool) -> Rows {
        let bids = self.bids.iter().filter(|bid| keep(bid));
        bids.map(|bid| format!("{} {} {} {} {}", bid.auction, bid.bidder, bid.price, bid.time, bid.extra)).collect()
    }

    fn local_items(&self) -> Rows {
        let mut rows = Rows::new();
        for auction in self.auctions.iter().filter(|auction| auction.category == 10) {
            for person in self.persons.iter().filter(|person| person.id == auction.seller) {
                if ["OR", "ID", "CA"].contains(&person.state.as_str()) {
                    rows.push(format!("{} {} {} {}", person.name, person.city, person.state, auction.id));
                }
            }
        }
        rows
    }

    /// The last average of each category.
    fn averages(&self) -> Rows {
        let mut finals: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for auction in &self.auctions {
            let in_time =
                |bid: &&Bid| bid.auction == auction.id && (auction.time..=auction.expires).contains(&bid.time);
            if let Some(price) = self.bids.iter().filter(in_time).map(|bid| bid.price).max() {
                finals.entry(auction.category).or_default().push(price);
            }
        }
        let average = |prices: &[i64]| prices.iter().sum::<i64>() as f64 / prices.len() as f64;
        finals.iter().map(|(category, prices)| format!("{category} {:.3}", average(prices))).collect()
    }

    fn hot_items(&self) -> Rows {
        let mut windows: BTreeMap<i64, BTreeMap<i64, i64>> = BTreeMap::new();
        for bid in &self.bids {
            let last = bid.time.div_euclid(2 * SECOND) * 2 * SECOND;
            for hop in 0..5 {
                *windows.entry(last - hop * 2 * SECOND).or_default().entry(bid.auction).or_default() += 1;
            }
        }
        let mut rows = Rows::new();
        for (start, counts) in windows {
            let most = counts.values().max().copied();
            let hot = counts.iter().filter(|(_, num)| Some(**num) == most);
            rows.extend(hot.map(|(auction, num)| format!("{auction} {num} {}", start + 10 * SECOND)));
        }
        rows
    }

    fn highest_bids(&self) -> Rows {
        let mut best: BTreeMap<i64, i64> = BTreeMap::new();
        for bid in &self.bids {
            let end = (bid.time.div_euclid(10 * SECOND) + 1) * 10 * SECOND;
            let price = best.entry(end).or_default();
            *price = bid.price.max(*price);
        }
        let wins =
            |bid: &Bid, end: i64, price: i64| bid.price == price && (end - 10 * SECOND..=end).contains(&bid.time);
        best.into_iter().flat_map(|(end, price)| self.whole_bids(|bid| wins(bid, end, price))).collect()
    }

    fn new_sellers(&self) -> Rows {
        let window = |time: i64| time.div_euclid(10 * SECOND) * 10 * SECOND;
        let sellers: BTreeSet<(i64, i64)> =
            self.auctions.iter().map(|auction| (window(auction.time), auction.seller)).collect();
        let new = self.persons.iter().filter(|person| sellers.contains(&(window(person.time), person.id)));
        new.map(|person| format!("{} {} {}", person.id, person.name, window(person.time))).collect()
    }

    fn sessions(&self) -> Rows {
        let mut times: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        self.bids.iter().for_each(|bid| times.entry(bid.bidder).or_default().push(bid.time));
        let mut rows = Rows::new();
        for (bidder, mut times) in times {
            times.sort_unstable();
            for session in times.chunk_by(|left, right| right - left < 10 * SECOND) {
                let end = session[session.len() - 1] + 10 * SECOND;
                rows.push(format!("{bidder} {} {} {end}", session.len(), session[0]));
            }
        }
        rows
    }

    fn counts_per_window(&self, size: i64) -> BTreeMap<(i64, i64), i64> {
        let mut counts = BTreeMap::new();
        for bid in &self.bids {
            *counts.entry((bid.time.div_euclid(size), bid.bidder)).or_default() += 1;
        }
        counts
    }
}
