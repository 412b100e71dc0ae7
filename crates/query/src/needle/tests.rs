use datafusion::functions::expr_fn::{contains, lower, starts_with};
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit};
use datafusion::prelude::ident;

use super::*;

fn message() -> Expr {
    ident("message")
}

fn of(filter: Expr) -> Wanted {
    Wanted::of(&[filter])
}

fn in_message(need: Need) -> Wanted {
    Wanted::In("message".to_owned(), need)
}

fn fragment(text: &str, before: Beside, after: Beside) -> Need {
    Need::fragment(text, before, after)
}

use Beside::{Anything as Open, NoWord as Closed};

#[test]
fn patterns_are_cut_at_their_wildcards() {
    assert_eq!(of(message().like(lit("%needle%"))), in_message(fragment("needle", Open, Open)));
    assert_eq!(of(message().like(lit("needle%"))), in_message(fragment("needle", Closed, Open)));
    assert_eq!(of(message().like(lit("%needle"))), in_message(fragment("needle", Open, Closed)));
    assert_eq!(of(message().like(lit("needle"))), in_message(Need::value("needle")));
    let both = Need::all(vec![fragment("first", Open, Open), fragment("second", Open, Closed)]);
    assert_eq!(of(message().like(lit("%first_second"))), in_message(both));
    assert_eq!(of(message().like(lit(r"%50\% off%"))), in_message(fragment("50% off", Open, Open)));
    assert_eq!(of(message().like(lit("%"))), Wanted::Anything);
    assert_eq!(of(message().not_like(lit("%needle%"))), Wanted::Anything);
}

#[test]
fn what_case_folds_to_outside_of_ascii_is_left_out() {
    let around = Need::all(vec![fragment("gr", Open, Open), fragment("e needle", Open, Open)]);
    assert_eq!(of(message().ilike(lit("%größe needle%"))), in_message(around));
    assert_eq!(of(message().like(lit("%größe%"))), in_message(fragment("größe", Open, Open)));
    assert_eq!(of(lower(message()).eq(lit("needle"))), in_message(Need::value("needle")));
    assert_eq!(of(lower(message()).eq(lit("größe"))), Wanted::Anything, "its parts are too short");
}

#[test]
fn conditions_are_combined_and_what_is_not_known_is_anything() {
    let needle = || contains(message(), lit("needle"));
    let other = || ident("n").gt(lit(7));
    assert_eq!(of(needle().and(other())), in_message(fragment("needle", Open, Open)));
    assert_eq!(of(needle().or(other())), Wanted::Anything);
    assert_eq!(of(Expr::Not(Box::new(needle()))), Wanted::Anything);
    let either = Wanted::Any(vec![
        in_message(fragment("needle", Open, Open)),
        Wanted::In("level".to_owned(), Need::value("ERROR")),
    ]);
    assert_eq!(of(needle().or(lit("ERROR").eq(ident("level")))), either);
    let listed = Wanted::Any(vec![
        Wanted::In("level".to_owned(), Need::value("ERROR")),
        Wanted::In("level".to_owned(), Need::value("FATAL")),
    ]);
    assert_eq!(of(ident("level").in_list(vec![lit("ERROR"), lit("FATAL")], false)), listed);
    assert_eq!(of(ident("level").in_list(vec![lit("ERROR")], true)), Wanted::Anything);
    assert_eq!(of(starts_with(message(), lit("Task"))), in_message(fragment("Task", Closed, Open)));
    assert_eq!(of(message().eq(ident("level"))), Wanted::Anything);
}

fn matches(pattern: &str) -> Wanted {
    of(binary_expr(message(), Operator::RegexMatch, lit(pattern)))
}

#[test]
fn a_regular_expression_wants_the_texts_that_it_cannot_do_without() {
    assert_eq!(matches("needle"), in_message(fragment("needle", Open, Open)));
    assert_eq!(matches("^needle"), in_message(fragment("needle", Closed, Open)));
    assert_eq!(matches("(?i)needle"), in_message(fragment("needle", Open, Open)));
    let both = Need::all(vec![fragment("order ", Open, Open), fragment(" failed", Open, Open)]);
    assert_eq!(matches(r"order \d+ failed"), in_message(both));
    let any = Need::any(vec![fragment("error", Open, Open), fragment("fatal", Open, Open)]);
    assert_eq!(matches("error|fatal"), in_message(any));
    assert_eq!(matches("error|.*"), Wanted::Anything);
    assert_eq!(matches("(needle)+"), in_message(fragment("needle", Open, Open)));
    for anything in ["(needle)*", "n?e?", ".", "[abc]{3}", "("] {
        assert_eq!(matches(anything), Wanted::Anything, "{anything}");
    }
    assert_eq!(
        of(binary_expr(message(), Operator::RegexIMatch, lit("Needle-7"))),
        in_message(fragment("needle-7", Open, Open))
    );
}
