#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use expect_test::expect;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use weir_disk::{Fault, SimDisk};
use weir_model::{ErrorKind, SeamError};

use super::*;
use crate::FileMode;

const EPOCHS: u64 = 4;

fn output(path: &str, format: FileFormat) -> FileOutput {
    FileOutput { path: path.to_owned(), format, mode: FileMode::New }
}

/// The rows of an epoch: two numbers, none in epoch 3.
fn rows(epoch: u64) -> Vec<i64> {
    if epoch == 3 { Vec::new() } else { vec![epoch as i64 * 10, epoch as i64 * 10 + 1] }
}

fn batch(numbers: &[i64]) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(numbers.to_vec())) as ArrayRef)]).unwrap()
}

/// The pipeline's commits: durable by assumption.
type Commits = BTreeMap<Epoch, Prepared>;

fn open(disk: &SimDisk, config: &FileOutput, commits: &Commits) -> SeamResult<FileSink> {
    FileSink::open(Arc::new(disk.clone()), config, commits.values().last())
}

/// Runs from the last commit to the last epoch, as the runtime does.
async fn run(disk: &SimDisk, config: &FileOutput, commits: &mut Commits) -> SeamResult<()> {
    let mut sink = open(disk, config, commits)?;
    let last = commits.keys().last().copied().unwrap_or_default();
    sink.abort(last).await?;
    if let Some(prepared) = commits.get(&last) {
        sink.commit(last, prepared).await?;
    }
    for epoch in last.0 + 1..=EPOCHS {
        for number in rows(epoch) {
            sink.write(&batch(&[number])).await?;
        }
        let prepared = sink.prepare(Epoch(epoch)).await?;
        commits.insert(Epoch(epoch), prepared.clone());
        sink.commit(Epoch(epoch), &prepared).await?;
    }
    Ok(())
}

/// Everything on the disk, with the rows of Parquet files in place of their bytes.
fn shown(disk: &SimDisk) -> String {
    let show = |(path, content): (std::path::PathBuf, Vec<u8>)| {
        let text = match path.extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => format!("{:?}\n", parquet_rows(content)),
            _ => String::from_utf8_lossy(&content).into_owned(),
        };
        format!("== {}\n{text}", path.display())
    };
    disk.files().into_iter().map(show).collect()
}

