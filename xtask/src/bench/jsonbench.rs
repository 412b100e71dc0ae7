//! Nested JSON: events in the shape of those of JSONBench (Bluesky's, with fields and shares as they are published), made up
//! from a seed, and its five questions, by Weir and by others on the same file. Figures of other machines and of the real
//! data do not belong beside them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::options::Options;
use super::rivals::install;
use crate::shell::{Outcome, root};

const SCRIPT: &str = "bench/rivals/jsonbench.py";
const ENGINES: [(&str, &[&str]); 3] = [("weir", &[]), ("duckdb", &["duckdb==2.0.0"]), ("chdb", &["chdb-core==26.9.0"])];
/// Collections, and of so many of a hundred thousand events each is.
const COLLECTIONS: [(&str, u64); 9] = [
    ("app.bsky.feed.like", 44_900),
    ("app.bsky.feed.post", 19_500),
    ("app.bsky.graph.follow", 18_000),
    ("app.bsky.feed.repost", 11_000),
    ("app.bsky.graph.block", 4_000),
    ("app.bsky.actor.profile", 1_500),
    ("app.bsky.graph.listitem", 500),
    ("app.bsky.feed.threadgate", 100),
    // What has no collection.
    ("", 500),
];
const SHARES: u64 = 100_000;
/// 2024-11-21T16:00:00Z in microseconds, and between two events.
const START_US: u64 = 1_732_204_800_000_000;
const BETWEEN_US: u64 = 2_500;
/// So many events per person, on average.
const EVENTS_PER_PERSON: u64 = 40;
const WORDS: [&str; 24] = [
    "the",
    "morning",
    "coffee",
    "new",
    "release",
    "thread",
    "about",
    "weather",
    "cats",
    "photo",
    "today",
    "working",
    "on",
    "music",
    "album",
    "listen",
    "reading",
    "book",
    "great",
    "game",
    "tonight",
    "friends",
    "art",
    "commission",
];
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

pub(super) fn run(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let scratch = super::scratch()?;
    let place = scratch.join("jsonbench");
    fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let input = place.join(format!("events-{}-{}.ndjson", options.rows, options.seed));
    if !input.exists() {
        let failed = |error| format!("{}: {error}", input.display());
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&input).map_err(failed)?);
        write_events(&mut file, options.rows, options.seed).and_then(|()| file.flush()).map_err(failed)?;
    }
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let mut results = Vec::new();
    for (name, packages) in ENGINES.into_iter().filter(|(name, _)| wanted(name)) {
        let home = scratch.join("rivals").join(name);
        fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
        let folder = place.join(name);
        let asked = install(packages, &home).and_then(|python| {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            ask(&python, name, [&input, &folder], options, &weir)
        });
        let _ = fs::remove_dir_all(&folder);
        match asked {
            Ok(result) => results.push(result),
            Err(why) => eprintln!("{name} did not run: {}", why.trim()),
        }
    }
    let mut table = Command::new("python3");
    table.arg(root().join(SCRIPT)).arg("table").arg(options.rows.to_string()).args(&results);
    let status = table.status().map_err(|error| format!("{table:?}: {error}"))?;
    if options.out.is_none() {
        let _ = fs::remove_file(&input);
    }
    if status.success() { Ok(()) } else { Err("the answers differ".to_owned()) }
}

fn ask(python: &Path, name: &str, [input, folder]: [&PathBuf; 2], options: &Options, weir: &Path) -> Outcome<PathBuf> {
    eprintln!("== {name}");
    let (result, said) = (folder.with_extension("json"), folder.with_extension("said"));
    let create = |path: &PathBuf| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
    let mut command = Command::new(python);
    command.arg(root().join(SCRIPT)).args(["ask", name]).args([input, folder]).arg(options.runs.to_string()).arg(weir);
    command.stdin(Stdio::null()).stdout(create(&result)?).stderr(create(&said)?);
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() {
        return Ok(result);
    }
    let said = fs::read_to_string(&said).unwrap_or_default();
    Err(said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing").to_owned())
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, below: u64) -> u64 {
        (self.next() >> 11) % below
    }

    /// Letters and digits that look like any others.
    fn letters(&mut self, count: usize) -> String {
        letters(self.next(), count)
    }
}

/// Letters that belong to a number.
fn letters(number: u64, count: usize) -> String {
    let mut random = Random(number);
    let letters = (0..count).map(|_| char::from(LETTERS[random.below(32) as usize]));
    letters.collect()
}

