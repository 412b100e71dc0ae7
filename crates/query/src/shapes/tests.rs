use super::*;

#[test]
fn rows_become_runs_that_are_as_long_as_the_segment() {
    let selected = selection(&[0, 1, 5, 9], 12);
    assert_eq!((selected.row_count(), selected.skipped_row_count()), (4, 8));
    assert!(!selection(&[], 12).selects_any());
    assert_eq!(selection(&[11], 12).skipped_row_count(), 11);
}

#[test]
fn patterns_with_a_character_of_any_kind_have_no_form() {
    assert!(like("%a_b%", '\\', false).is_none());
    assert!(like("%a\\_b%", '\\', false).is_some());
    assert!(like("%", '\\', false).is_none());
    assert!(like("%\u{e4}%", '\\', true).is_none(), "its capital is not known here");
}
