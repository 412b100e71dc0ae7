use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch};
use arrow::datatypes::Int32Type;
use weir_disk::{Fault, SimDisk};
use weir_engine::{Run, RunRows, Snapshot};
use weir_model::{Epoch, ErrorKind, EventTime, Vfs};

use crate::SnapshotStore;
use crate::index::OBJECTS_MAX;
use crate::objects::folder::DAMAGED_KEPT_MAX;

fn run(id: u64, rows: i64) -> Run {
    let keys: DictionaryArray<Int32Type> = (0..rows).map(|row| ["a", "b"][row as usize % 2]).collect();
    let sums = Int64Array::from_iter_values((0..rows).map(|row| row * id.cast_signed()));
    let columns: [(&str, ArrayRef); 2] = [("key", Arc::new(keys)), ("sum", Arc::new(sums))];
    let batch = RecordBatch::try_from_iter(columns).expect("a batch");
    Run { id, node: 1, pane: EventTime::from_micros(60_000_000 * id.cast_signed()), rows: RunRows::Held(batch) }
}

pub(crate) fn snapshot(runs: impl IntoIterator<Item = u64>) -> Snapshot {
    let runs = runs.into_iter().map(|id| run(id, 100)).collect();
    Snapshot { plan_fingerprint: "plan".to_owned(), meta: b"{\"x\":1}".to_vec(), runs }
}

pub(crate) fn assert_same(found: &Snapshot, expected: &Snapshot) {
    assert_eq!((&found.plan_fingerprint, &found.meta), (&expected.plan_fingerprint, &expected.meta));
    assert_eq!(found.runs.len(), expected.runs.len());
    for (found, expected) in found.runs.iter().zip(&expected.runs) {
        assert_eq!((found.id, found.node, found.pane), (expected.id, expected.node, expected.pane));
        assert_eq!(found.batch(), expected.batch());
    }
}

fn store(disk: &SimDisk) -> SnapshotStore {
    SnapshotStore::new(Arc::new(disk.clone()), Path::new("/state"))
}

#[test]
fn what_is_written_is_read_back_by_another_process() {
    let disk = SimDisk::new(1);
    for state in [snapshot([]), snapshot(1..5)] {
        let name = store(&disk).write("p", Epoch(7), &state).expect("written");
        assert!(name.starts_with("00000000000000000007-"), "{name}");
        assert_same(&store(&disk).read("p", &name).expect("read"), &state);
    }
}

#[test]
fn a_run_is_written_once_and_a_small_change_costs_two_syncs() {
    let disk = SimDisk::new(1);
    let snapshots = store(&disk);
    snapshots.write("p", Epoch(1), &snapshot(1..50)).expect("written");
    let (operations, before) = (disk.operations(), disk.files()[0].1.len());
    let name = snapshots.write("p", Epoch(2), &snapshot(2..51)).expect("written");
    assert_eq!(disk.operations() - operations, 6, "folder, create, write, sync, rename, sync of the folder");
    let new = disk.files().iter().map(|(_, content)| content.len()).sum::<usize>() - before;
    assert!(new < before / 3, "{new} bytes after {before}");
    assert_same(&store(&disk).read("p", &name).expect("read"), &snapshot(2..51));
    let restarted = store(&disk);
    restarted.read("p", &name).expect("read");
    let third = restarted.write("p", Epoch(3), &snapshot(2..51)).expect("written");
    let objects = disk.files();
    let newest = objects.iter().find(|(path, _)| path.to_string_lossy().contains(&third)).expect("there");
    assert!(newest.1.len() < before / 3, "after a restart nothing is written again either");
}

#[test]
fn only_what_no_kept_snapshot_needs_is_collected() {
    let disk = SimDisk::new(1);
    let snapshots = store(&disk);
    let names: Vec<String> = (1..=6)
        .map(|epoch| snapshots.write("p", Epoch(epoch), &snapshot(epoch..epoch + 2)).expect("written"))
        .collect();
    let other = snapshots.write("q", Epoch(1), &snapshot(1..3)).expect("written");
    let collected = snapshots.collect("p", &names[4..]).expect("collected");
    assert_eq!(collected.objects, 3, "epoch 5 refers to a run that epoch 4 wrote: {collected:?}");
    for (index, name) in names.iter().enumerate().skip(4) {
        let epoch = index as u64 + 1;
        assert_same(&store(&disk).read("p", name).expect("read"), &snapshot(epoch..epoch + 2));
    }
    assert_same(&store(&disk).read("q", &other).expect("untouched"), &snapshot(1..3));
    snapshots.collect("p", &[]).expect("collected");
    assert_same(&store(&disk).read("p", &names[5]).expect("the last one is always kept"), &snapshot(6..8));
}

