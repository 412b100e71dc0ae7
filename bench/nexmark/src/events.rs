//! The events of the auction: one person, three auctions and 46 bids of every fifty, each with the next number.
//!
//! The model is the public one of nexmark/nexmark with its default settings: half of the bids go to the hot auction, the
//! first of each hundred, the others to one of the last hundred or the next ten; three of four bids come from the hot
//! bidder, the second of each hundred persons, the others from one of the last thousand or the next ten; three of four
//! auctions are of the hot seller, the first of each hundred persons. Prices are log-uniform from 1 to 1,000,000 (in
//! hundredths). Events come in order, `rate` per second, in whole milliseconds. A bid has about 100 bytes, a person 200,
//! an auction 500. The random numbers are others than there, so the rows are too.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::buffer::{Buffer, OffsetBuffer};

use crate::random::Random;

const PERSONS: u64 = 1;
const AUCTIONS: u64 = 3;
/// Persons, auctions and bids together.
const ALL: u64 = 50;
const FIRST_PERSON: i64 = 1_000;
const FIRST_AUCTION: i64 = 1_000;
const FIRST_CATEGORY: i64 = 10;
const CATEGORIES: u64 = 5;
/// Every so many auctions or persons one is hot.
const HOT_EVERY: u64 = 100;
/// Auctions that are open at a time.
const OPEN_AUCTIONS: u64 = 100;
const ACTIVE_PERSONS: u64 = 1_000;
/// Auctions and persons that are named before they are there.
const LEAD: u64 = 10;
/// 2026-01-01T00:00:00Z in milliseconds.
const BEGIN_MS: i64 = 1_767_225_600_000;

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] =
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"];
const FIRST_NAMES: [&str; 11] =
    ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"];
const LAST_NAMES: [&str; 9] = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// Which stream an event is of: the names of the sources in the queries.
pub(crate) const STREAMS: [&str; 3] = ["person", "auction", "bid"];

/// Makes events, one number after the other.
#[derive(Debug)]
pub(crate) struct Events {
    random: Random,
    next: u64,
    rate: u64,
}

/// The rows of one stream, with their times and numbers.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) columns: RecordBatch,
    /// The number of each event.
    pub(crate) numbers: Vec<u64>,
}

impl Events {
    pub(crate) fn new(seed: u64, rate: u64) -> Self {
        Self { random: Random::new(seed), next: 0, rate }
    }

    /// When the next event is, in microseconds.
    pub(crate) fn time(&self) -> i64 {
        self.millis(self.next) * 1000
    }

    fn millis(&self, number: u64) -> i64 {
        BEGIN_MS + (number * 1000 / self.rate) as i64
    }

    /// The next events, by stream in the order of [`STREAMS`]. They arrive at `arrived`, in microseconds, or when they
    /// happen.
    pub(crate) fn take(&mut self, count: u64, arrived: Option<i64>) -> [Stream; 3] {
        let (mut persons, mut auctions, mut bids) = (Persons::default(), Auctions::default(), Bids::default());
        for number in self.next..self.next + count {
            let time = self.millis(number) * 1000;
            match number % ALL {
                0 => persons.push(number, time, &mut self.random),
                1..=AUCTIONS => auctions.push(number, time, self.rate, &mut self.random),
                _ => bids.push(number, time, &mut self.random),
            }
        }
        self.next += count;
        [persons.stream(), auctions.stream(), bids.stream(arrived)]
    }
}

/// The last person who is there when an event comes, counted from 0.
fn last_person(number: u64) -> u64 {
    number / ALL
}

/// The last auction that is there when an event comes, counted from 0; before the first the one that comes first.
fn last_auction(number: u64) -> u64 {
    let (round, within) = (number / ALL, number % ALL);
    if within < PERSONS {
        (round * AUCTIONS).saturating_sub(1)
    } else {
        round * AUCTIONS + (within - PERSONS).min(AUCTIONS - 1)
    }
}

fn any_person(number: u64, random: &mut Random) -> i64 {
    let persons = last_person(number) + 1;
    let active = persons.min(ACTIVE_PERSONS);
    (persons - active + random.below(active + LEAD)) as i64 + FIRST_PERSON
}

/// In hundredths.
fn price(random: &mut Random) -> i64 {
    (10_f64.powf(random.part() * 6.0) * 100.0).round() as i64
}

/// So much text that a row has about `size` bytes, of which `taken` are taken: a fifth more or less.
fn fill(taken: usize, size: usize, random: &mut Random, text: &mut Texts) {
    let mean = size.saturating_sub(taken);
    let spread = mean / 5;
    let length = mean - spread + random.below(2 * spread as u64 + 1) as usize;
    text.push(|bytes| random.letters(length, bytes));
}

/// A column of texts in the making.
#[derive(Debug)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { bytes: Vec::new(), ends: vec![0] }
    }
}

impl Texts {
    /// Adds what `write` appends. Returns how long it is.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let before = self.bytes.len();
        write(&mut self.bytes);
        self.ends.push(i32::try_from(self.bytes.len()).expect("a batch has less than 2 GiB"));
        self.bytes.len() - before
    }

    fn push_text(&mut self, text: &str) -> usize {
        self.push(|bytes| bytes.extend_from_slice(text.as_bytes()))
    }

    fn column(self) -> ArrayRef {
        let offsets = OffsetBuffer::new(self.ends.into());
        Arc::new(StringArray::try_new(offsets, Buffer::from(self.bytes), None).expect("all of it is ASCII"))
    }
}