fn parquet_rows(content: Vec<u8>) -> Vec<i64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(content)).unwrap().build().unwrap();
    reader.flat_map(|rows| rows.unwrap().column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn straight(format: FileFormat) -> (FileOutput, String) {
    let config = output("out/n", format);
    let disk = SimDisk::new(0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(run(&disk, &config, &mut Commits::new())).unwrap();
    (config, shown(&disk))
}

#[test]
fn an_uninterrupted_run_writes_every_row_once() {
    expect![[r#"
        == out/n
        {"n":10}
        {"n":11}
        {"n":20}
        {"n":21}
        {"n":40}
        {"n":41}
    "#]]
    .assert_eq(&straight(FileFormat::Ndjson).1);
    expect![[r#"
        == out/n
        n
        10
        11
        20
        21
        40
        41
    "#]]
    .assert_eq(&straight(FileFormat::Csv).1);
    expect![[r#"
        == out/n/part-1-0.parquet
        [10, 11]
        == out/n/part-2-0.parquet
        [20, 21]
        == out/n/part-4-0.parquet
        [40, 41]
    "#]]
    .assert_eq(&straight(FileFormat::Parquet).1);
}

#[test]
fn power_lost_at_any_step_and_again_in_the_recovery_loses_and_doubles_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for format in [FileFormat::Ndjson, FileFormat::Csv, FileFormat::Avro, FileFormat::Parquet] {
        let (config, expected) = straight(format);
        for fault in [Fault::PowerLoss, Fault::PowerLossAfter] {
            let mut steps = 0;
            for step in 0.. {
                let disk = SimDisk::new(step);
                let mut commits = Commits::new();
                disk.fail_at(step, fault);
                // The recovery may lose power too, a few steps later.
                disk.fail_at(step + 1 + step % 7, fault);
                let mut lives = 0;
                while let Err(error) = runtime.block_on(run(&disk, &config, &mut commits)) {
                    assert!(!disk.is_powered(), "{format:?} step {step}: {}", error.full());
                    disk.restart();
                    lives += 1;
                    assert!(lives < 4, "{format:?} step {step}");
                }
                assert_eq!(shown(&disk), expected, "{format:?}, {fault:?} at step {step}");
                if lives == 0 {
                    steps = step;
                    break;
                }
            }
            assert!(steps > 20, "{format:?}: only {steps} steps");
        }
    }
}

#[test]
fn a_full_disk_delays_rows_and_loses_none() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for format in [FileFormat::Ndjson, FileFormat::Csv, FileFormat::Avro, FileFormat::Parquet] {
        let (config, expected) = straight(format);
        let disk = SimDisk::new(1);
        let result = runtime.block_on(async {
            let mut sink = open(&disk, &config, &Commits::new())?;
            for epoch in 1..=EPOCHS {
                for number in rows(epoch) {
                    sink.write(&batch(&[number])).await?;
                }
                disk.set_capacity(Some(disk.files().iter().map(|(_, content)| content.len() as u64).sum()));
                if !rows(epoch).is_empty() {
                    let full = sink.prepare(Epoch(epoch)).await.unwrap_err();
                    assert_eq!(full.kind, ErrorKind::Retry, "{}", full.full());
                }
                disk.set_capacity(None);
                let prepared = sink.prepare(Epoch(epoch)).await?;
                sink.commit(Epoch(epoch), &prepared).await?;
            }
            Ok::<(), SeamError>(())
        });
        result.unwrap();
        assert_eq!(shown(&disk), expected, "{format:?}");
    }
}

async fn with_file(content: &str, mode: FileMode) -> (SimDisk, SeamResult<()>) {
    let disk = SimDisk::new(0);
    disk.create_folder(std::path::Path::new("out")).unwrap();
    let mut file = disk.create(std::path::Path::new("out/n")).unwrap();
    std::io::Write::write_all(&mut file, content.as_bytes()).unwrap();
    let config = FileOutput { mode, ..output("out/n", FileFormat::Ndjson) };
    let result = run(&disk, &config, &mut Commits::new()).await;
    (disk, result)
}

#[tokio::test]
async fn a_file_of_someone_else_is_not_touched_unless_told_so() {
    let (disk, refused) = with_file("mine", FileMode::New).await;
    let refused = refused.unwrap_err();
    assert_eq!((refused.kind, shown(&disk)), (ErrorKind::Config, "== out/n\nmine".to_owned()));
    expect!["out/n exists and was not written by this pipeline: move it away, choose another path, or say mode: append or mode: overwrite"]
        .assert_eq(&refused.message);
    let (disk, result) = with_file("mine", FileMode::Append).await;
    result.unwrap();
    assert!(shown(&disk).starts_with("== out/n\nmine\n{\"n\":10}\n{\"n\":11}\n"), "{}", shown(&disk));
    let (disk, result) = with_file("mine", FileMode::Overwrite).await;
    result.unwrap();
    assert_eq!(shown(&disk), straight_lines());
    let (disk, result) = with_file("", FileMode::New).await;
    result.unwrap();
    assert_eq!(shown(&disk), straight_lines(), "an empty file is nobody's");
}

#[tokio::test]
async fn rows_of_an_epoch_are_not_seen_before_it_commits_and_are_forgotten_when_it_does_not() {
    let disk = SimDisk::new(0);
    let config = output("out/n", FileFormat::Ndjson);
    let mut sink = open(&disk, &config, &Commits::new()).unwrap();
    sink.write(&batch(&[1])).await.unwrap();
    let first = sink.prepare(Epoch(1)).await.unwrap();
    assert!(!shown(&disk).contains("== out/n\n"));
    sink.commit(Epoch(1), &first).await.unwrap();
    sink.write(&batch(&[2])).await.unwrap();
    sink.prepare(Epoch(2)).await.unwrap();
    sink.write(&batch(&[3])).await.unwrap();
    sink.abort(Epoch(1)).await.unwrap();
    sink.commit(Epoch(1), &first).await.unwrap();
    sink.write(&batch(&[4])).await.unwrap();
    let second = sink.prepare(Epoch(2)).await.unwrap();
    sink.commit(Epoch(2), &second).await.unwrap();
    assert_eq!(shown(&disk), "== out/n\n{\"n\":1}\n{\"n\":4}\n");
}

#[tokio::test]
async fn a_file_that_lost_committed_rows_is_not_written_to() {
    let disk = SimDisk::new(0);
    let config = output("out/n", FileFormat::Ndjson);
    let mut commits = Commits::new();
    run(&disk, &config, &mut commits).await.unwrap();
    disk.damage(std::path::Path::new("out/n"), |content| content.truncate(20));
    let error = run(&disk, &config, &mut commits).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    expect!["out/n has 20 bytes, but 54 were committed to it: put it back as it was, or write to another path"]
        .assert_eq(&error.message);
}

#[tokio::test]
async fn staged_rows_that_are_damaged_are_not_shown() {
    let disk = SimDisk::new(0);
    let config = output("out/n", FileFormat::Ndjson);
    let mut sink = open(&disk, &config, &Commits::new()).unwrap();
    sink.write(&batch(&[1])).await.unwrap();
    let prepared = sink.prepare(Epoch(1)).await.unwrap();
    disk.damage(std::path::Path::new("out/n.epoch-1.staged"), |content| content[3] ^= 1);
    let error = sink.commit(Epoch(1), &prepared).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(!shown(&disk).contains("== out/n\n{"), "{}", shown(&disk));
}

#[tokio::test]
async fn a_column_that_csv_has_no_place_for_is_refused() {
    let disk = SimDisk::new(0);
    let mut sink = open(&disk, &output("out/n.csv", FileFormat::Csv), &Commits::new()).unwrap();
    sink.write(&batch(&[1])).await.unwrap();
    let text = Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
    let error = sink.write(&RecordBatch::try_from_iter([("other", text)]).unwrap()).await.unwrap_err();
    expect!["column other appeared after the header of out/n.csv was written: list the columns in a select step, or write ndjson"]
        .assert_eq(&error.message);
}

#[tokio::test]
async fn the_reference_implementation_reads_what_was_written_to_a_container_before_and_after_a_restart() {
    let disk = SimDisk::new(0);
    let config = output("out/n.avro", FileFormat::Avro);
    let mut commits = Commits::new();
    run(&disk, &config, &mut commits).await.unwrap();
    let mut sink = open(&disk, &config, &commits).unwrap();
    sink.abort(Epoch(EPOCHS)).await.unwrap();
    sink.write(&batch(&[50])).await.unwrap();
    let prepared = sink.prepare(Epoch(EPOCHS + 1)).await.unwrap();
    sink.commit(Epoch(EPOCHS + 1), &prepared).await.unwrap();
    let (_, content) = disk.files().into_iter().next().unwrap();
    let reader = apache_avro::Reader::new(content.as_slice()).unwrap();
    let shown: Vec<String> = reader.map(|record| format!("{:?}", record.unwrap())).collect();
    assert_eq!(shown.len(), 7, "{shown:?}");
    assert_eq!(shown[6], "Record([(\"n\", Union(1, Long(50)))])");
    let text = Arc::new(StringArray::from(vec!["x"])) as ArrayRef;
    let error = sink.write(&RecordBatch::try_from_iter([("other", text)]).unwrap()).await.unwrap_err();
    assert!(error.message.contains("column other appeared after it was written"), "{}", error.message);
}

#[tokio::test]
async fn another_format_needs_another_path() {
    let disk = SimDisk::new(0);
    let mut commits = Commits::new();
    run(&disk, &output("out/n", FileFormat::Ndjson), &mut commits).await.unwrap();
    for format in [FileFormat::Csv, FileFormat::Parquet] {
        let error = open(&disk, &output("out/n", format), &commits).map(|_| ()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Config, "{}", error.full());
    }
}

#[tokio::test]
async fn parquet_files_of_someone_else_are_replaced_only_when_told_so() {
    let disk = SimDisk::new(0);
    let path = std::path::Path::new("out/n");
    disk.create_folder(path).unwrap();
    disk.create(&path.join("theirs.parquet")).unwrap();
    let config = output("out/n", FileFormat::Parquet);
    assert_eq!(run(&disk, &config, &mut Commits::new()).await.unwrap_err().kind, ErrorKind::Config);
    let config = FileOutput { mode: FileMode::Overwrite, ..config };
    run(&disk, &config, &mut Commits::new()).await.unwrap();
    assert_eq!(shown(&disk), straight_parquet());
}

fn straight_parquet() -> String {
    std::thread::spawn(|| straight(FileFormat::Parquet).1).join().unwrap()
}

fn straight_lines() -> String {
    std::thread::spawn(|| straight(FileFormat::Ndjson).1).join().unwrap()
}

/// Runs to the last epoch, then goes back behind `to` as recovery does; the rows after it come again, in later epochs.
async fn go_back(config: &FileOutput, to: u64) -> (String, String) {
    let disk = SimDisk::new(1);
    let mut commits = Commits::new();
    run(&disk, config, &mut commits).await.unwrap();
    let once = shown(&disk);
    let undone: Vec<Prepared> = commits.range(Epoch(to + 1)..).map(|(_, prepared)| prepared.clone()).collect();
    let mut sink = open(&disk, config, &commits).unwrap();
    let back = sink.take_back(commits.get(&Epoch(to)), Some(&undone)).await.unwrap().unwrap();
    assert_eq!(shown(&disk), once, "nothing changes before the commit");
    commits.split_off(&Epoch(to + 1));
    let next = Epoch(EPOCHS + 1);
    commits.insert(next, back.clone());
    // Twice, as after a crash.
    for _ in 0..2 {
        let mut sink = open(&disk, config, &commits).unwrap();
        sink.abort(next).await.unwrap();
        sink.commit(next, &back).await.unwrap();
    }
    let mut sink = open(&disk, config, &commits).unwrap();
    for (place, epoch) in (to + 1..=EPOCHS).enumerate() {
        let number = Epoch(next.0 + 1 + place as u64);
        for number in rows(epoch) {
            sink.write(&batch(&[number])).await.unwrap();
        }
        let prepared = sink.prepare(number).await.unwrap();
        sink.commit(number, &prepared).await.unwrap();
    }
    (once, shown(&disk))
}

#[tokio::test]
async fn after_going_back_a_file_shows_every_row_once() {
    for to in 0..EPOCHS {
        for format in [FileFormat::Ndjson, FileFormat::Csv, FileFormat::Avro] {
            let (once, after) = go_back(&output("/out/rows", format), to).await;
            assert_eq!(after, once, "back to epoch {to}");
        }
    }
    let (once, after) = go_back(&output("/out/parts", FileFormat::Parquet), 1).await;
    assert_eq!(after, once.replace("part-2", "part-6").replace("part-4", "part-8"), "files of other epochs, same rows");
}

#[tokio::test]
async fn what_someone_else_wrote_is_not_cut_off() {
    let disk = SimDisk::new(1);
    let config = output("/out/rows", FileFormat::Ndjson);
    let mut commits = Commits::new();
    run(&disk, &config, &mut commits).await.unwrap();
    let undone: Vec<Prepared> = commits.range(Epoch(2)..).map(|(_, prepared)| prepared.clone()).collect();
    let path = std::path::Path::new("/out/rows");
    disk.damage(path, |bytes| bytes.extend_from_slice(b"{}\n"));
    let mut sink = open(&disk, &config, &commits).unwrap();
    assert_eq!(sink.take_back(commits.get(&Epoch(1)), Some(&undone)).await.unwrap(), None);
    assert_eq!(
        sink.take_back(commits.get(&Epoch(1)), None).await.unwrap(),
        None,
        "nor without knowing what was written"
    );
    let before = shown(&disk);
    let stands = sink.let_stand().await.unwrap();
    sink.abort(Epoch(9)).await.unwrap();
    sink.commit(Epoch(9), &stands).await.unwrap();
    assert_eq!(shown(&disk), before);
}