#[test]
fn a_snapshot_refers_to_a_bounded_number_of_objects() {
    let disk = SimDisk::new(1);
    let snapshots = store(&disk);
    for epoch in 1..=300 {
        let name = snapshots.write("p", Epoch(epoch), &snapshot(1..=epoch)).expect("written");
        snapshots.collect("p", std::slice::from_ref(&name)).expect("collected");
        assert!(disk.files().len() <= OBJECTS_MAX + 1, "{} objects", disk.files().len());
        if epoch % 50 == 0 {
            assert_same(&store(&disk).read("p", &name).expect("read"), &snapshot(1..=epoch));
        }
    }
}

#[test]
fn runs_in_an_object_that_is_nearly_unused_move_on() {
    let disk = SimDisk::new(1);
    let snapshots = store(&disk);
    snapshots.write("p", Epoch(1), &snapshot(1..100)).expect("written");
    let name = snapshots.write("p", Epoch(2), &snapshot(1..5)).expect("written");
    snapshots.collect("p", std::slice::from_ref(&name)).expect("collected");
    assert_eq!(disk.files().len(), 1, "the first object is gone although four of its runs live");
    assert_same(&store(&disk).read("p", &name).expect("read"), &snapshot(1..5));
}

/// The same snapshot with nothing of it in memory, as it is after a start and after an engine has let go.
fn away(snapshots: &SnapshotStore, name: &str) -> Snapshot {
    let opened = snapshots.open("p", name).expect("opened");
    assert!(opened.runs.iter().all(|run| run.rows.in_memory().is_none()), "nothing is in memory");
    opened
}

#[test]
fn runs_that_are_not_in_memory_are_loaded_wherever_later_snapshots_have_moved_them() {
    let disk = SimDisk::new(1);
    let snapshots = store(&disk);
    let name = snapshots.write("p", Epoch(1), &snapshot(1..100)).expect("written");
    let mut state = away(&snapshots, &name);
    // Most of the first file is dead from now on: what lives of it moves on without being in memory.
    state.runs.truncate(4);
    let name = snapshots.write("p", Epoch(2), &state).expect("written");
    snapshots.collect("p", std::slice::from_ref(&name)).expect("collected");
    assert_eq!(disk.files().len(), 1, "the first file is gone");
    for (away, expected) in state.runs.iter().zip(&snapshot(1..5).runs) {
        assert_eq!(away.loaded().expect("loaded").batch(), expected.batch());
    }
    assert_same(&store(&disk).read("p", &name).expect("read"), &snapshot(1..5));
    let gone = RunRows::Stored { store: snapshots.runs_of("p"), bytes: 0 };
    assert_eq!(gone.load(77).expect_err("there is none").kind, ErrorKind::Closed);
}

#[test]
fn damage_is_found_when_a_snapshot_is_opened_and_when_a_run_is_loaded_later() {
    let disk = SimDisk::new(1);
    let snapshots = store(&disk);
    let name = snapshots.write("p", Epoch(1), &snapshot(1..5)).expect("written");
    let state = away(&snapshots, &name);
    let file = disk.files()[0].0.clone();
    disk.damage(&file, |bytes| bytes[100] ^= 1);
    let later = state.runs[0].loaded().expect_err("damaged since");
    assert_eq!(later.kind, ErrorKind::Corrupt);
    assert!(later.message.contains(&format!("{name}.snap is damaged")), "{}", later.message);
    assert_eq!(store(&disk).open("p", &name).expect_err("damaged").kind, ErrorKind::Corrupt);
}

