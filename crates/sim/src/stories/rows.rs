//! Steps that look at rows one after the other.

use expect_test::{Expect, expect};
use weir_engine::{
    Begin, Into, JoinLinesPlan, MaskPlan, MaskWith, Node, OnFailure, OperatorPlan, Others, Over, ParseHow, ParsePlan,
    ParseType, Pii, RateLimitPlan, RowsPlan, SamplePlan, Upstream,
};
use weir_model::TimeDelta;

use crate::{Story, play};

/// Plays a story whose rows first pass these steps, in every way, and compares what it tells.
#[track_caller]
pub(super) fn check_after(steps: Vec<RowsPlan>, story: &str, expected: Expect) {
    let mut story = Story::parse(story).expect("the story can be read");
    let before = steps.len();
    for node in &mut story.plan.nodes {
        node.from = match node.from {
            Upstream::Node(index) => Upstream::Node(index + before),
            Upstream::AllSources | Upstream::Source(_) => Upstream::Node(before - 1),
        };
    }
    let steps = steps.into_iter().enumerate().map(|(index, plan)| Node {
        name: format!("{}-{index}", plan.kind()),
        from: index.checked_sub(1).map_or(Upstream::AllSources, Upstream::Node),
        operator: OperatorPlan::Rows(plan),
    });
    story.plan.nodes.splice(0..0, steps);
    story.plan.outputs[0].from = Upstream::Node(story.plan.nodes.len() - 1);
    match play(&story) {
        Ok((told, _)) => expected.assert_eq(&told),
        Err(error) => panic!("{error}"),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn columns_are_added_replaced_renamed_and_dropped() {
    check_after(
        vec![
            RowsPlan::Add(pairs(&[("big", "value > 2"), ("name", "'x'")])),
            RowsPlan::Rename(pairs(&[("amount", "value"), ("key", "name")])),
            RowsPlan::Drop(vec!["nobody".to_owned(), "name".to_owned()]),
        ],
        "time delay=0s
         where big = 'true'
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 3 | 00:00:03 - -
         end",
        expect![[r#"
            rows p0, 3 of them
                x amount=3.0 big=true
            read 3 = results 1 + filtered 2 + late 0 + rejected 0 + open 0
        "#]],
    );
}

fn join_lines(begin: Begin) -> JoinLinesPlan {
    JoinLinesPlan { column: "name".to_owned(), begin, by: Vec::new(), lines_max: 4, bytes_max: 100, max_wait: None }
}

fn stack_traces() -> Begin {
    Begin::Continues(r"\s|Caused by".to_owned())
}

/// Only the joined column: the key is the first line, and a story writes it without a name.
fn only_text() -> RowsPlan {
    RowsPlan::Drop(vec!["key".to_owned(), "value".to_owned()])
}

#[test]
fn lines_of_a_record_are_joined_whatever_comes_between() {
    check_after(
        vec![RowsPlan::JoinLines(join_lines(stack_traces())), only_text()],
        "time delay=0s
         where name != ''
         ---
         added p0
         added p1
         rows p0: 00:00:01 `java.lang.Oops` 1 | 00:00:02 ` at a.b` 1
         rows p1: 00:00:01 `single` 1 | 00:00:01 `x` 1
         barrier
         rows p0: 00:00:03 `Caused by: y` 1 | 00:00:04 `next` 1 | 00:00:05 - 1
         finished p0
         rows p1: 00:00:09 ` more` 1
         end",
        expect![[r#"
            rows p1, 2 of them
                name=single
            rows p0, 3 of them
                name=java.lang.Oops
             at a.b
            Caused by: y
            finished p0
                name=next
            end
                name=x
             more
            read 8 = results 4 + filtered 1 + merged 3 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_record_with_too_many_lines_or_bytes_is_followed_by_another() {
    let mut plan = join_lines(Begin::StartsWith("#".to_owned()));
    (plan.lines_max, plan.bytes_max, plan.max_wait) = (3, 12, Some(TimeDelta::from_secs(10)));
    check_after(
        vec![RowsPlan::JoinLines(plan), only_text()],
        "time delay=0s
         where name != ''
         ---
         added p0
         rows p0: 00:00:01 `# a` 1 | 00:00:01 `b` 1 | 00:00:01 `c` 1 | 00:00:01 `d` 1 | 00:00:02 `# e` 1 | 00:00:02 `long line` 1
         rows p0: 00:00:03 `# f` 1 | 00:00:13 `in time` 1 | 00:00:14 `late` 1
         end",
        expect![[r#"
            rows p0, 6 of them
                name=# a
            b
            c
                name=d
                name=# e
            rows p0, 3 of them
                name=long line
                name=# f
            in time
            end
                name=late
            read 9 = results 6 + filtered 0 + merged 3 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn records_of_other_keys_are_open_side_by_side_and_the_watermark_lets_them_go_into_their_window() {
    let mut plan = join_lines(stack_traces());
    plan.by = vec!["value".to_owned()];
    check_after(
        vec![RowsPlan::JoinLines(plan)],
        "time delay=5s
         window 10s by name compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 `one` 1 | 00:00:02 `two` 2 | 00:00:03 ` of one` 1 | 00:00:04 ` of two` 2
         barrier
         rows p0: 00:00:08 `three` 1 | 00:00:09 ` still two` 2 | 00:00:11 `four` 3
         rows p0: 00:00:12 ` too late for two` 2 | 00:00:16 `five` 4
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 name= still two
             too late for two n=1 on_time revision=0
                00:00:00..00:00:10 name=one
             of one n=1 on_time revision=0
                00:00:00..00:00:10 name=three n=1 on_time revision=0
                00:00:00..00:00:10 name=two
             of two n=1 on_time revision=0
            end
                00:00:10..00:00:20 name=five n=1 on_time revision=0
                00:00:10..00:00:20 name=four n=1 on_time revision=0
            read 9 = results 6 + filtered 0 + merged 3 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn of_each_key_and_second_so_many_rows_pass_and_others_go_to_the_dead_letters() {
    let plan =
        RateLimitPlan { rows: 2, per: TimeDelta::from_secs(10), by: vec!["key".to_owned()], over: Over::DeadLetter };
    check_after(
        vec![RowsPlan::RateLimit(plan.clone())],
        "time delay=20s
         where value > 0
         ---
         added p0
         added p1
         rows p0: 00:00:01 a 1 | 00:00:02 a 2 | 00:00:03 a 3 | 00:00:04 b 4 | 00:00:11 a 5
         barrier
         rows p0: 00:00:09 a 6 | 00:00:05 b 7 | 00:00:50 a 8 | 00:00:06 b 9
         rows p1: 00:00:01 a 10
         end",
        expect![[r#"
            rows p0, 5 of them
                rejected p0@2: over the limit of 2 rows per 10s
                a name=a value=1.0
                a name=a value=2.0
                b name=b value=4.0
                a name=a value=5.0
            rows p0, 4 of them
                rejected p0@5: over the limit of 2 rows per 10s
                b name=b value=7.0
                a name=a value=8.0
                b name=b value=9.0
            rows p1, 1 of them
                a name=a value=10.0
            read 10 = results 8 + filtered 0 + late 0 + rejected 2 + open 0
        "#]],
    );
    check_after(
        vec![RowsPlan::RateLimit(RateLimitPlan { rows: 1, by: Vec::new(), over: Over::Drop, ..plan })],
        "time delay=0s
         where value > 0
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 2 | 00:00:10 c 3 | 00:00:11 d 4
         end",
        expect![[r#"
            rows p0, 4 of them
                a name=a value=1.0
                c name=c value=3.0
            read 4 = results 2 + filtered 2 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_sample_is_the_same_in_every_play() {
    let row = |row| format!("{} 00:00:{row:02} k{} {row}", if row == 0 { "" } else { " |" }, row % 8);
    let rows: String = (0..40).map(row).collect();
    let story = format!("time delay=0s\nwindow 1m by key compute n=count(*)\n---\nadded p0\nrows p0:{rows}\nend");
    let sample =
        |by: &[&str]| RowsPlan::Sample(SamplePlan { keep: 0.25, by: by.iter().map(|by| (*by).to_owned()).collect() });
    check_after(
        vec![sample(&[])],
        &story,
        expect![[r#"
        end
            00:00:00..00:01:00 k5 n=1 on_time revision=0
            00:00:00..00:01:00 k6 n=3 on_time revision=0
            00:00:00..00:01:00 k7 n=1 on_time revision=0
        read 40 = results 5 + filtered 35 + late 0 + rejected 0 + open 0
    "#]],
    );
    check_after(
        vec![sample(&["key"])],
        &story,
        expect![[r#"
        end
            00:00:00..00:01:00 k2 n=5 on_time revision=0
            00:00:00..00:01:00 k4 n=5 on_time revision=0
            00:00:00..00:01:00 k5 n=5 on_time revision=0
            00:00:00..00:01:00 k6 n=5 on_time revision=0
        read 40 = results 20 + filtered 20 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn what_is_masked_is_masked_in_results_late_rows_and_dead_letters() {
    let mask = RowsPlan::Mask(MaskPlan { columns: Vec::new(), patterns: vec![Pii::Email], with: MaskWith::Name });
    check_after(
        vec![mask, RowsPlan::Add(pairs(&[("checked", "fail_if_negative(value)")]))],
        "time delay=0s
         window 10s by key compute n=count(*), last=last(name)
         ---
         added p0
         rows p0: 00:00:01 `mail to jo@example.org now` 1 | 00:00:02 `mo@example.org` -1 | 00:00:20 x 1
         rows p0: 00:00:03 `from zoe@example.org` 1
         end",
        expect![[r#"
            rows p0, 3 of them
                rejected p0@1 (<email> name=<email> value=-1.0): fail_if_negative(value): a negative value
                00:00:00..00:00:10 mail to <email> now n=1 last=mail to <email> now on_time revision=0
            rows p0, 1 of them
                late from <email> name=from <email> value=1.0 checked=1.0 event_time=00:00:03 late_by_ms=17000 00:00:00..00:00:10 source_file=p0 source_offset=3
            end
                00:00:20..00:00:30 x n=1 last=x on_time revision=0
            read 4 = results 2 + filtered 0 + late 1 + rejected 1 + open 0
        "#]],
    );
}

#[test]
fn a_text_is_taken_apart_and_what_does_not_fit_stays_or_goes_as_the_step_says() {
    let parse = |on_failure| {
        RowsPlan::Parse(ParsePlan {
            column: "name".to_owned(),
            how: ParseHow::KeyValue { pairs: None, equals: '=' },
            types: vec![("status".to_owned(), ParseType::Int64)],
            others: Others::All,
            into: Into::Columns { prefix: String::new() },
            on_failure,
            drop_source: true,
        })
    };
    let story = "time delay=0s
         where value > 0
         ---
         added p0
         rows p0: 00:00:01 `status=200 path=\"/a b\"` 1 | 00:00:02 `status=abc user=jo` 1 | 00:00:03 `nothing` 1 | 00:00:04 - 1
         barrier
         rows p0: 00:00:05 `user=mo` 1
         end";
    let without = RowsPlan::Drop(vec!["key".to_owned()]);
    check_after(
        vec![parse(OnFailure::Keep), without.clone()],
        story,
        expect![[r#"
        rows p0, 4 of them
            name=- value=1.0 status=200 path=/a b
            name=status=abc user=jo value=1.0 status=- path=- user=jo
            name=nothing value=1.0 status=- path=- user=-
            name=- value=1.0 status=- path=- user=-
        rows p0, 1 of them
            name=- value=1.0 status=- path=- user=mo
        read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
    "#]],
    );
    check_after(
        vec![parse(OnFailure::Null), without.clone()],
        story,
        expect![[r#"
        rows p0, 4 of them
            value=1.0 status=200 path=/a b
            value=1.0 status=- path=- user=jo
            value=1.0 status=- path=- user=-
            value=1.0 status=- path=- user=-
        rows p0, 1 of them
            value=1.0 status=- path=- user=mo
        read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
    "#]],
    );
    check_after(
        vec![parse(OnFailure::DeadLetter), without],
        story,
        expect![[r#"
        rows p0, 4 of them
            rejected p0@1: the column `name`: the field `status` is "abc", which is no whole number of 64 bits
            rejected p0@2: the column `name`: there is no `key=value` in "nothing"
            value=1.0 status=200 path=/a b
            value=1.0 status=- path=- user=-
        rows p0, 1 of them
            value=1.0 status=- path=- user=mo
        read 5 = results 3 + filtered 0 + late 0 + rejected 2 + open 0
    "#]],
    );
}
