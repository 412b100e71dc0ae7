//! Steps that look at rows one after the other, where a story has no columns for it: objects and lists.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int64Type};

use super::{Names, batch, emitted, rejected, step};
use crate::{
    Clash, Empty, Engine, ExplodePlan, FlattenPlan, Input, Limits, Node, OperatorPlan, Output, Plan, RowsPlan, Upstream,
};

fn engine(steps: Vec<RowsPlan>) -> Engine {
    let nodes: Vec<Node> = steps
        .into_iter()
        .enumerate()
        .map(|(index, rows)| Node {
            name: format!("n{index}"),
            from: index.checked_sub(1).map_or(Upstream::AllSources, Upstream::Node),
            operator: OperatorPlan::Rows(rows),
        })
        .collect();
    let plan = Plan {
        pipeline: "test".to_owned(),
        time: None,
        sources: vec!["in".to_owned()],
        outputs: vec![Output { name: "out".to_owned(), from: Upstream::Node(nodes.len() - 1) }],
        nodes,
        limits: Limits::default(),
    };
    Engine::new(plan, Arc::new(Names)).expect("the plan makes sense")
}

fn flatten() -> FlattenPlan {
    FlattenPlan { columns: Vec::new(), separator: "_".to_owned(), depth: None, prefix: None, clash: Clash::Suffix }
}

/// `{ user: { id }, kind }`; the second object is null, the third has no user.
fn payload() -> ArrayRef {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(2), Some(3)]));
    let id = Arc::new(Field::new("id", DataType::Int64, true));
    let user = StructArray::new(vec![id].into(), vec![ids], Some(NullBuffer::from(vec![true, true, false])));
    let kinds: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let fields = vec![
        Arc::new(Field::new("user", user.data_type().clone(), true)),
        Arc::new(Field::new("kind", DataType::Utf8, true)),
    ];
    Arc::new(StructArray::new(
        fields.into(),
        vec![Arc::new(user), kinds],
        Some(NullBuffer::from(vec![true, false, true])),
    ))
}

fn names(columns: &arrow::array::RecordBatch) -> Vec<String> {
    columns.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn objects_become_columns_where_they_stand() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x", "y", "z"]));
    let rows = batch("p", &[1, 2, 3], vec![("payload", payload()), ("payload_kind", texts)]);
    let mut flattened = engine(vec![RowsPlan::Flatten(flatten())]);
    let out = emitted(step(&mut flattened, Input::Batch { source: 0, batch: rows.clone() }));
    assert_eq!(names(&out[0]), ["payload_user_id", "payload_kind_2", "payload_kind"]);
    let ids: Vec<Option<i64>> = out[0].column(0).as_primitive::<Int64Type>().iter().collect();
    assert_eq!(ids, [Some(1), None, None], "null where anything on the way is");

    let shallow = FlattenPlan { depth: Some(1), prefix: Some("p.".to_owned()), ..flatten() };
    let out =
        emitted(step(&mut engine(vec![RowsPlan::Flatten(shallow)]), Input::Batch { source: 0, batch: rows.clone() }));
    assert_eq!(names(&out[0]), ["p.user", "p.kind", "payload_kind"]);

    let strict = FlattenPlan { clash: Clash::Refuse, ..flatten() };
    let effects = step(&mut engine(vec![RowsPlan::Flatten(strict)]), Input::Batch { source: 0, batch: rows });
    assert_eq!(rejected(&effects)[2], (2, "flattening would make two columns called `payload_kind`"));
}

/// `[1, 2], [], null, [3, null]`.
fn tags() -> ArrayRef {
    let lists = vec![Some(vec![Some(1), Some(2)]), Some(vec![]), None, Some(vec![Some(3), None])];
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))
}

fn explode(empty: Empty) -> ExplodePlan {
    ExplodePlan { column: "tags".to_owned(), into: Some("tag".to_owned()), index: Some("at".to_owned()), empty }
}

#[test]
fn a_list_becomes_a_row_per_element_and_the_balance_counts_those_that_are_added() {
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
    let rows = batch("p", &[1, 2, 3, 4], vec![("name", names), ("tags", tags())]);
    let shown = |empty| {
        let mut engine = engine(vec![RowsPlan::Explode(explode(empty))]);
        let out = emitted(step(&mut engine, Input::Batch { source: 0, batch: rows.clone() }));
        let columns = &out[0];
        let column = |name: &str| columns.column_by_name(name).expect("it is there").clone();
        let (name, tag, at) = (column("name"), column("tag"), column("at"));
        let (name, tag, at) =
            (name.as_string::<i32>(), tag.as_primitive::<Int64Type>(), at.as_primitive::<Int64Type>());
        let number =
            |values: &Int64Array, row| if values.is_null(row) { "-".to_owned() } else { values.value(row).to_string() };
        let rows =
            (0..columns.num_rows()).map(|row| format!("{}{}@{}", name.value(row), number(tag, row), number(at, row)));
        (rows.collect::<Vec<_>>().join(" "), engine.balances()[0])
    };
    let (rows, balance) = shown(Empty::Drop);
    assert_eq!(rows, "a1@0 a2@1 d3@0 d-@1");
    assert_eq!((balance.read, balance.added, balance.results, balance.filtered), (4, 2, 4, 2));
    let (rows, balance) = shown(Empty::Keep);
    assert_eq!(rows, "a1@0 a2@1 b-@- c-@- d3@0 d-@1");
    assert_eq!((balance.read, balance.added, balance.results, balance.filtered), (4, 2, 6, 0));
}

#[test]
fn long_lists_go_on_in_batches_and_a_missing_or_other_column_is_no_list() {
    let lists = vec![Some((0..20_000).map(Some).collect::<Vec<_>>())];
    let long: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
    let mut exploded = engine(vec![RowsPlan::Explode(explode(Empty::Drop))]);
    let out = emitted(step(&mut exploded, Input::Batch { source: 0, batch: batch("p", &[1], vec![("tags", long)]) }));
    assert_eq!(out.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 20_000);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let other = batch("p", &[1], vec![("tags", numbers.clone())]);
    let effects = step(&mut exploded, Input::Batch { source: 0, batch: other });
    assert_eq!(rejected(&effects), [(0, "the column `tags` is Int64 where a list is needed")]);
    let missing = batch("p", &[1], vec![("x", numbers)]);
    assert!(emitted(step(&mut exploded, Input::Batch { source: 0, batch: missing })).is_empty());
}