#[test]
fn damaged_snapshots_are_put_aside_without_what_others_need() {
    let disk = SimDisk::new(1);
    let snapshots = store(&disk);
    let one = snapshots.write("p", Epoch(1), &snapshot(1..5)).expect("written");
    let two = snapshots.write("p", Epoch(2), &snapshot(1..6)).expect("written");
    let three = snapshots.write("p", Epoch(3), &snapshot(1..7)).expect("written");
    let again = store(&disk);
    let given_up = [three.clone(), one.clone()];
    let moved = again.set_aside("p", &given_up, std::slice::from_ref(&two)).expect("put aside");
    assert_eq!(
        moved,
        [Path::new("/state/p/damaged").join(format!("{three}.snap"))],
        "the first is needed by the second"
    );
    assert!(again.set_aside("p", &given_up, std::slice::from_ref(&two)).expect("again").is_empty());
    assert_same(&again.read("p", &two).expect("read"), &snapshot(1..6));
    again.collect("p", std::slice::from_ref(&two)).expect("collected");
    assert_eq!(disk.files().len(), 3, "nobody collects what was put aside");
    let many: Vec<String> =
        (10..30).map(|epoch| snapshots.write("p", Epoch(epoch), &snapshot(1..3)).expect("written")).collect();
    store(&disk).set_aside("p", &many, &[]).expect("put aside");
    let aside = disk.files().into_iter().filter(|(path, _)| path.starts_with("/state/p/damaged")).count();
    assert_eq!(aside, DAMAGED_KEPT_MAX, "the oldest make room");
}

#[test]
fn a_damaged_snapshot_among_those_that_are_kept_does_not_keep_others_from_being_collected() {
    let disk = SimDisk::new(1);
    let names: Vec<String> =
        (1..=3).map(|epoch| store(&disk).write("p", Epoch(epoch), &snapshot(1..4)).expect("written")).collect();
    disk.damage(&disk.files()[1].0.clone(), |bytes| bytes.truncate(bytes.len() - 1));
    let snapshots = store(&disk);
    let collected = snapshots.collect("p", &names[1..]).expect("collected");
    assert_eq!((collected.objects, collected.damaged.len()), (1, 1), "{collected:?}");
    assert!(collected.damaged[0].contains(&names[1]), "{collected:?}");
    let again = snapshots.collect("p", &names[1..]).expect("collected");
    assert_eq!(again, Default::default(), "it is said once");
}

/// A snapshot of some of these runs.
fn of(runs: &[Run], alive: std::ops::Range<u64>) -> Snapshot {
    let runs = runs[alive.start as usize..alive.end as usize].to_vec();
    Snapshot { plan_fingerprint: "plan".to_owned(), meta: b"{}".to_vec(), runs }
}

/// Bytes of runs that were written in all, and of the files that are there at the end, while `alive(epoch)` are the
/// runs; the process begins anew every `life` epochs.
fn written(epochs: u64, life: u64, alive: impl Fn(u64) -> std::ops::Range<u64>) -> (u64, u64) {
    let disk = SimDisk::new(1);
    let mut snapshots = store(&disk);
    // Large beside what a manifest says of them.
    let runs: Vec<Run> = (0..150).map(|id| run(id, 2_000)).collect();
    let (mut written, mut last) = (0, None);
    for epoch in 1..=epochs {
        if epoch % life == 0 {
            snapshots = store(&disk);
            last.iter().for_each(|name: &String| drop(snapshots.read("p", name).expect("read")));
        }
        let name = snapshots.write("p", Epoch(epoch), &of(&runs, alive(epoch))).expect("written");
        snapshots.collect("p", std::slice::from_ref(&name)).expect("collected");
        let size = snapshots.describe("p", &name).expect("described");
        assert!(size.objects <= OBJECTS_MAX + 1, "{size:?}");
        written += size.own_bytes;
        last = Some(name);
    }
    (written, disk.files().iter().map(|(_, content)| content.len() as u64).sum())
}

#[test]
fn what_is_written_and_what_is_kept_is_bounded_by_what_is_new_and_what_is_alive() {
    let one = written(1, 2, |_| 1..2).0;
    for life in [u64::MAX, 17] {
        let (grown, kept) = written(120, life, |epoch| 1..epoch + 1);
        assert!(grown < 120 * one * 3, "each run is written fewer than three times: {grown}, one has {one}");
        assert!(kept < 120 * one * 2, "{kept}, one has {one}");
        let (moving, kept) = written(120, life, |epoch| epoch..epoch + 20);
        assert!(moving < 140 * one * 3, "{moving}, one has {one}");
        assert!(kept < 20 * one * 5, "a quarter of each file is in use at least: {kept}, one has {one}");
    }
}

