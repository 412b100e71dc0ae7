//! The steps that look at rows one after the other, in the real binary.

use crate::harness::{Place, paths, repository, said, well};

const PIPELINE: &str = r#"
name: operators
sources:
  app:
    file: { paths: [in.ndjson], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 5s } } }
steps:
  - mask: { patterns: [email], keep_last: 3 }
  - join_lines: { column: message, continues: '\s', by: [host] }
  - flatten: { columns: [http] }
  - parse:
      column: message
      grok: '%{LOGLEVEL:severity} %{WORD:verb}(?: user=%{DATA:user})?(?: took %{NUMBER:ms:float} ms)?(?<rest>(?s:$|[ \n].*))'
      on_failure: dead_letter
  - parse: { column: http_query, key_value: { pairs: '&' }, types: { page: int64 }, into: { prefix: q_ } }
  - add: { seconds: ms / 1000.0 }
  - rename: { path: http_path }
  - drop: [http_query, rest]
  - explode: { column: tags, into: tag, index: tag_index, empty: keep }
  - rate_limit: { rows: 3, per: 1m, by: [verb], over: dead_letter }
  - sample: { keep: 1.0, by: [verb] }
  - route: { errors: "severity = 'ERROR'", slow: "seconds > 1", rest: else }
  - name: per_path
    from: rest
    window: { tumbling: 1m, by: [path], compute: { rows: count(*), pages: sum(q_page) } }
outputs:
  - { table: errors, from: errors }
  - { table: slow, from: slow }
  - { table: per_path, from: per_path }
"#;

const INPUT: &str = r#"{"ts":"2026-01-01T00:00:01Z","host":"a","message":"ERROR oops user=jo@example.org","tags":["x","y"]}
{"ts":"2026-01-01T00:00:01Z","host":"b","message":"INFO read took 5 ms","http":{"path":"/p","query":"page=2&x=1"}}
{"ts":"2026-01-01T00:00:02Z","host":"a","message":"\tat a.B.c(B.java:1)"}
{"ts":"2026-01-01T00:00:03Z","host":"b","message":"INFO read took 6 ms","http":{"path":"/p","query":"page=3"}}
{"ts":"2026-01-01T00:00:04Z","host":"b","message":"INFO write took 2500 ms","http":{"path":"/q"}}
{"ts":"2026-01-01T00:00:05Z","host":"b","message":"mail zoe@example.org is no log line"}
{"ts":"2026-01-01T00:00:06Z","host":"b","message":"INFO read took 7 ms","http":{"path":"/p","query":"page=4"}}
{"ts":"2026-01-01T00:00:07Z","host":"b","message":"INFO read took 8 ms user=max@example.org","http":{"path":"/p"}}
"#;

#[test]
fn one_pipeline_joins_masks_parses_flattens_explodes_limits_samples_and_routes() {
    let place = Place::new();
    let logs = place.write("in.ndjson", INPUT);
    let pipeline = place.write("p.yaml", PIPELINE);
    let output = place.run(&pipeline, &[paths("sources.app.file.paths", &[&logs])]);
    well(&output);
    assert!(!said(&output).contains("DOES NOT BALANCE"), "{}", said(&output));
    // Eight lines, one of them the second line of another; the error has two tags.
    let balance = "errors: 8 read + 1 added = 2 in results + 4 filtered + 1 merged + 0 late + 2 dead letters";
    assert!(said(&output).contains(balance), "{}", said(&output));

    let errors = place.query("SELECT message, tag, tag_index, \"user\" FROM errors ORDER BY tag_index");
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0]["message"], "ERROR oops user=**@*******.org\n\tat a.B.c(B.java:1)");
    assert_eq!((errors[1]["tag"].as_str(), errors[1]["tag_index"].as_i64()), (Some("y"), Some(1)));
    let slow = place.query("SELECT path, seconds FROM slow");
    assert_eq!((slow.len(), slow[0]["path"].as_str(), slow[0]["seconds"].as_f64()), (1, Some("/q"), Some(2.5)));
    let per_path = place.query("SELECT path, rows, pages FROM per_path");
    assert_eq!(per_path.len(), 1, "{per_path:?}");
    assert_eq!((per_path[0]["rows"].as_i64(), per_path[0]["pages"].as_i64()), (Some(3), Some(9)));

    let letters = place.query("SELECT reason, payload FROM dead_letters ORDER BY source_offset");
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(letters[0]["reason"].as_str().unwrap().contains("does not have the form of the pattern"), "{letters:?}");
    assert!(letters[1]["reason"].as_str().unwrap().contains("over the limit of 3 rows per 60s"), "{letters:?}");
    let letters = format!("{letters:?}");
    assert!(!letters.contains("zoe") && !letters.contains("max@") && letters.contains("***@*******.org"), "{letters}");
}

#[test]
fn the_example_of_access_logs_takes_lines_apart_and_hides_people() {
    let place = Place::new();
    let mut command = place.weir(&["run"]);
    let output = command
        .arg("examples/access-logs.yaml")
        .arg("--data")
        .arg(place.data())
        .current_dir(repository())
        .output()
        .unwrap();
    well(&output);
    let broken = place.query("SELECT tag, request, status, clientip FROM broken_requests ORDER BY ts, tag");
    let tags: Vec<Option<&str>> = broken.iter().map(|row| row["tag"].as_str()).collect();
    assert_eq!(tags, [Some("canary"), Some("eu"), None]);
    assert_eq!((broken[0]["status"].as_i64(), broken[0]["clientip"].as_str()), (Some(500), Some("***")));
    assert_eq!(place.number("SELECT count(*) FROM slow_requests_alerts"), 2, "the third is over the limit");
    let kept = place.number("SELECT count(*) FROM some_requests");
    assert!(kept <= 2, "{kept} of a page and a line that is none");
}

#[test]
fn what_is_wrong_with_a_step_is_said_where_it_stands() {
    let place = Place::new();
    let wrong = |from: &str, to: &str| {
        assert!(PIPELINE.contains(from), "{from}");
        let pipeline = place.write("p.yaml", PIPELINE.replacen(from, to, 1));
        let output = place.weir(&["check"]).arg(&pipeline).output().unwrap();
        assert!(!output.status.success());
        said(&output)
    };
    for (from, to, line, expected) in [
        ("%{LOGLEVEL:severity}", "%{LOGLVEL:severity}", "p.yaml:14:", "did you mean `%{LOGLEVEL}`?"),
        ("[email]", "[emial]", "p.yaml:9:", "email"),
        ("continues: '\\s'", "continues: '('", "p.yaml:10:", "regular expression"),
        ("keep: 1.0", "keep: 1.5", "p.yaml:22:", "not between 0 and 1"),
        ("severity = 'ERROR'", "severity == ", "p.yaml:23:", "steps[11].route.errors"),
        ("from: rest", "from: rst", "p.yaml:25:", "did you mean `rest`?"),
        ("    from: rest\n", "", "p.yaml:24:", "does not say from which branch"),
        ("keep_last: 3", "keep_last: 3, with: x", "p.yaml:9:", "both say what stands in place"),
        ("types: { page: int64 }", "types: { page: int46 }", "p.yaml:16:", "int64"),
    ] {
        let said = wrong(from, to);
        assert!(said.contains(line) && said.contains(expected), "{to}: {said}");
    }
}
