use std::io::Write as _;

use expect_test::expect;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Story;

pub(super) fn gzip(content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content.as_ref()).expect("memory is writable");
    encoder.finish().expect("memory is writable")
}

pub(super) fn zstd(content: impl AsRef<[u8]>) -> Vec<u8> {
    zstd::encode_all(content.as_ref(), 3).expect("memory is writable")
}

/// Content that does not compress away.
fn numbers(lines: u32) -> String {
    (0..lines).map(|n| format!("{:08x}\n", n.wrapping_mul(2_654_435_761))).collect()
}

#[tokio::test]
async fn archives_are_told_by_their_content_and_read_with_all_their_parts() {
    let mut story = Story::once("*");
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    story.write("a", [gzip("1\n2"), gzip("3\n4\n")].concat());
    story.write("b", [skippable.clone(), zstd("1\n2"), skippable, zstd("3\n4\n")].concat());
    expect![[r#"
        + logs:a
        + logs:b
        logs:a 0 1
        logs:a 2 23
        logs:a 5 4
        - logs:a
        logs:b 0 1
        logs:b 2 23
        logs:b 5 4
        - logs:b
        end
    "#]]
    .assert_eq(&story.run().await);
}

#[tokio::test]
async fn an_archive_that_ends_in_the_middle_yields_what_it_holds_and_says_where_it_ends() {
    for (name, packed) in [("gzip", gzip(numbers(40_000))), ("zstd", zstd(numbers(40_000)))] {
        let mut story = Story::once("*");
        story.write("a", &packed[..packed.len() / 2]);
        let text = story.run().await;
        let records: Vec<&str> = text.lines().filter(|line| line.starts_with("logs:a")).collect();
        let (last, whole) = records.split_last().expect("half an archive holds something");
        assert!(whole.iter().all(|line| line.rsplit(' ').next().is_some_and(|record| record.len() == 8)), "{name}");
        let trouble = text.lines().find(|line| line.starts_with('!')).expect("it is reported");
        let read_to: usize = whole.len() * 9 + last.rsplit(' ').next().map_or(0, str::len);
        assert!(trouble.contains(&format!("a is a {name} file that ends in the middle")), "{trouble}");
        let newline = usize::from(last.rsplit(' ').next().is_some_and(|record| record.len() == 8));
        assert!(
            (read_to..=read_to + newline).any(|byte| trouble.contains(&format!("byte {byte} of its content"))),
            "{trouble}, but {read_to} bytes were yielded"
        );
        assert!(text.ends_with("- logs:a\nend\n"), "{text}");
    }
}

#[tokio::test]
async fn a_damaged_archive_is_reported() {
    let mut with_checksum = zstd::Encoder::new(Vec::new(), 3).expect("memory is writable");
    with_checksum.include_checksum(true).expect("it is known");
    with_checksum.write_all(numbers(40_000).as_bytes()).expect("memory is writable");
    for mut damaged in [gzip(numbers(40_000)), with_checksum.finish().expect("memory is writable")] {
        let mut story = Story::once("*");
        let middle = damaged.len() / 2;
        damaged[middle..middle + 64].fill(0xff);
        story.write("a", damaged);
        let text = story.run().await;
        assert!(text.contains("! a is a damaged "), "{}", text.lines().rev().take(3).collect::<String>());
        assert!(text.ends_with("- logs:a\nend\n"));
    }
}

#[tokio::test]
async fn an_archive_is_gone_on_with_where_it_was_left() {
    for packed in [gzip("1\n2\n3\n"), zstd("1\n2\n3\n")] {
        let mut story = Story::once("*");
        story.write("a", packed);
        story.run().await;
        for position in story.positions.values_mut() {
            position.offset.0 = 2;
            position.finished = false;
        }
        assert_eq!(story.run().await, "+ logs:a\nlogs:a 2 2\nlogs:a 4 3\n- logs:a\nend\n");
    }
}

#[tokio::test]
async fn an_archive_that_is_made_whole_later_goes_on_as_a_new_partition() {
    let mut story = Story::once("*");
    let packed = gzip(numbers(40_000));
    story.write("a", &packed[..packed.len() / 2]);
    let first = story.run().await.lines().filter(|line| line.starts_with("logs:a")).count();
    story.write("a", &packed);
    let text = story.run().await;
    let second = text.lines().filter(|line| line.starts_with("logs:a#2 ")).count();
    assert!(first > 1 && (40_000..=40_001).contains(&(first + second)), "{first} and then {second}");
    assert_eq!(story.run().await, "end\n");
}

#[tokio::test(start_paused = true)]
async fn a_followed_archive_that_is_still_being_written_gets_time() {
    let mut story = Story::followed("*");
    let packed = gzip("1\n2\n3\n");
    story.write("a", &packed[..packed.len() - 4]);
    story.start().await;
    story.until("= logs:a").await;
    story.append("a", &packed[packed.len() - 4..]);
    expect![[r#"
        = logs:a
        - logs:a
    "#]]
    .assert_eq(&story.until("- logs:a").await);
    story.write("b", &packed[..packed.len() - 4]);
    expect![[r#"
        + logs:b
        logs:b 0 1
        logs:b 2 2
        logs:b 4 3
        = logs:b
        ! b is a gzip file that ends in the middle; what follows byte 6 of its content is lost, everything before was taken; put a whole copy in its place to read the rest
        - logs:b
    "#]]
    .assert_eq(&story.until("- logs:b").await);
}
