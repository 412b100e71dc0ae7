use expect_test::{Expect, expect};
use weir_pipeline::Input;

use super::*;
use crate::plan;

const PIPELINE: &str = "
name: p
sources:
  in: { http: { stream: logs }, format: json }
outputs:
  - table: logs
tasks: 2
";

fn job(more: &str) -> Job {
    let text = format!("{PIPELINE}{more}");
    let (config, _) = weir_pipeline::load(Input::Text { name: "a test", text: &text }, &[], []).expect("a pipeline");
    plan::resolve(&config).expect("a job")
}

fn memory(mebibytes: u64) -> Memory {
    Memory::new(Some(ByteSize(mebibytes << 20)), Use::Up).expect("enough")
}

fn refused(result: Result<impl std::fmt::Debug, Failure>, expected: Expect) {
    expected.assert_eq(&result.expect_err("too little").message);
}

#[test]
fn the_parts_are_not_more_than_the_whole() {
    for mebibytes in [256, 512, 1 << 10, 4 << 10, 64 << 10] {
        let (memory, mut jobs) = (memory(mebibytes), [job("")]);
        memory.share_among(&mut jobs).expect("it fits");
        let (queries, bodies) = (memory.queries(), memory.bodies());
        let store = memory.store(&jobs).expect("it fits");
        let parts = [
            queries.memory_bytes / 10 * 17,
            queries.metadata_cache_bytes + queries.index_cache_bytes,
            bodies.bodies_bytes_max + bodies.unpacking_max * bodies.body.decoded_bytes_max,
            store.segment_bytes_max * 3 + store.merge_bytes_max,
            jobs[0].state_bytes_max + read_ahead(&jobs[0]) as usize,
        ];
        let all: usize = parts.iter().sum();
        let left = memory.bytes() - all as u64;
        assert!(left >= memory.bytes() / SIXTEENTHS * 2, "{mebibytes} MiB: {parts:?}");
        assert!(bodies.body_bytes_max <= bodies.body.decoded_bytes_max && queries.memory_bytes > 0);
    }
}

#[test]
fn with_enough_memory_every_part_has_its_usual_limit() {
    let (memory, mut jobs) = (memory(64 << 10), [job("")]);
    memory.share_among(&mut jobs).expect("it fits");
    assert_eq!(jobs[0].state_bytes_max, 1 << 30);
    assert_eq!(memory.bodies(), weir_serve::Limits::default());
    assert_eq!(memory.store(&jobs).expect("it fits"), StoreConfig::default());
}

#[test]
fn what_the_pipelines_say_is_theirs_and_the_others_share_what_is_left() {
    let mut jobs = [job("state: { memory: 40MiB }"), job(""), job("")];
    memory(1 << 10).share_among(&mut jobs).expect("it fits");
    let state: Vec<usize> = jobs.iter().map(|job| job.state_bytes_max >> 20).collect();
    assert_eq!(state, [40, 40, 40], "192 MiB, less 24 MiB that each reads ahead");
}

#[test]
fn what_is_said_counts_also_when_it_is_what_it_would_be_anyway() {
    let mut jobs = [job("state: { memory: 1GiB }")];
    let error = memory(1 << 10).share_among(&mut jobs).expect_err("it does not fit");
    assert!(error.message.contains("hold up to 1GiB of state"), "{}", error.message);
    memory(6 << 10).share_among(&mut jobs).expect("it fits");
    assert_eq!(jobs[0].state_bytes_max, 1 << 30);
    let mut unsaid = [job("")];
    memory(1 << 10).share_among(&mut unsaid).expect("it takes what there is");
    assert_eq!(unsaid[0].state_bytes_max, 168 << 20);
}

#[test]
fn too_little_is_refused_with_what_would_be_right() {
    refused(
        Memory::new(Some(ByteSize(100 << 20)), Use::Run),
        expect!["--memory 100MiB is too little: Weir needs at least 256MiB"],
    );
    let mut jobs = [job("state: { memory: 500MiB }")];
    refused(
        memory(1 << 10).share_among(&mut jobs),
        expect![
            "--memory 1GiB is too little: the pipelines read up to 24MiB ahead and hold up to 500MiB of state (`state.memory` of p), \
             and 192MiB are their part of it; give at least --memory 2800MiB, or lower their `state.memory`, `tasks` or the `buffer_bytes_max` of their \
             sources"
        ],
    );
    memory(2800).share_among(&mut jobs).expect("what it said is right");
    let run = Memory::new(Some(ByteSize(1 << 30)), Use::Run).expect("enough");
    run.share_among(&mut jobs).expect("nobody asks or posts, so that there is more for it");
}

#[test]
fn where_the_machine_says_how_much_there_is_nothing_is_refused() {
    let memory = Memory { bytes: LEAST, is_said: false, of: Use::Up };
    let mut jobs = [job("state: { memory: 500MiB }"), job("")];
    memory.share_among(&mut jobs).expect("said, and no more");
    assert_eq!(jobs.map(|job| job.state_bytes_max as u64), [500 << 20, STATE_LEAST]);
}
