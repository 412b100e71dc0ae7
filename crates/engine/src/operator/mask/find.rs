//! Finds what is to be masked. What looks like it and has wrong check digits is not found; where in doubt, more is.

use std::net::Ipv6Addr;
use std::ops::Range;

use regex::{Regex, RegexBuilder, RegexSet};

use super::Pii;
use crate::operator::PlanFault;
use crate::operator::regexes::{COMPILED_BYTES_MAX, refused};

/// A part of a text, and the index of the pattern that found it.
pub(super) type Found = (Range<usize>, usize);

/// Finds what some patterns describe.
#[derive(Debug)]
pub(super) struct Finder {
    /// Tells in one go which patterns have anything in a text: most texts have nothing.
    any: RegexSet,
    patterns: Vec<Compiled>,
}

#[derive(Debug)]
struct Compiled {
    regex: Regex,
    narrow: Narrow,
    /// Whether what it finds is nothing in the middle of a word.
    alone: bool,
    name: String,
}

/// Narrows what an expression has matched down to what is meant; nothing if it is not.
type Narrow = fn(&str) -> Option<Range<usize>>;

impl Finder {
    pub(super) fn new(patterns: &[Pii]) -> Result<Self, PlanFault> {
        let mut compiled = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            let (text, narrow) = expression(pattern);
            let key = match pattern {
                Pii::Regex { name, .. } => format!("regex.{name}"),
                _ => format!("patterns[{index}]"),
            };
            let regex = RegexBuilder::new(text).size_limit(COMPILED_BYTES_MAX).build();
            let regex = regex.map_err(|error| refused(&key, &error))?;
            let (alone, name) = (*pattern == Pii::Ipv6, pattern.name().to_owned());
            compiled.push(Compiled { regex, narrow, alone, name });
        }
        let texts = patterns.iter().map(|pattern| expression(pattern).0);
        let any = regex::RegexSetBuilder::new(texts).size_limit(4 * COMPILED_BYTES_MAX).build();
        Ok(Self { any: any.map_err(|error| refused("patterns", &error))?, patterns: compiled })
    }

    /// Everything that is found in `text`, in order. What overlaps is one find, of the pattern that began it.
    pub(super) fn find(&self, text: &str, found: &mut Vec<Found>) {
        found.clear();
        for index in self.any.matches(text) {
            let Compiled { regex, narrow, alone, .. } = &self.patterns[index];
            found.extend(regex.find_iter(text).filter_map(|hit| {
                let inner = narrow(hit.as_str()).filter(|inner| !inner.is_empty())?;
                let span = hit.start() + inner.start..hit.start() + inner.end;
                (!*alone || stands_alone(text, &span)).then_some((span, index))
            }));
        }
        if found.len() > 1 {
            found.sort_by_key(|(span, index)| (span.start, std::cmp::Reverse(span.end), *index));
            found.dedup_by(|(next, _), (before, _)| {
                let overlaps = next.start < before.end;
                if overlaps {
                    before.end = before.end.max(next.end);
                }
                overlaps
            });
        }
    }

    /// What a pattern looks for.
    pub(super) fn name(&self, index: usize) -> &str {
        &self.patterns[index].name
    }
}

/// Whether a find with colons is not a part of something like `std::fmt`.
fn stands_alone(text: &str, span: &Range<usize>) -> bool {
    let in_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let colons = text[span.clone()].contains("::");
    !colons || !(in_word(text[..span.start].chars().next_back()) || in_word(text[span.end..].chars().next()))
}

