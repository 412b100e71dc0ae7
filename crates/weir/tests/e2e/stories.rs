//! `weir test`: the stories of the examples, what a failure looks like to a script, and updating.

use std::fs;

use serde_json::Value;

use crate::harness::{Place, repository, said, well};

const PIPELINE: &str = "name: p\nsources: { app: { stdin: {}, format: text } }\noutputs: [{ stdout: {} }]\n";

#[test]
fn every_example_keeps_what_its_stories_promise() {
    let place = Place::new();
    let output = place.weir(&["test", "examples/stories"]).current_dir(repository()).output().unwrap();
    well(&output);
    assert!(said(&output).contains("0 failed; played"), "{}", said(&output));

    let pattern = place.weir(&["test", "examples/stories/**/tail-*.yaml"]).current_dir(repository()).output().unwrap();
    well(&pattern);
    assert!(said(&pattern).starts_with("examples/stories/tail-file.yaml\n"), "{}", said(&pattern));
}

#[test]
fn a_story_that_is_not_told_as_expected_fails_with_its_line_and_an_update_mends_it() {
    let place = Place::new();
    place.write("p.yaml", PIPELINE);
    let text =
        "pipeline: p.yaml\nstories:\n  s:\n    - records: hello\n    - expect: { stdout: [{ message: bye }] } # !\n";
    let story = place.write("s.yaml", text);

    let output = place.weir(&["test", "s.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("s.yaml:5: the rows of `stdout` are not as expected"), "{}", said(&output));

    let output = place.weir(&["test", "s.yaml", "--format", "json"]).output().unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((answer["ok"].as_bool(), answer["failed"].as_u64()), (Some(false), Some(1)), "{answer}");
    let failure = &answer["stories"][0]["failures"][0];
    assert_eq!((failure["kind"].as_str(), failure["line"].as_u64()), (Some("rows"), Some(5)), "{answer}");
    assert_eq!(failure["rows"][0]["found"]["message"], "hello", "{answer}");

    well(&place.weir(&["test", "--update", "s.yaml"]).output().unwrap());
    assert_eq!(fs::read_to_string(&story).unwrap(), text.replace("bye", "hello"));
    well(&place.weir(&["test", "s.yaml", "--no-replay"]).output().unwrap());
}

#[test]
fn a_story_file_that_is_wrong_is_refused_with_its_line() {
    let place = Place::new();
    place.write("p.yaml", PIPELINE);
    place.write("s.yaml", "pipeline: p.yaml\nstorys: {}\n");
    let output = place.weir(&["test", "s.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("s.yaml:2:1: error: unknown key `storys`"), "{}", said(&output));
    assert!(said(&output).contains("did you mean `stories`?"), "{}", said(&output));
    for nothing in ["none.yaml", "none/*.yaml"] {
        assert_eq!(place.weir(&["test", nothing]).output().unwrap().status.code(), Some(2), "{nothing}");
    }
}
