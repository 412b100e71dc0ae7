use super::{Setting, commit, ids, rows, visible, writer};
use crate::Store;
use weir_disk::Disk;
use weir_model::ErrorKind;

#[test]
fn another_reader_follows_what_is_committed_while_the_owner_writes() {
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let mut writer = writer(&store);
    writer.append(&rows(0..10)).expect("taken");
    commit(&store, &mut writer, 1, 1);
    let reader = Store::open_read_only(setting.path()).expect("opened");
    assert_eq!(visible(&reader), (0..10).collect::<Vec<_>>());
    writer.append(&rows(10..20)).expect("taken");
    assert_eq!(visible(&reader), (0..10).collect::<Vec<_>>(), "fresh rows are not seen from outside");
    for epoch in 2..30 {
        writer.append(&rows(10 * epoch..10 * epoch + 10)).expect("taken");
        commit(&store, &mut writer, epoch.cast_unsigned(), 1);
    }
    let before = reader.snapshot().expect("a snapshot");
    while store.compact_once().expect("compacted").is_some() {}
    store.sweep().expect("swept");
    assert_eq!(ids(&Disk, &before), visible(&store), "files survive their grace for readers in other processes");
    assert_eq!(visible(&reader), visible(&store));
    assert_eq!(reader.writer("logs", crate::TableConfig::default()).expect_err("read only").kind, ErrorKind::Config);
    drop((writer, store));
    let late = Store::open_read_only(setting.path()).expect("opened after the owner has gone");
    assert_eq!(visible(&late), visible(&reader));
}

#[test]
fn a_folder_without_a_store_is_said_to_be_one() {
    let setting = Setting::new();
    let error = Store::open_read_only(setting.path()).expect_err("nothing there");
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.message.contains("holds no data yet"), "{}", error.message);
}

#[test]
fn a_catalog_of_a_newer_weir_is_refused() {
    let setting = Setting::new();
    drop(setting.open().expect("opened"));
    let catalog = rusqlite::Connection::open(setting.path().join("catalog.sqlite")).expect("opened");
    catalog.pragma_update(None, "user_version", 99).expect("written");
    drop(catalog);
    for error in [setting.open().map(drop), Store::open_read_only(setting.path()).map(drop)] {
        let error = error.expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Config);
        assert!(
            error.message.contains("version 99") && error.message.contains("use the newer weir"),
            "{}",
            error.message
        );
    }
}

#[test]
fn a_declared_table_can_be_asked_before_its_first_row_and_after_a_restart() {
    use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
    let setting = Setting::new();
    let store = setting.open().expect("opened");
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let schema = Schema::new(vec![Field::new("at", time, false), Field::new("reason", DataType::Utf8, false)]);
    store.declare("letters", &schema, Some("at")).expect("declared");
    store.declare("letters", &schema, Some("at")).expect("declared again, which changes nothing");
    let names = |store: &Store| {
        let snapshot = store.snapshot().expect("a snapshot");
        let table = &snapshot.tables["letters"];
        let columns: Vec<String> = table.schema.fields().iter().map(|field| field.name().clone()).collect();
        (columns, table.time_column.clone(), table.rows())
    };
    let expected = (vec!["at".to_owned(), "reason".to_owned()], Some("at".to_owned()), 0);
    assert_eq!(names(&store), expected);
    drop(store);
    assert_eq!(names(&setting.open().expect("opened again")), expected);
    let refused = setting.open().expect("opened").declare("../etc", &schema, None).expect_err("no name of a table");
    assert_eq!(refused.kind, ErrorKind::Config);
}
