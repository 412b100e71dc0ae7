use expect_test::expect;
use weir_model::Offset;

use super::Story;

const LOG: &str = "\u{feff}first\n more of it\r\nsecond\n\n a line that is much longer than sixteen bytes\n end\nlast, without a newline";

#[tokio::test]
async fn a_second_run_over_the_same_files_yields_nothing() {
    let mut story = Story::once("*.log");
    story.write("a.log", "1\n").write("empty.log", "");
    story.run().await;
    assert!(story.positions.values().all(|position| position.finished));
    assert_eq!(story.run().await.replace("+ logs:empty.log\n- logs:empty.log\n", ""), "end\n");
}

#[tokio::test]
async fn going_on_after_any_record_yields_the_records_from_there_on() {
    for story in [Story::once("*.log"), Story::once("*.log").with_events()] {
        let mut story = story;
        story.config.max_record_bytes = weir_model::ByteSize(16);
        story.write("a.log", LOG);
        let whole = story.run().await;
        let records: Vec<&str> = whole.lines().filter(|line| line.starts_with("logs:a.log ")).collect();
        assert!(records.len() > 5, "{whole}");
        let token = story.positions.values().next().expect("a position").token.clone();
        for (index, record) in records.iter().enumerate() {
            let offset: u64 = record.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("an offset");
            let position = story.positions.values_mut().next().expect("a position");
            position.offset = Offset(offset);
            position.finished = false;
            position.token = token.clone();
            let again = story.run().await;
            let rest: Vec<&str> = again.lines().filter(|line| line.starts_with("logs:a.log ")).collect();
            assert_eq!(rest, records[index..], "from {offset}");
        }
    }
}

#[tokio::test]
async fn a_file_that_has_grown_after_it_had_ended_goes_on_as_a_new_partition() {
    let mut story = Story::once("*.log");
    story.write("a.log", "1\n");
    story.run().await;
    story.append("a.log", "2\n");
    expect![[r#"
        + logs:a.log#2
        logs:a.log#2 2 2
        - logs:a.log#2
        end
    "#]]
    .assert_eq(&story.run().await);
    assert_eq!(story.run().await, "end\n");
}

#[tokio::test(start_paused = true)]
async fn a_file_renamed_while_nobody_looked_is_recognised() {
    let mut story = Story::followed("app.log*");
    story.write("app.log", "1\n");
    story.start().await;
    story.until("= logs:app.log").await;
    story.append("app.log", "2\n").rename("app.log", "app.log.1").write("app.log", "3\n");
    story.start().await;
    expect![[r#"
        + logs:app.log#2
        + logs:app.log
        logs:app.log#2 0 3
        = logs:app.log#2
        logs:app.log 2 2
        = logs:app.log
    "#]]
    .assert_eq(&story.until("= logs:app.log").await);
}

#[tokio::test(start_paused = true)]
async fn a_file_truncated_while_nobody_looked_is_read_from_its_beginning() {
    let mut story = Story::followed("a.log");
    story.write("a.log", "1\n2\n");
    story.start().await;
    story.until("= logs:a.log").await;
    story.write("a.log", "3\n");
    story.start().await;
    expect![[r#"
        + logs:a.log
        ! a.log was truncated or written over while Weir was away: it was read up to byte 4 and has 2 bytes now; it is read from its beginning
        - logs:a.log
        + logs:a.log#2
        logs:a.log#2 0 3
        = logs:a.log#2
    "#]]
    .assert_eq(&story.until("= logs:a.log#2").await);
}

#[tokio::test]
async fn a_copied_data_set_is_recognised_by_path_and_beginning() {
    let mut story = Story::once("*.log");
    story.write("a.log", "1\n2\n").write("b.log", "1\n2\n");
    story.run().await;
    for position in story.positions.values_mut() {
        position.offset = Offset(2);
        position.finished = false;
    }
    for name in ["a.log", "b.log"] {
        story.write("copy", "1\n2\n").rename("copy", name);
    }
    expect![[r#"
        + logs:a.log
        + logs:b.log
        logs:a.log 2 2
        - logs:a.log
        logs:b.log 2 2
        - logs:b.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn a_file_that_was_not_read_to_its_end_and_is_gone_is_trouble() {
    let mut story = Story::once("*.log");
    story.write("a.log", "1\n2\n").write("b.log", "1\n");
    story.run().await;
    for position in story.positions.values_mut() {
        position.offset = Offset(2);
        position.finished = false;
    }
    super::remove(&story.path("a.log"));
    expect![[r#"
        + logs:b.log
        + logs:a.log
        ! a.log is gone: it was read up to byte 2; what followed, if anything, was not read
        - logs:a.log
        - logs:b.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn a_position_that_names_no_file_is_refused() {
    use weir_model::{ErrorKind, Source as _};
    let mut story = Story::once("*.log");
    story.write("a.log", "1\n2\n");
    story.run().await;
    story.positions.values_mut().for_each(|position| position.token = Some("nonsense".into()));
    let mut source = crate::FileSource::open("logs", &story.config, story.framer.clone()).expect("it opens");
    let error = source.seek(&story.positions).await.expect_err("it is refused");
    assert_eq!(error.kind, ErrorKind::Corrupt);
}
