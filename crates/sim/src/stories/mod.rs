//! Stories: each is one behaviour of the engine, told in text with what it says.

mod as_of;
mod calendar;
mod chains;
mod deduplicate;
mod enrich;
mod global;
mod join;
mod late;
mod limits;
mod modes;
mod pace;
mod rows;
mod sessions;
mod sliding;
mod tasks;
mod time;
mod triggers;
mod watermarks;
mod windows;

use expect_test::Expect;

use crate::{Story, play};

/// Plays a story in every way and compares what it tells.
#[track_caller]
fn check(story: &str, expected: Expect) {
    let story = Story::parse(story).expect("the story can be read");
    match play(&story) {
        Ok((told, _)) => expected.assert_eq(&told),
        Err(error) => panic!("{error}"),
    }
}

/// Why the plan of a story cannot be run.
#[track_caller]
fn refused(story: &str) -> String {
    let story = Story::parse(story).expect("the story can be read");
    play(&story).map(|(told, _)| told).expect_err("the plan is refused").to_string()
}
