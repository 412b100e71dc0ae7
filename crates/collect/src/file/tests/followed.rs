use expect_test::expect;

use super::compressed::gzip;
use super::{Story, remove};

#[tokio::test(start_paused = true)]
async fn what_is_appended_is_yielded_line_by_line() {
    let mut story = Story::followed("*.log");
    story.write("a.log", "1\n2");
    story.start().await;
    expect![[r#"
        + logs:a.log
        logs:a.log 0 1
        = logs:a.log
    "#]]
    .assert_eq(&story.until("= logs:a.log").await);
    story.append("a.log", "2\n3\n");
    expect![[r#"
        logs:a.log 2 22
        logs:a.log 5 3
        = logs:a.log
    "#]]
    .assert_eq(&story.until("= logs:a.log").await);
    story.write("b.log", "new\n");
    expect![[r#"
        + logs:b.log
        logs:b.log 0 new
        = logs:b.log
    "#]]
    .assert_eq(&story.until("= logs:b.log").await);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_follow_is_said_once_and_waited_for() {
    let mut story = Story::followed("later/*.log");
    story.start().await;
    expect![[r#"
        ! no file matches "later/*.log": the folder later does not exist
    "#]]
    .assert_eq(&story.next().await);
    let waiting = tokio::time::timeout(std::time::Duration::from_secs(60), story.next()).await;
    assert!(waiting.is_err(), "it is said once");
    story.write("prepared/a.log", "1\n").rename("prepared", "later");
    expect![[r#"
        + logs:later/a.log
        logs:later/a.log 0 1
        = logs:later/a.log
    "#]]
    .assert_eq(&story.until("= logs:later/a.log").await);
}

#[tokio::test(start_paused = true)]
async fn the_last_event_waits_for_its_lines_and_then_is_taken() {
    let mut story = Story::followed("*.log").with_events();
    story.write("a.log", "one\n more\n");
    story.start().await;
    expect![[r#"
        + logs:a.log
        = logs:a.log
        logs:a.log 0 one\n more
        = logs:a.log
    "#]]
    .assert_eq(&(story.until("= logs:a.log").await + &story.until("= logs:a.log").await));
    story.append("a.log", "two\n");
    assert_eq!(story.until("= logs:a.log").await, "= logs:a.log\n");
    story.append("a.log", " more of two\nthree\n");
    expect![[r#"
        logs:a.log 10 two\n more of two
        = logs:a.log
    "#]]
    .assert_eq(&story.until("= logs:a.log").await);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_file_that_is_still_found_keeps_its_partition() {
    let mut story = Story::followed("app.log*");
    story.write("app.log", "1\n");
    story.start().await;
    story.until("= logs:app.log").await;
    story.append("app.log", "2\n").rename("app.log", "app.log.1").write("app.log", "3\n");
    story.append("app.log.1", "after the rotation\n");
    expect![[r#"
        + logs:app.log#2
        logs:app.log#2 0 3
        = logs:app.log#2
        logs:app.log 2 2
        logs:app.log 4 after the rotation
        = logs:app.log
    "#]]
    .assert_eq(&story.until("= logs:app.log").await);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_file_that_is_out_of_sight_is_read_to_its_end() {
    let mut story = Story::followed("app.log");
    story.write("app.log", "1\n");
    story.start().await;
    story.until("= logs:app.log").await;
    story.append("app.log", "2\n").rename("app.log", "app.log.1").write("app.log", "3\n");
    expect![[r#"
        + logs:app.log#2
        logs:app.log#2 0 3
        = logs:app.log#2
        logs:app.log 2 2
        = logs:app.log
        - logs:app.log
    "#]]
    .assert_eq(&story.until("- logs:app.log").await);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_file_is_read_to_its_end_with_its_half_line() {
    let mut story = Story::followed("*.log");
    story.write("a.log", "1\n");
    story.start().await;
    story.until("= logs:a.log").await;
    story.append("a.log", "2\nhalf");
    remove(&story.path("a.log"));
    expect![[r#"
        logs:a.log 2 2
        = logs:a.log
        logs:a.log 4 half
        - logs:a.log
        ! no file matches "*.log"
    "#]]
    .assert_eq(&sorted_trouble_last(story.until("- logs:a.log").await));
}

fn sorted_trouble_last(text: String) -> String {
    let (trouble, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('!'));
    rest.into_iter().chain(trouble).map(|line| format!("{line}\n")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_truncated_file_is_read_from_its_beginning_as_a_new_partition() {
    let mut story = Story::followed("*.log");
    story.write("a.log", "1\n2\nhalf");
    story.start().await;
    story.until("= logs:a.log").await;
    story.write("a.log", "3\n");
    expect![[r#"
        logs:a.log 4 half
        - logs:a.log
        ! a.log was truncated or written over: it was read up to byte 8 and has 2 bytes now; it is read from its beginning
        + logs:a.log#2
        logs:a.log#2 0 3
        = logs:a.log#2
    "#]]
    .assert_eq(&story.until("= logs:a.log#2").await);
}

#[tokio::test(start_paused = true)]
async fn a_file_written_over_with_something_longer_is_noticed_by_its_beginning() {
    let mut story = Story::followed("*.log");
    story.write("a.log", "1\n");
    story.start().await;
    story.until("= logs:a.log").await;
    story.write("a.log", "other\ncontent\n");
    expect![[r#"
        - logs:a.log
        ! a.log was truncated or written over: it was read up to byte 2 and has 14 bytes now; it is read from its beginning
        + logs:a.log#2
        logs:a.log#2 0 other
        logs:a.log#2 6 content
        = logs:a.log#2
    "#]]
    .assert_eq(&story.until("= logs:a.log#2").await);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_by_a_longer_copy_of_itself_goes_on() {
    let mut story = Story::followed("*.log");
    story.write("a.log", "1\n2\n");
    story.start().await;
    story.until("= logs:a.log").await;
    story.write("copy", "1\n2\n3\n").rename("copy", "a.log");
    expect![[r#"
        logs:a.log 4 3
        = logs:a.log
    "#]]
    .assert_eq(&story.until("= logs:a.log").await);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_file_that_is_compressed_is_not_read_again() {
    let mut story = Story::followed("app.log*");
    story.write("app.log", "1\n");
    story.start().await;
    story.until("= logs:app.log").await;
    story.rename("app.log", "app.log.1").write("app.log", "3\n");
    story.until("= logs:app.log#2").await;
    story.write("app.log.1.gz", gzip("1\n"));
    remove(&story.path("app.log.1"));
    let text = story.until("- logs:app.log").await;
    story.append("app.log", "4\n");
    let text = text + &story.until("= logs:app.log#2").await;
    assert!(!text.contains("app.log 0 1") && !text.contains("gz 0 1"), "{text}");
    assert!(text.contains("logs:app.log#2 2 4"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn starting_at_the_end_skips_what_is_there_and_nothing_else() {
    let mut story = Story::followed("*.log");
    story.config.start = crate::StartAt::End;
    story.write("a.log", "old\nhalf");
    story.start().await;
    assert_eq!(story.until("= logs:a.log").await, "+ logs:a.log\n= logs:a.log\n");
    // Stopped before anything came: what comes meanwhile is not skipped.
    story.append("a.log", " a line\n").write("b.log", "new\n");
    story.start().await;
    expect![[r#"
        + logs:a.log
        + logs:b.log
        logs:a.log 4 half a line
        = logs:a.log
        logs:b.log 0 new
        = logs:b.log
    "#]]
    .assert_eq(&story.until("= logs:b.log").await);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_for_the_next_event_loses_nothing() {
    let mut story = Story::followed("*.log");
    story.write("a.log", "1\n");
    story.start().await;
    let mut text = String::new();
    for _ in 0..10_000 {
        match tokio::time::timeout(std::time::Duration::from_micros(50), story.next()).await {
            Ok(event) => text += &event,
            Err(_) if text.ends_with("= logs:a.log\n") => break,
            Err(_) => {}
        }
    }
    assert_eq!(text, "+ logs:a.log\nlogs:a.log 0 1\n= logs:a.log\n");
}
