//! x
#[test]
fn dump() { println!("{}", serde_json::to_string_pretty(&crate::json_schema()).unwrap()); }
