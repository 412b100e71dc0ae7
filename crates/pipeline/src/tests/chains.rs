//! Windows over the results of windows, and sessions.

use expect_test::expect;

use super::{load_text, rendered};

fn pipeline(first: &str) -> String {
    format!(
        "name: p\nsources:\n  logs: {{ file: {{ paths: [x] }}, format: json }}\ntime: {{ field: ts }}\nsteps:\n  \
         - name: per_minute\n    window: {{ tumbling: 1m, by: [app], compute: {{ errors: count(*) }}{first} }}\n  \
         - where: errors > 1\n  - window: {{ tumbling: 1h, by: [app], compute: {{ worst: max(errors) }} }}\noutputs:\n  - table: t\n"
    )
}

#[test]
fn a_window_takes_the_results_of_one_that_says_each_once() {
    load_text(&pipeline("")).expect("a chain of windows is right");
}

#[test]
fn a_window_over_results_that_are_replaced_is_refused_where_it_stands() {
    let found = rendered(load_text(&pipeline(", lateness: 5m")));
    expect![[r#"
        p.yaml:9:5: error: the results of `per_minute` are replaced later: a window over them would count them twice
          |
        9 |   - window: { tumbling: 1h, by: [app], compute: { worst: max(errors) } }
          |     ^^^^^^
          = at: steps[2].window
          = help: leave `lateness` out of `per_minute`, or take `from` what it takes its rows from
    "#]]
    .assert_eq(&found);
    for key in ["early: 10s", "early_rows: 5"] {
        let found = rendered(load_text(&pipeline(&format!(", emit: {{ {key} }}"))));
        let hint = format!("leave `emit.{}` out of `per_minute`", key.split(':').next().unwrap_or(key));
        assert!(found.contains(&hint), "{found}");
    }
}

#[test]
fn sessions_have_a_gap_and_no_offset() {
    let text = pipeline("").replace("tumbling: 1h", "session: 0s, offset: 1m");
    expect![[r#"
        p.yaml:9:24: error: 0s is too short: at least 1ms
          |
        9 |   - window: { session: 0s, offset: 1m, by: [app], compute: { worst: max(errors) } }
          |                        ^^
          = at: steps[2].window.session

        p.yaml:9:36: error: sessions begin with their first row: no offset
          |
        9 |   - window: { session: 0s, offset: 1m, by: [app], compute: { worst: max(errors) } }
          |                                    ^^
          = at: steps[2].window.offset
          = help: leave it out
    "#]]
    .assert_eq(&rendered(load_text(&text)));
    load_text(&pipeline("").replace("tumbling: 1h", "session: 10m, emit: { early: 1h }")).expect("sessions may last");
}
