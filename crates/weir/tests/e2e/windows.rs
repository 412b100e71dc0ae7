//! Windows as pipeline files say them, against batch queries over the same rows.

use std::fmt::Write;

use crate::harness::{Place, said, well};

/// 1,200 rows a second apart, some of them out of order by a few seconds, of three apps.
fn rows() -> String {
    let mut lines = String::new();
    for n in 0..1_200_u32 {
        let at = n ^ 3;
        let (minute, second, app) = (at / 60, at % 60, ["a", "b", "b", "c"][(at * at % 7 % 4) as usize]);
        let level = if at % 5 < 2 { "ERROR" } else { "INFO" };
        let _ = writeln!(lines, r#"{{"ts":"2026-01-01T00:{minute:02}:{second:02}Z","app":"{app}","level":"{level}"}}"#);
    }
    lines
}

#[test]
fn a_window_over_windows_agrees_with_the_same_question_in_sql() {
    let place = Place::new();
    place.write("in.ndjson", rows());
    let pipeline = place.write(
        "p.yaml",
        "name: worst\nsources: { logs: { file: { paths: [in.ndjson], follow: false }, format: json } }\n\
         time: { field: ts, watermark: { bounded: { delay: 5s } } }\n\
         steps:\n\
         - { name: errors, where: level = 'ERROR' }\n\
         - { name: minutes, window: { tumbling: 1m, by: [app], compute: { errors: count(*) } } }\n\
         - { name: many, where: errors > 2 }\n\
         - { name: worst, window: { tumbling: 10m, by: [app], compute: { worst: max(errors), minutes: count(*) } } }\n\
         outputs: [ { table: minutes, from: minutes }, { table: worst, from: worst }, { table: raw, from: errors } ]\n",
    );
    well(&place.run(&pipeline, &[]));
    let worst = place.query("SELECT window_start, window_end, app, worst, minutes FROM worst ORDER BY 1, 3");
    let batch = place.query(
        "SELECT date_bin(INTERVAL '10 minutes', minute) AS window_start,
                date_bin(INTERVAL '10 minutes', minute) + INTERVAL '10 minutes' AS window_end,
                app, max(errors) AS worst, count(*) AS minutes
         FROM (SELECT date_trunc('minute', ts) AS minute, app, count(*) AS errors FROM raw GROUP BY 1, 2)
         WHERE errors > 2 GROUP BY 1, 2, 3 ORDER BY 1, 3",
    );
    assert!(worst.len() >= 4, "{worst:?}");
    assert_eq!(worst, batch);
    assert_eq!(place.number("SELECT count(*) FROM late_events"), 0);
}

#[test]
fn a_window_over_results_that_are_replaced_is_refused_with_its_place() {
    let place = Place::new();
    let pipeline = place.write(
        "p.yaml",
        "name: p\nsources: { logs: { file: { paths: [in.ndjson] }, format: json } }\ntime: { field: ts }\nsteps:\n\
         - window: { tumbling: 1m, compute: { n: count(*) }, lateness: 1m }\n\
         - window: { tumbling: 1h, compute: { n: max(n) } }\noutputs: [ { table: t } ]\n",
    );
    let output = place.weir(&["check"]).arg(&pipeline).output().unwrap();
    assert!(!output.status.success());
    assert!(
        said(&output).contains("p.yaml:6:3: error: the results of steps[0] are replaced later"),
        "{}",
        said(&output)
    );
}

/// Three clients in three files whose rows are out of order by up to the delay.
fn clicks(place: &Place) {
    for file in 0..3_u32 {
        let mut lines = String::new();
        for n in 0..400_u32 {
            // Bursts of twenty seconds, a minute apart, with holes.
            let at = (n / 20) * 80 + ((n % 20) ^ 3);
            if (n * 7 + file) % 11 < 4 {
                continue;
            }
            let (hour, minute, second) = (at / 3600, at / 60 % 60, at % 60);
            let client = ["ada", "bob", "cyd"][((n / 40 + file) % 3) as usize];
            let _ = writeln!(
                lines,
                r#"{{"ts":"2026-01-01T{hour:02}:{minute:02}:{second:02}Z","client":"{client}","n":{n}}}"#
            );
        }
        place.write(&format!("in/{file}.ndjson"), lines);
    }
}

#[test]
fn sessions_agree_with_a_batch_query_over_the_same_rows() {
    let place = Place::new();
    clicks(&place);
    let pipeline = place.write(
        "p.yaml",
        "name: clicks\nsources: { logs: { file: { paths: ['in/*.ndjson'], follow: false }, format: json, schema: { n: int64 } } }\n\
         time: { field: ts, watermark: { bounded: { delay: 5s } } }\n\
         steps: [ { name: s, window: { session: 30s, by: [client], compute: { clicks: count(*), total: sum(n), head: min(ts) } } } ]\n\
         outputs: [ { table: raw, from: logs }, { table: sessions, from: s } ]\n",
    );
    let plan = place.weir(&["check"]).arg(&pipeline).output().unwrap();
    let sessions = "sessions that end 30s after their last row by client, late by up to 0s; each is said once";
    assert!(said(&plan).contains(sessions), "{}", said(&plan));
    well(&place.run(&pipeline, &[]));
    let found = place.query("SELECT window_start, window_end, client, clicks, total FROM sessions ORDER BY 1, 3");
    let batch = place.query(
        "WITH marked AS (SELECT *, CASE WHEN ts < lag(ts) OVER (PARTITION BY client ORDER BY ts) + INTERVAL '30 seconds' THEN 0 ELSE 1 END AS first FROM raw),
              numbered AS (SELECT *, sum(first) OVER (PARTITION BY client ORDER BY ts) AS session FROM marked)
         SELECT min(ts) AS window_start, max(ts) + INTERVAL '30 seconds' AS window_end, client, count(*) AS clicks, sum(n) AS total
         FROM numbered GROUP BY client, session ORDER BY 1, 3",
    );
    assert!(found.len() > 20, "{} sessions", found.len());
    assert_eq!(found, batch);
    assert_eq!(place.number("SELECT count(*) FROM late_events"), 0);
    assert_eq!(place.number("SELECT count(*) FROM sessions WHERE pane <> 'on_time' OR revision <> 0"), 0);
    assert_eq!(place.number("SELECT count(*) FROM sessions WHERE head <> window_start"), 0);
}

#[test]
fn a_session_that_goes_on_in_a_later_run_is_corrected_and_one_that_it_joins_is_retracted() {
    let place = Place::new();
    let yaml = "name: again\nsources: { logs: { file: { paths: ['in/*.ndjson'], follow: false }, format: json } }\n\
                time: { field: ts }\nsteps: [ { window: { session: 10s, lateness: 1m, by: [k], compute: { rows: count(*) } } } ]\n\
                outputs: [ { table: sessions } ]\n";
    let pipeline = place.write("p.yaml", yaml);
    let line = |second: u32| format!("{{\"ts\":\"2026-01-01T00:00:{second:02}Z\",\"k\":\"a\"}}\n");
    place.write("in/1.ndjson", [0, 5, 22].map(line).concat());
    well(&place.run(&pipeline, &[]));
    assert_eq!(place.number("SELECT count(*) FROM sessions WHERE pane = 'on_time'"), 2);
    place.write("in/2.ndjson", [13].map(line).concat());
    well(&place.run(&pipeline, &[]));
    well(&place.run(&pipeline, &[]));
    let standing = place.query(
        "SELECT window_start, window_end, rows, revision FROM
         (SELECT *, row_number() OVER (PARTITION BY row_id ORDER BY revision DESC) AS newest FROM sessions)
         WHERE newest = 1 AND pane <> 'retracted'",
    );
    assert_eq!(standing.len(), 1, "{standing:?}");
    assert_eq!((standing[0]["rows"].as_i64(), standing[0]["revision"].as_i64()), (Some(4), Some(1)), "{standing:?}");
    assert_eq!(place.number("SELECT count(*) FROM sessions"), 4, "two results, one retracted, one corrected");
}