#[test]
fn any_damage_is_named_with_its_file() {
    let pristine = || {
        let disk = SimDisk::new(1);
        let snapshots = store(&disk);
        snapshots.write("p", Epoch(1), &snapshot(1..10)).expect("written");
        let name = snapshots.write("p", Epoch(2), &snapshot(5..12)).expect("written");
        (disk, name)
    };
    type Damage = Box<dyn Fn(&mut Vec<u8>)>;
    let mut damages: Vec<Damage> = vec![
        Box::new(Vec::clear),
        Box::new(|bytes| bytes.truncate(bytes.len() / 2)),
        Box::new(|bytes| bytes.truncate(bytes.len() - 1)),
        Box::new(|bytes| bytes.extend_from_slice(b"more")),
        Box::new(|bytes| bytes.fill(0)),
    ];
    for place in 0..40_usize {
        damages.push(Box::new(move |bytes| {
            let at = 8 + (bytes.len() - 9) * place / 40;
            bytes[at] ^= 4;
        }));
    }
    let mut noticed = 0;
    for (number, damage) in damages.iter().enumerate() {
        for object in 0..2 {
            let (disk, name) = pristine();
            let path = disk.files()[object].0.clone();
            disk.damage(&path, damage);
            match store(&disk).read("p", &name) {
                Ok(found) => assert_same(&found, &snapshot(5..12)),
                Err(error) => {
                    noticed += 1;
                    assert_eq!(error.kind, ErrorKind::Corrupt, "damage {number}: {}", error.full());
                    assert!(error.message.contains(&path.display().to_string()), "{}", error.message);
                }
            }
        }
    }
    assert!(noticed > damages.len(), "damage of the newest object is always noticed, of the older where it is needed");
}

#[test]
fn a_missing_or_swapped_object_is_corrupt() {
    let disk = SimDisk::new(1);
    let snapshots = store(&disk);
    let one = snapshots.write("p", Epoch(1), &snapshot(1..10)).expect("written");
    let two = snapshots.write("p", Epoch(2), &snapshot(5..12)).expect("written");
    let files = disk.files();
    disk.damage(&files[1].0, |bytes| bytes.clone_from(&files[0].1));
    let swapped = store(&disk).read("p", &two).expect_err("swapped");
    assert_eq!(swapped.kind, ErrorKind::Corrupt);
    assert!(swapped.message.contains(&format!("it is snapshot {one}")), "{}", swapped.message);
    disk.damage(&files[1].0, |bytes| bytes.clone_from(&files[1].1));
    disk.remove(&files[0].0).expect("removed");
    let missing = store(&disk).read("p", &two).expect_err("missing");
    assert_eq!(missing.kind, ErrorKind::Corrupt);
    assert!(missing.message.contains(&one), "{}", missing.message);
    for name in ["../../etc/passwd", "", "x"] {
        assert_eq!(store(&disk).read("p", name).expect_err("refused").kind, ErrorKind::Corrupt);
    }
    for pipeline in ["..", "a/b", "", "A"] {
        assert_eq!(store(&disk).write(pipeline, Epoch(1), &snapshot([])).expect_err("refused").kind, ErrorKind::Config);
    }
}

#[test]
fn a_snapshot_that_was_written_survives_power_loss_at_any_step_and_no_torn_one_is_read() {
    for fault in [Fault::PowerLoss, Fault::PowerLossAfter] {
        for at in 0.. {
            let disk = SimDisk::new(at);
            let snapshots = store(&disk);
            disk.fail_at(at, fault);
            let mut written = Vec::new();
            let mut finished = true;
            for epoch in 1..=4 {
                match snapshots.write("p", Epoch(epoch), &snapshot(epoch..epoch + 4)) {
                    Ok(name) => written.push((epoch, name)),
                    Err(_) => finished = false,
                }
            }
            if finished && disk.is_powered() {
                assert!(at > 16, "the story has only {at} steps");
                break;
            }
            disk.crash();
            disk.restart();
            for (epoch, name) in written {
                let found = store(&disk).read("p", &name).expect("what was written is there");
                assert_same(&found, &snapshot(epoch..epoch + 4));
            }
        }
    }
}
