//! Every aggregate that a pipeline file can name, from records to tables and files.

use serde_json::json;

use crate::harness::{Place, said, well};

/// Records of two keys; `who` is one of `users`.
fn records(rows: u32, users: u32) -> String {
    let row = |n: u32| {
        let (key, user) = (n % 2, n % users);
        let flag = n % 10 < 9;
        format!(
            "{{\"ts\":\"2026-01-01T00:00:{:02}Z\",\"k\":\"k{key}\",\"who\":\"u{user}\",\"x\":{n},\"y\":{},\"ok\":{flag}}}\n",
            n % 60,
            2 * n + 1
        )
    };
    (0..rows).map(row).collect()
}

fn pipeline(compute: &str, outputs: &str) -> String {
    format!(
        "name: aggregates\nsources:\n  logs: {{ file: {{ paths: [in.ndjson], follow: false }}, format: json,\n\
         \x20   schema: {{ x: int64, y: float64, ok: bool, who: string }} }}\n\
         time: {{ field: ts, watermark: {{ bounded: {{ delay: 1m }} }} }}\n\
         steps:\n  - window:\n      tumbling: 1m\n      by: [k]\n      compute:\n{compute}\noutputs:\n{outputs}\n"
    )
}

#[test]
fn every_aggregate_gives_its_result_in_tables_and_files() {
    let place = Place::new();
    place.write("in.ndjson", records(600, 7));
    let compute = "        users: count_distinct(who)\n        about: approx_distinct(who)\n        often: top_k(2, who)\n\
                   \x20       middle: median(x)\n        exact: sum(cast(x AS decimal(12, 2)))\n        mean: avg(cast(x AS decimal(12, 2)))\n\
                   \x20       all_ok: bool_and(ok)\n        any_ok: bool_or(ok) FILTER (WHERE x > 100)\n\
                   \x20       bits: bit_or(x)\n        slope: regr_slope(y, x)\n        together: corr(y, x)";
    let outputs = "  - table: results\n  - file: { path: out.ndjson, format: ndjson }\n  - { name: lines, file: { path: out.csv, format: csv } }";
    let file = place.write("p.yaml", pipeline(compute, outputs));
    well(&place.weir(&["check"]).arg(&file).output().unwrap());
    well(&place.run(&file, &[]));
    let rows = place.query("SELECT * FROM results ORDER BY k");
    assert_eq!(rows.len(), 2);
    let even = &rows[0];
    assert_eq!((&even["users"], &even["about"]), (&json!(7), &json!(7)));
    // Of 300 rows every user has 42 or 43.
    assert_eq!(even["often"], json!([{ "value": "u0", "count": 43 }, { "value": "u1", "count": 43 }]));
    let middle = even["middle"].as_f64().unwrap();
    assert!((middle / 299.0 - 1.0).abs() < 0.02, "{middle}");
    assert_eq!((&even["exact"], &even["mean"]), (&json!(89_700.0), &json!(299.0)));
    assert_eq!((&even["all_ok"], &even["any_ok"], &even["bits"]), (&json!(true), &json!(true), &json!(1022)));
    assert_eq!(rows[1]["all_ok"], json!(false), "every tenth record, which is odd, is not");
    for (name, wanted) in [("slope", 2.0), ("together", 1.0)] {
        let found = even[name].as_f64().unwrap();
        assert!((found - wanted).abs() < 1e-9, "{name} is {found}");
    }
    let lines = std::fs::read_to_string(place.path("out.ndjson")).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first["often"], even["often"]);
    let csv = std::fs::read_to_string(place.path("out.csv")).unwrap();
    assert!(csv.contains("u0") && csv.contains("89700.00"), "{csv}");
    let counts = place.query("SELECT often[1]['value'] AS top FROM results ORDER BY k");
    assert_eq!(counts[0]["top"], "u0", "a list in a table can be looked into");
}

#[test]
fn many_distinct_values_are_null_or_about_right_as_the_reference_says() {
    let place = Place::new();
    place.write("in.ndjson", records(60_000, 25_001));
    let compute =
        "        users: count_distinct(who)\n        about: approx_distinct(who)\n        often: top_k(1, x % 4)";
    let file = place.write("p.yaml", pipeline(compute, "  - table: results"));
    well(&place.run(&file, &[]));
    for row in place.query("SELECT * FROM results") {
        assert!(row["users"].is_null(), "more than 10,000: {row}");
        let about = row["about"].as_f64().unwrap();
        assert!((about / 25_001.0 - 1.0).abs() < 0.065, "four standard errors of 1.6%: {row}");
    }
}

#[test]
fn an_aggregate_that_does_not_exist_or_does_not_fit_is_refused_with_its_place() {
    let place = Place::new();
    for (call, parts) in [
        ("approx_distnct(who)", ["compute.wrong", "did you mean approx_distinct"]),
        ("array_agg(who)", ["compute.wrong", "depends on the order of rows"]),
        ("top_k(1000, who)", ["compute.wrong", "a whole one from 1 to 100"]),
        ("bit_and(y)", ["compute.wrong", "bit_and does not take Float64"]),
        ("sum(who)", ["compute.wrong", "sum takes numbers"]),
        ("corr(who, x)", ["compute.wrong", "corr does not take"]),
    ] {
        let file = place.write("p.yaml", pipeline(&format!("        wrong: {call}"), "  - table: results"));
        let checked = place.weir(&["check"]).arg(&file).output().unwrap();
        let told = said(&checked);
        assert!(!checked.status.success() && parts.iter().all(|part| told.contains(part)), "{call}: {told}");
    }
}
