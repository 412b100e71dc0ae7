use super::*;

/// `kind name: part` or `kind name`, a step per line.
fn outline(text: &str) -> Outline {
    let node = |line: &str| {
        let (head, part) = line.split_once(": ").unwrap_or((line, ""));
        let (kind, name) = head.trim().split_once(' ').expect("a kind and a name");
        let parts = if part.is_empty() { Vec::new() } else { vec![("keys".to_owned(), part.to_owned())] };
        let from = if part.is_empty() { Vec::new() } else { vec![BTreeSet::from(["in".to_owned()])] };
        NodeOutline { name: name.to_owned(), kind: kind.to_owned(), parts, from }
    };
    Outline {
        sources: vec!["in".to_owned()],
        domains: Vec::new(),
        nodes: text.lines().filter(|line| !line.trim().is_empty()).map(node).collect(),
        outputs: Vec::new(),
    }
}

fn check(old: &str, new: &str, reset: &Reset) -> Result<Vec<Option<usize>>, String> {
    let adopted = adopt(&outline(old), &outline(new), |_| true, reset);
    adopted
        .map(|adoption| adoption.state)
        .map_err(|misfits| misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn steps(names: &[&str]) -> Reset {
    Reset::Steps(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn steps_without_state_come_and_go() {
    let old = "where big\nwindow w: a";
    assert_eq!(check(old, "window w: a", &Reset::Nothing), Ok(vec![Some(1)]));
    assert_eq!(check(old, "where big\nadd x\nwindow w: a", &Reset::Nothing), Ok(vec![Some(0), None, Some(1)]));
    assert_eq!(check("window w: a", "window v: b\nwindow w: a", &Reset::Nothing), Ok(vec![None, Some(0)]));
}

#[test]
fn a_renamed_step_is_recognised_where_there_is_no_doubt() {
    assert_eq!(check("window w: a", "window v: a", &Reset::Nothing), Ok(vec![Some(0)]));
    assert_eq!(
        check("window w: a\nwindow v: a", "window x: a\nwindow v: a", &Reset::Nothing).unwrap_err(),
        "step w: it is gone"
    );
}

#[test]
fn what_does_not_fit_is_refused_with_what_was_changed() {
    let refused = check("window w: a", "window w: a, b", &Reset::Nothing).unwrap_err();
    assert_eq!(refused, "step w: keys changed from `a` to `a, b`");
    assert_eq!(check("window w: a", "where w", &Reset::Nothing).unwrap_err(), "step w: it is gone");
    let empty = adopt(&outline("window w: a"), &outline("where w"), |_| false, &Reset::Nothing);
    assert_eq!(empty.expect("nothing is lost").state, [None]);
}

#[test]
fn what_is_reset_is_left_behind_and_the_rest_stays() {
    let old = "window w: a\nwindow v: b";
    assert_eq!(check(old, "window w: a, c\nwindow v: b", &steps(&["w"])), Ok(vec![None, Some(1)]));
    assert_eq!(check(old, "window v: b", &steps(&["w"])), Ok(vec![Some(1)]));
    assert_eq!(check(old, old, &Reset::Everything), Ok(vec![None, None]));
    assert_eq!(
        check(old, old, &steps(&["x"])).unwrap_err(),
        "step x: there is no such step; with state there are: w, v"
    );
}