fn longs(values: Vec<i64>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn instants(values: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

fn stream(numbers: Vec<u64>, columns: Vec<(&str, ArrayRef)>) -> Stream {
    Stream { columns: RecordBatch::try_from_iter(columns).expect("all columns are of one length"), numbers }
}

#[derive(Debug, Default)]
struct Persons {
    numbers: Vec<u64>,
    id: Vec<i64>,
    name: Texts,
    email: Texts,
    credit_card: Texts,
    city: Texts,
    state: Texts,
    time: Vec<i64>,
    extra: Texts,
}

impl Persons {
    fn push(&mut self, number: u64, time: i64, random: &mut Random) {
        let mut pick = |from: &[&'static str]| from[random.below(from.len() as u64) as usize];
        let (first, last) = (pick(&FIRST_NAMES), pick(&LAST_NAMES));
        let (city, state) = (pick(&CITIES), pick(&STATES));
        self.numbers.push(number);
        self.id.push(last_person(number) as i64 + FIRST_PERSON);
        let mut size = 8 + self.name.push_text(&format!("{first} {last}"));
        size += self.email.push(|bytes| {
            random.letters(5, bytes);
            bytes.push(b'@');
            random.letters(4, bytes);
            bytes.extend_from_slice(b".com");
        });
        let four = [0; 4].map(|_| format!("{:04}", random.below(10_000)));
        size += self.credit_card.push_text(&four.join(" "));
        size += self.city.push_text(city) + self.state.push_text(state);
        self.time.push(time);
        fill(size, 200, random, &mut self.extra);
    }

    fn stream(self) -> Stream {
        let columns = vec![
            ("id", longs(self.id)),
            ("name", self.name.column()),
            ("emailAddress", self.email.column()),
            ("creditCard", self.credit_card.column()),
            ("city", self.city.column()),
            ("state", self.state.column()),
            ("dateTime", instants(self.time)),
            ("extra", self.extra.column()),
        ];
        stream(self.numbers, columns)
    }
}

#[derive(Debug, Default)]
struct Auctions {
    numbers: Vec<u64>,
    id: Vec<i64>,
    item: Texts,
    description: Texts,
    initial: Vec<i64>,
    reserve: Vec<i64>,
    time: Vec<i64>,
    expires: Vec<i64>,
    seller: Vec<i64>,
    category: Vec<i64>,
    extra: Texts,
}

impl Auctions {
    fn push(&mut self, number: u64, time: i64, rate: u64, random: &mut Random) {
        self.numbers.push(number);
        self.id.push(last_auction(number) as i64 + FIRST_AUCTION);
        let seller = if random.below(4) > 0 {
            (last_person(number) / HOT_EVERY * HOT_EVERY) as i64 + FIRST_PERSON
        } else {
            any_person(number, random)
        };
        self.seller.push(seller);
        self.category.push(random.below(CATEGORIES) as i64 + FIRST_CATEGORY);
        let initial = price(random);
        self.initial.push(initial);
        self.reserve.push(initial + price(random));
        self.time.push(time);
        // On average as long as it takes to make as many auctions as are open at a time.
        let horizon_ms = OPEN_AUCTIONS * ALL / AUCTIONS * 1000 / rate;
        self.expires.push(time + (1 + random.below((2 * horizon_ms).max(1)) as i64) * 1000);
        let (item, description) = (3 + random.below(17) as usize, 3 + random.below(97) as usize);
        let mut size = 8 * 6 + self.item.push(|bytes| random.letters(item, bytes));
        size += self.description.push(|bytes| random.letters(description, bytes));
        fill(size, 500, random, &mut self.extra);
    }

    fn stream(self) -> Stream {
        let columns = vec![
            ("id", longs(self.id)),
            ("itemName", self.item.column()),
            ("description", self.description.column()),
            ("initialBid", longs(self.initial)),
            ("reserve", longs(self.reserve)),
            ("dateTime", instants(self.time)),
            ("expires", instants(self.expires)),
            ("seller", longs(self.seller)),
            ("category", longs(self.category)),
            ("extra", self.extra.column()),
        ];
        stream(self.numbers, columns)
    }
}

#[derive(Debug, Default)]
struct Bids {
    numbers: Vec<u64>,
    auction: Vec<i64>,
    bidder: Vec<i64>,
    price: Vec<i64>,
    time: Vec<i64>,
    extra: Texts,
}

impl Bids {
    fn push(&mut self, number: u64, time: i64, random: &mut Random) {
        self.numbers.push(number);
        let last = last_auction(number);
        let auction = if random.below(2) > 0 {
            last / HOT_EVERY * HOT_EVERY
        } else {
            let first = last.saturating_sub(OPEN_AUCTIONS);
            first + random.below(last - first + 1 + LEAD)
        };
        self.auction.push(auction as i64 + FIRST_AUCTION);
        let bidder = if random.below(4) > 0 {
            (last_person(number) / HOT_EVERY * HOT_EVERY) as i64 + 1 + FIRST_PERSON
        } else {
            any_person(number, random)
        };
        self.bidder.push(bidder);
        self.price.push(price(random));
        self.time.push(time);
        fill(8 * 4, 100, random, &mut self.extra);
    }

    fn stream(self, arrived: Option<i64>) -> Stream {
        let arrivals = arrived.map_or_else(|| self.time.clone(), |time| vec![time; self.time.len()]);
        let columns = vec![
            ("auction", longs(self.auction)),
            ("bidder", longs(self.bidder)),
            ("price", longs(self.price)),
            ("dateTime", instants(self.time)),
            ("arrived", instants(arrivals)),
            ("extra", self.extra.column()),
        ];
        stream(self.numbers, columns)
    }
}