fn expression(pattern: &Pii) -> (&str, Narrow) {
    match pattern {
        Pii::Email => (r"[\p{L}\p{N}._%+'-]+@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}", whole),
        Pii::Ipv4 => (
            r"\b(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\b",
            whole,
        ),
        Pii::Ipv6 => (r"[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*", ipv6),
        Pii::CreditCard => (r"\b[0-9](?:[ -]?[0-9]){12,}\b", credit_card),
        Pii::Iban => (r"(?i)\b[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,34}\b", iban),
        Pii::Phone => {
            (r"\+[0-9](?:[ .()/-]{0,2}[0-9]){6,14}\b|(?:\([0-9]{3}\) ?|\b[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}\b", whole)
        }
        Pii::Jwt => (r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", whole),
        Pii::AwsKey => (
            r#"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ANVA|ABIA|ACCA)[A-Z0-9]{16}\b|(?i:aws_?secret_?access_?key)["':=\s]+[A-Za-z0-9/+]{40}={0,2}"#,
            aws_key,
        ),
        Pii::BearerToken => (r"(?i)\bbearer\s+[A-Za-z0-9._~+/-]{8,}=*", after_the_word),
        Pii::Value => (r"(?s)^.+$", whole),
        Pii::Regex { regex, .. } => (regex, whole),
    }
}

fn whole(text: &str) -> Option<Range<usize>> {
    Some(0..text.len())
}

fn after_the_word(text: &str) -> Option<Range<usize>> {
    let token = text.find(char::is_whitespace)?;
    Some(text.len() - text[token..].trim_start().len()..text.len())
}

/// The id of a key whole; of a secret the 40 characters, not the name before it.
fn aws_key(text: &str) -> Option<Range<usize>> {
    if text.len() == 20 {
        return whole(text);
    }
    text.trim_end_matches('=').len().checked_sub(40).map(|start| start..text.len())
}

/// An address, without the `:` or `.` of the sentence that it stands in.
fn ipv6(text: &str) -> Option<Range<usize>> {
    let mut end = text.len();
    loop {
        let address = &text[..end];
        // Without a digit it is more likely the path of a type.
        if address.parse::<Ipv6Addr>().is_ok() && address.contains(|c: char| c.is_ascii_digit()) {
            return Some(0..end);
        }
        if !address.ends_with([':', '.']) {
            return None;
        }
        end -= 1;
    }
}

/// Digits with a right check digit. Other digits may stand before and behind them: every run of whole groups counts.
fn credit_card(text: &str) -> Option<Range<usize>> {
    let groups: Vec<Range<usize>> = groups(text);
    let mut found: Option<Range<usize>> = None;
    for first in 0..groups.len() {
        for last in first..groups.len() {
            let span = groups[first].start..groups[last].end;
            let digits: Vec<u32> = text[span.clone()].chars().filter_map(|c| c.to_digit(10)).collect();
            if digits.len() > 19 {
                break;
            }
            if digits.len() >= 13 && luhn(&digits) {
                found = Some(found.map_or(span.clone(), |found| found.start..span.end.max(found.end)));
            }
        }
    }
    found
}

/// Digits without a space or a dash between them.
fn groups(text: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
        match groups.last_mut() {
            Some(group) if group.end == at => group.end += 1,
            Some(_) | None => groups.push(at..at + 1),
        }
    }
    groups
}

/// ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let places = digits.iter().rev().enumerate();
    let sum: u32 = places.map(|(place, digit)| if place % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit > 0)
}

/// How long the numbers of each country are (SWIFT's IBAN registry).
const IBAN_LENGTHS: &[(usize, &[&str])] = &[
    (15, &["NO"]),
    (16, &["BE"]),
    (18, &["DK", "FO", "FI", "GL", "NL", "FK", "SD"]),
    (19, &["MK", "SI"]),
    (20, &["AT", "BA", "EE", "KZ", "XK", "LT", "LU", "MN"]),
    (21, &["HR", "LV", "LI", "CH"]),
    (22, &["BH", "BG", "CR", "GE", "DE", "IE", "ME", "RS", "GB", "VA"]),
    (23, &["GI", "IL", "IQ", "TL", "AE", "OM", "SO"]),
    (24, &["AD", "CZ", "MD", "PK", "RO", "SA", "SK", "ES", "SE", "TN", "VG"]),
    (25, &["PT", "ST", "LY"]),
    (26, &["IS", "TR"]),
    (27, &["FR", "GR", "IT", "MR", "MC", "SM", "BI", "DJ"]),
    (28, &["AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"]),
    (29, &["BR", "EG", "PS", "QA", "UA"]),
    (30, &["JO", "KW", "MU", "YE"]),
    (31, &["MT", "SC"]),
    (32, &["LC"]),
    (33, &["RU"]),
];

/// A number with right check digits, as long as those of its country: words may follow it.
fn iban(text: &str) -> Option<Range<usize>> {
    let country = text[..2].to_ascii_uppercase();
    let (length, _) = IBAN_LENGTHS.iter().find(|(_, countries)| countries.contains(&country.as_str()))?;
    let mut ends = text.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()).map(|(at, _)| at + 1);
    let end = ends.nth(length - 1)?;
    let goes_on = text[end..].starts_with(|c: char| c.is_ascii_alphanumeric());
    (!goes_on && has_right_check_digits(&text[..end])).then_some(0..end)
}

/// ISO 13616: the first four characters moved to the end, letters as two digits, modulo 97.
fn has_right_check_digits(iban: &str) -> bool {
    let characters: Vec<u32> = iban.chars().filter_map(|c| c.to_digit(36)).collect();
    let (head, tail) = characters.split_at(4);
    let rest = tail
        .iter()
        .chain(head)
        .fold(0, |rest, value| if *value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 });
    rest == 1
}
