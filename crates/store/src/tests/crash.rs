use std::sync::Arc;

use super::{Setting, block_on, commit_of, rows, visible, writer};
use crate::Store;
use weir_disk::{Fault, SimDisk};
use weir_model::{CommitPoint, Epoch, ErrorKind, PartitionId, SeamResult};

const EPOCHS: u64 = 10;

/// Writes epochs of ten rows each, compacting and sweeping on the way, from what is committed until [`EPOCHS`] are.
fn run(store: &Arc<Store>) -> SeamResult<()> {
    let last = block_on(store.last("p"))?.map_or(0, |commit| commit.epoch.0);
    let mut writer = writer(store);
    for epoch in last + 1..=EPOCHS {
        let first = (epoch as i64 - 1) * 10;
        writer.append(&rows(first..first + 10))?;
        let prepared = writer.prepare(Epoch(epoch))?;
        block_on(store.commit(commit_of("p", epoch, epoch * 10, prepared)))?;
        writer.committed(Epoch(epoch))?;
        store.compact_once()?;
        store.sweep()?;
    }
    Ok(())
}

/// Rows and positions agree, and nothing of an epoch that did not commit is there.
fn check(store: &Store, story: &str) {
    let last = block_on(store.last("p")).expect("read");
    let read = last.map_or(0, |commit| commit.positions["in"][&PartitionId::new("p")].offset.0);
    assert_eq!(visible(store), (0..read as i64).collect::<Vec<_>>(), "{story}");
    assert_eq!(store.troubles(), [], "{story}");
    assert_eq!(store.verify().expect("verified"), [], "{story}");
}

#[test]
fn power_lost_at_any_step_loses_and_doubles_nothing() {
    for fault in [Fault::PowerLoss, Fault::PowerLossAfter] {
        for at in 0.. {
            let disk = SimDisk::new(at);
            let mut setting = Setting::on(Arc::new(disk.clone()), true);
            // Few kept commits, so that there is something to compact; no grace, so that files are deleted.
            setting.config.commits_kept = 2;
            setting.config.grace = std::time::Duration::ZERO;
            let story = format!("{fault:?} at {at}");
            disk.fail_at(at, fault);
            let finished = setting.open().and_then(|store| run(&store)).is_ok();
            if finished && disk.is_powered() {
                assert!(at > 50, "the story has only {at} steps");
                break;
            }
            disk.crash();
            disk.restart();
            check(&setting.open().expect("recovered"), &story);
            let store = setting.open().expect("recovering again changes nothing");
            check(&store, &story);
            run(&store).expect("the rest runs");
            check(&store, &story);
            assert_eq!(visible(&store).len() as u64, EPOCHS * 10, "{story}");
        }
    }
}

#[test]
fn a_full_disk_is_retried_and_a_broken_one_stops_and_recovers() {
    for at in 0.. {
        let disk = SimDisk::new(at);
        let setting = Setting::on(Arc::new(disk.clone()), true);
        let store = setting.open().expect("opened");
        let mut writer = writer(&store);
        let before = disk.operations();
        disk.fail_at(before + at, if at % 2 == 0 { Fault::Full } else { Fault::Broken });
        writer.append(&rows(0..10)).expect("memory needs no disk");
        let Err(error) = writer.prepare(Epoch(1)) else {
            assert!(at > 4, "an epoch has only {at} steps");
            break;
        };
        assert!(matches!(error.kind, ErrorKind::Retry | ErrorKind::Closed), "{}", error.full());
        assert_eq!(visible(&store), (0..10).collect::<Vec<_>>(), "rows stay visible");
        let prepared = writer.prepare(Epoch(1)).expect("the next attempt writes another file");
        block_on(store.commit(commit_of("p", 1, 10, prepared))).expect("committed");
        assert_eq!(visible(&store), (0..10).collect::<Vec<_>>());
        drop(writer);
        assert_eq!(block_on(store.last("p")).expect("read").expect("one").epoch, Epoch(1));
        assert_eq!(visible(&setting.open().expect("opened again")), (0..10).collect::<Vec<_>>());
    }
}