fn write_events(to: &mut impl Write, rows: u64, seed: u64) -> std::io::Result<()> {
    let mut random = Random(seed);
    let people = (rows / EVENTS_PER_PERSON).max(1);
    for row in 0..rows {
        // Few write much: the square of a uniform number.
        let (x, y) = (random.below(people), random.below(people));
        let did = format!("did:plc:{}", letters(u128::from(x).wrapping_mul(u128::from(y)) as u64 / people, 24));
        let time_us = START_US + row * BETWEEN_US + random.below(BETWEEN_US);
        let collection = pick(&mut random);
        if collection.is_empty() {
            let kind = if random.below(2) == 0 { "identity" } else { "account" };
            let body = format!("\"did\":\"{did}\",\"seq\":{},\"time\":\"{}\"", 1_000_000 + row, iso(time_us));
            writeln!(to, "{{\"did\":\"{did}\",\"time_us\":{time_us},\"kind\":\"{kind}\",\"{kind}\":{{{body}}}}}")?;
            continue;
        }
        let (rev, rkey) = (random.letters(13), random.letters(13));
        write!(
            to,
            "{{\"did\":\"{did}\",\"time_us\":{time_us},\"kind\":\"commit\",\"commit\":{{\"rev\":\"{rev}\",\"operation\":"
        )?;
        if random.below(100) < 5 {
            writeln!(to, "\"delete\",\"collection\":\"{collection}\",\"rkey\":\"{rkey}\"}}}}")?;
            continue;
        }
        let record = record(collection, time_us, &mut random);
        writeln!(
            to,
            "\"create\",\"collection\":\"{collection}\",\"rkey\":\"{rkey}\",\"record\":{record},\"cid\":\"bafyrei{}\"}}}}",
            random.letters(52)
        )?;
    }
    Ok(())
}

fn pick(random: &mut Random) -> &'static str {
    let mut at = random.below(SHARES);
    for (collection, share) in COLLECTIONS {
        if at < share {
            return collection;
        }
        at -= share;
    }
    ""
}

/// What an event is about; its `subject` is an object in some collections and a text in others, as it is in the real ones.
fn record(collection: &str, time_us: u64, random: &mut Random) -> String {
    let head = format!("{{\"$type\":\"{collection}\",\"createdAt\":\"{}\"", iso(time_us));
    let person = format!("did:plc:{}", random.letters(24));
    let uri = format!("at://{person}/app.bsky.feed.post/{}", random.letters(13));
    let subject = format!("{{\"cid\":\"bafyrei{}\",\"uri\":\"{uri}\"}}", random.letters(52));
    match collection {
        "app.bsky.feed.like" | "app.bsky.feed.repost" => format!("{head},\"subject\":{subject}}}"),
        "app.bsky.graph.follow" | "app.bsky.graph.block" => format!("{head},\"subject\":\"{person}\"}}"),
        "app.bsky.feed.post" => {
            let words = 4 + random.below(24);
            let text: Vec<&str> = (0..words).map(|_| WORDS[random.below(WORDS.len() as u64) as usize]).collect();
            let reply = match random.below(2) {
                0 => String::new(),
                _ => format!(",\"reply\":{{\"parent\":{subject},\"root\":{subject}}}"),
            };
            let language = ["en", "ja", "pt", "de"][random.below(4) as usize];
            format!("{head},\"langs\":[\"{language}\"]{reply},\"text\":\"{}\"}}", text.join(" "))
        }
        "app.bsky.actor.profile" => {
            format!("{head},\"displayName\":\"{}\",\"description\":\"cats\"}}", random.letters(9))
        }
        "app.bsky.graph.listitem" => format!("{head},\"list\":\"{uri}\",\"subject\":\"{person}\"}}"),
        _ => format!("{head},\"post\":\"{uri}\"}}"),
    }
}

/// A time of November or December 2024.
fn iso(time_us: u64) -> String {
    let seconds = time_us / 1_000_000 - 1_732_204_800 + 16 * 3_600;
    let (days, rest) = (20 + seconds / 86_400, seconds % 86_400);
    let (month, day) = if days < 30 { (11, days + 1) } else { (12, days - 29) };
    let millis = time_us / 1_000 % 1_000;
    format!("2024-{month}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_events() {
        let made = |seed| {
            let mut bytes = Vec::new();
            write_events(&mut bytes, 1_000, seed).expect("memory takes all");
            bytes
        };
        assert_eq!(made(1), made(1));
        assert!(made(1) != made(2));
        let bytes = made(1).len() / 1_000;
        assert!((350..550).contains(&bytes), "{bytes} bytes of an event");
    }

    #[test]
    fn times_are_written_as_they_are() {
        assert_eq!(iso(START_US), "2024-11-21T16:00:00.000Z");
        assert_eq!(iso(START_US + 10 * 86_400_000_000 + 1_500), "2024-12-01T16:00:00.001Z");
    }
}
