use expect_test::expect;

use super::{Story, remove};

#[tokio::test]
async fn files_are_announced_first_and_read_to_their_end() {
    let mut story = Story::once("**/*.log");
    story.write("b/two.log", "3\n4\n").write("a/one.log", "1\n2").write("a/other.txt", "no");
    expect![[r#"
        + logs:a/one.log
        + logs:b/two.log
        logs:a/one.log 0 1
        logs:a/one.log 2 2
        - logs:a/one.log
        logs:b/two.log 0 3
        logs:b/two.log 2 4
        - logs:b/two.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn an_empty_file_has_no_records() {
    let mut story = Story::once("*.log");
    story.write("empty.log", "");
    expect![[r#"
        + logs:empty.log
        - logs:empty.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn line_ends_of_windows_and_byte_order_marks_are_not_in_records() {
    let mut story = Story::once("*.log");
    story.write("dos.log", "\u{feff}one\r\ntwo\r\n");
    expect![[r#"
        + logs:dos.log
        logs:dos.log 3 one
        logs:dos.log 8 two
        - logs:dos.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn of_a_line_over_the_limit_the_beginning_is_yielded() {
    let mut story = Story::once("*.log");
    story.config.max_record_bytes = weir_model::ByteSize(4);
    story.write("long.log", "a\n123456789\nb\n");
    expect![[r#"
        + logs:long.log
        logs:long.log 0 a
        logs:long.log 2 1234 of 9
        logs:long.log 12 b
        - logs:long.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn large_files_take_turns() {
    let mut story = Story::once("*.log");
    let chunk = "0123456\n".repeat((1 << 20) / 8);
    story.write("a.log", chunk.repeat(2)).write("b.log", chunk.repeat(2));
    let text = story.run().await;
    let mut order: Vec<&str> = text.lines().filter(|line| line.contains(" 0123456")).map(|line| &line[..10]).collect();
    assert_eq!(order.len(), 4 * (1 << 20) / 8);
    order.dedup();
    assert_eq!(order, ["logs:a.log", "logs:b.log", "logs:a.log", "logs:b.log"]);
}

#[tokio::test]
async fn a_paused_partition_yields_nothing_until_it_is_resumed() {
    use weir_model::{PartitionId, Source as _};
    let mut story = Story::once("*.log");
    story.write("a.log", "1\n").write("b.log", "2\n");
    story.start().await;
    let a = PartitionId::new(format!("logs:{}", story.path("a.log").display()));
    story.source.as_mut().unwrap().pause(&a);
    expect![[r#"
        + logs:a.log
        + logs:b.log
        logs:b.log 0 2
        - logs:b.log
    "#]]
    .assert_eq(&story.until("- logs:b.log").await);
    story.source.as_mut().unwrap().resume(&a);
    expect![[r#"
        logs:a.log 0 1
        - logs:a.log
        end
    "#]]
    .assert_eq(&story.until("end").await);
}

#[tokio::test]
async fn the_bytes_to_read_are_known_after_seek() {
    use weir_model::Source as _;
    let mut story = Story::once("*.log");
    story.write("a.log", "12345\n").write("b.log", "2\n");
    story.start().await;
    assert_eq!(story.source.as_ref().unwrap().bytes_total(), Some(8));
}

#[tokio::test]
async fn more_files_than_may_be_open_are_all_read() {
    let mut story = Story::once("*.log");
    let files = super::super::reader::OPEN_FILES_MAX + 50;
    for file in 0..files {
        story.write(&format!("{file}.log"), "x\n");
    }
    let text = story.run().await;
    assert_eq!(text.lines().filter(|line| line.ends_with(" 0 x")).count(), files);
}

#[tokio::test]
async fn excluded_files_are_not_read() {
    let mut story = Story::once("**/*");
    story.config.exclude = vec!["*.crc".to_owned(), format!("{}/old/**", story.folder.path().display())];
    story.write("a.log", "1\n").write("x/.a.log.crc", "2\n").write("old/b.log", "3\n");
    expect![[r#"
        + logs:a.log
        logs:a.log 0 1
        - logs:a.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn a_file_with_two_names_and_a_link_in_a_circle_are_read_once() {
    let mut story = Story::once("**/*.log");
    story.write("a.log", "1\n");
    std::fs::hard_link(story.path("a.log"), story.path("b.log")).expect("a second name");
    std::os::unix::fs::symlink(story.path("a.log"), story.path("c.log")).expect("a link to a file");
    std::os::unix::fs::symlink(story.folder.path(), story.path("circle")).expect("a link to the folder");
    expect![[r#"
        + logs:a.log
        logs:a.log 0 1
        - logs:a.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_the_rest_is_read() {
    let mut story = Story::once("a.log");
    story.write("a.log", "1\n");
    std::os::unix::fs::symlink(story.path("loop.log"), story.path("loop.log")).expect("a link to itself");
    let unreadable = story.path("loop.log").to_str().expect("a plain path").to_owned();
    story.config.paths.push(unreadable);
    // A pattern that finds nothing is refused when files are read once, so this one finds a file too.
    story.config.paths[1] = story.path("{loop,a}.log").to_str().expect("a plain path").to_owned();
    expect![[r#"
        ! loop.log cannot be read: Too many levels of symbolic links (os error 40); repair it, or exclude it
        + logs:a.log
        logs:a.log 0 1
        - logs:a.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn a_file_that_disappears_before_its_turn_is_trouble() {
    let mut story = Story::once("*.log");
    story.write("a.log", "1\n").write("b.log", "2\n");
    story.start().await;
    remove(&story.path("b.log"));
    expect![[r#"
        + logs:a.log
        + logs:b.log
        logs:a.log 0 1
        - logs:a.log
        ! b.log disappeared after byte 0 of at least 2: what followed was not read
        - logs:b.log
        end
    "#]]
    .assert_eq(&story.until("end").await);
}

#[tokio::test]
async fn patterns_that_find_nothing_are_refused_with_the_reason() {
    let mut story = Story::once("*.log");
    story.write("a.txt", "1\n");
    let refusal = |story: &mut Story, pattern: &str| {
        story.config.paths = vec![story.path(pattern).to_str().expect("a plain path").to_owned()];
        story.refusal()
    };
    expect![[r#"source logs: no file matches "*.log""#]].assert_eq(&refusal(&mut story, "*.log"));
    expect![[r#"source logs: no file matches "x.log": it does not exist"#]].assert_eq(&refusal(&mut story, "x.log"));
    expect![[r#"source logs: no file matches "no/such/*.log": the folder no does not exist"#]]
        .assert_eq(&refusal(&mut story, "no/such/*.log"));
    let inside_a_file = refusal(&mut story, "a.txt/*.log");
    expect![[r#"source logs: no file matches "a.txt/*.log"; a.txt/ cannot be read: Not a directory (os error 20); repair it, or exclude it"#]]
        .assert_eq(&inside_a_file);
    let folder = story.folder.path().to_str().expect("a plain path").to_owned();
    story.config.paths = vec![folder.clone()];
    let refusal_of_folder = story.refusal().replace(&folder, "FOLDER");
    expect![[r#"source logs: "FOLDER" is a folder: write "**/*" to read the files in it"#]]
        .assert_eq(&refusal_of_folder);
    story.config.exclude = vec!["a.*".to_owned()];
    let excluded = refusal(&mut story, "*.txt");
    expect![[r#"source logs: all 1 files that match "*.txt" are excluded"#]].assert_eq(&excluded);
}

#[tokio::test]
async fn among_others_a_pattern_may_find_nothing_and_a_named_file_that_is_missing_is_trouble() {
    let mut story = Story::once("*.log");
    story.write("a.log", "1\n");
    for other in ["*.gz", "missing.log"] {
        let path = story.path(other).to_str().expect("a plain path").to_owned();
        story.config.paths.push(path);
    }
    expect![[r#"
        ! no file matches "missing.log": it does not exist
        + logs:a.log
        logs:a.log 0 1
        - logs:a.log
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn patterns_that_are_none_are_refused() {
    let mut story = Story::once("[a");
    expect![[r#"source logs: paths holds "[a", which is no pattern: unclosed character class; missing ']'"#]]
        .assert_eq(&story.refusal());
    story.config.paths.clear();
    expect!["source logs: paths is empty, name at least one file or pattern"].assert_eq(&story.refusal());
    story.config.paths.push("*".to_owned());
    story.config.start = crate::StartAt::End;
    expect!["source logs: start: end needs follow: true, or there is nothing to read"].assert_eq(&story.refusal());
}
