//! Tables as they are read: types, limits, changes, and what stays when a file breaks.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::DataType;
use std::sync::Arc;
use weir_engine::{EnrichPlan, Missing};

use super::{JobTable, TableFormat, TableNews, TablePlace, Tables, read};

fn job(path: &std::path::Path, format: TableFormat, take: &[&str]) -> JobTable {
    JobTable {
        node: 0,
        step: "teams".to_owned(),
        place: TablePlace::File(path.to_owned()),
        format,
        refresh: Duration::from_millis(5),
        schema: Default::default(),
        plan: EnrichPlan {
            on: vec![("app".to_owned(), "id".to_owned())],
            take: take.iter().map(|name| (*name).to_owned()).collect(),
            missing: Missing::Keep,
        },
    }
}

fn content(job: &JobTable) -> Result<read::Content, String> {
    let TablePlace::File(path) = &job.place else { panic!("the tables here are files") };
    read::content(job, &read::bytes(path).unwrap())
}

fn types(job: &JobTable) -> Vec<(String, DataType)> {
    let columns = content(job).unwrap().columns;
    columns.schema().fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
}

fn named(name: &str, data_type: DataType) -> (String, DataType) {
    (name.to_owned(), data_type)
}

#[test]
fn the_columns_of_csv_are_text_unless_they_are_declared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teams.csv");
    fs::write(&path, "id,other,budget,team\n007,x,1.5,red\n8,y,,\n").unwrap();
    let mut job = job(&path, TableFormat::Csv, &["team", "budget"]);
    let text = |name| named(name, DataType::Utf8);
    assert_eq!(types(&job), [text("id"), text("budget"), text("team")]);
    job.schema.insert("budget".to_owned(), DataType::Float64);
    assert_eq!(types(&job), [text("id"), named("budget", DataType::Float64), text("team")]);
    job.schema.insert("team".to_owned(), DataType::Int64);
    let error = content(&job).err().unwrap();
    assert!(error.contains("teams.csv") && error.contains("red"), "{error}");
}

#[test]
fn json_and_parquet_have_the_types_that_they_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teams.ndjson");
    fs::write(&path, "{\"id\": 1, \"team\": \"red\", \"more\": [1]}\n{\"id\": 2, \"size\": 1.5}\n").unwrap();
    let wanted = [named("id", DataType::Int64), named("team", DataType::Utf8)];
    assert_eq!(types(&job(&path, TableFormat::Ndjson, &["team"])), wanted);

    let path = folder.path().join("teams.parquet");
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let team: ArrayRef = Arc::new(StringArray::from(vec!["red", "blue"]));
    let batch = RecordBatch::try_from_iter([("id", id.clone()), ("more", id), ("team", team)]).unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    assert_eq!(types(&job(&path, TableFormat::Parquet, &["team"])), wanted);
}

async fn next(tables: &mut Tables) -> TableNews {
    loop {
        match tables.next() {
            Some(news) => return news,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

#[tokio::test]
async fn a_table_that_changes_is_given_anew_and_one_that_breaks_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teams.csv");
    fs::write(&path, "id,team\na,red\nb,blue\na,green\n").unwrap();
    let (mut tables, first) = Tables::open(&[job(&path, TableFormat::Csv, &["team"])]).await.unwrap();
    let [TableNews::Newer { node: 0, table, remark: Some(remark) }] = &first[..] else { panic!("one table") };
    assert_eq!((table.rows(), table.duplicates()), (2, 1));
    assert!(remark.contains("1 rows of") && remark.contains("a later one"), "{remark}");

    fs::write(&path, "id,owner\na,ann\n").unwrap();
    let TableNews::Stays(message) = next(&mut tables).await else { panic!("it cannot be used") };
    assert!(message.contains("there is no column team in the table; there are id, owner"), "{message}");
    assert!(message.ends_with("the version before stays"), "{message}");

    fs::write(&path, "id,team\na,red\nb,blue\nc,green\n").unwrap();
    let newer = loop {
        match next(&mut tables).await {
            TableNews::Newer { table, remark: None, .. } => break table,
            TableNews::Newer { remark, .. } => panic!("{remark:?}"),
            TableNews::Stays(_) => {}
        }
    };
    assert_eq!(newer.rows(), 3);
    assert_ne!(newer.version(), table.version());
}

#[tokio::test]
async fn without_its_table_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let missing = job(&folder.path().join("none.csv"), TableFormat::Csv, &["team"]);
    let error = Tables::open(&[missing]).await.err().unwrap();
    assert!(error.message.starts_with("teams: ") && error.message.contains("none.csv"), "{}", error.message);

    let path = folder.path().join("large.csv");
    fs::File::create(&path).unwrap().set_len(read::BYTES_MAX + 1).unwrap();
    let error = Tables::open(&[job(&path, TableFormat::Csv, &["team"])]).await.err().unwrap();
    assert!(error.message.contains("more than 256 MiB"), "{}", error.message);
}
