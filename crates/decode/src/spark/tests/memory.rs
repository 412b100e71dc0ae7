//! Stories of what holds for later records, and of going on after a restart.

use super::*;

const DRIVER: &str = "WARNING: Using incubator modules
26/11/21 01:18:22 INFO SparkContext: Running Spark version 4.3.0
26/11/21 01:18:25 INFO StandaloneSchedulerBackend: Connected to Spark cluster with app ID app-20261121011825-0000
26/11/21 01:18:26 INFO BlockManager: Registered BlockManager: BlockManagerId(driver, vm, 37, None)
26/11/21 01:18:27 INFO TaskSetManager: Lost task 0.1 in stage 1.0 (TID 5) on 10.0.0.3, executor 1: a.B (x)
{\"ts\":\"2026-11-21T01:18:28.5Z\",\"msg\":\"json\"}
printed
26/11/21 01:18:29 INFO SparkContext: Successfully stopped SparkContext
";

#[test]
fn a_restart_at_any_record_changes_nothing() {
    let whole = decoded("logs/driver.stderr", DRIVER);
    let expected = rows(&whole.batches[0]);
    let raw = raw_of("logs/driver.stderr", DRIVER, 0);
    // the first undated record looks ahead in its own batch, so that batch is the same in every run
    for cut in 2..raw.records.len() {
        let (mut first, mut second) = (raw.clone(), raw.clone());
        second.records = first.records.split_off(cut);
        let mut before = decoder();
        let mut found = rows(&before.decode(&first).batches[0]);
        let carried = before.carry(&raw.partition).expect("something to carry");
        let mut after = decoder();
        after.restore(&raw.partition, &carried);
        found.extend(rows(&after.decode(&second).batches[0]));
        assert_eq!(found, expected, "restarted at record {cut} with {carried}");
        assert_eq!(after.carry(&raw.partition), {
            let mut one = decoder();
            one.decode(&raw);
            one.carry(&raw.partition)
        });
    }
}

#[test]
fn what_cannot_be_read_is_not_restored() {
    let mut decoder = decoder();
    decoder.restore(&PartitionId::new("x"), "not what carry gave");
    assert_eq!(decoder.carry(&PartitionId::new("x")), None);
}

#[test]
fn partitions_do_not_know_each_other() {
    let mut decoder = decoder();
    decoder.decode(&raw_of("a", DRIVER, 0));
    let decoded = decoder.decode(&raw_of("b", "26/11/21 01:18:22 INFO A: x\n", 0));
    assert_eq!(rows(&decoded.batches[0]), ["ts=2026-11-21T01:18:22Z level=INFO logger=A message=x"]);
}

#[test]
fn in_the_log_of_a_master_nothing_holds_over() {
    let content = "26/11/21 01:16:54 INFO Master: Started daemon with process name: 1@vm
26/11/21 01:18:25 INFO Master: Launching executor app-20261121011825-0000/1 on worker worker-20261121011705-10.0.0.3-44667
26/11/21 01:18:26 INFO Master: 10.0.0.3:58374 got disassociated, removing it.
";
    let shown = shown("master.log", content);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].ends_with("app_id=app-20261121011825-0000 executor_id=1"), "{}", lines[1]);
    assert!(lines[2].ends_with("removing it."), "{}", lines[2]);
}

#[test]
fn to_speak_of_another_application_does_not_make_the_log_its_own() {
    let own = "app-20261121011825-0000";
    let content = format!(
        "26/11/21 01:18:25 INFO S: Connected to Spark cluster with app ID {own}
26/11/21 01:18:26 INFO A: reading logs/application_1795225394246_0001/stderr
26/11/21 01:18:27 INFO A: done
"
    );
    let shown = shown("driver.stderr", &content);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].ends_with("app_id=application_1795225394246_0001"), "{}", lines[1]);
    assert!(lines[2].ends_with(&format!("app_id={own}")), "{}", lines[2]);
}

#[test]
fn the_path_says_whose_log_it_is() {
    let shown = shown("/opt/work/app-20261121011825-0000/7/stderr", "26/11/21 01:16:54 INFO A: x\n");
    assert!(shown.ends_with("app_id=app-20261121011825-0000 executor_id=7"), "{shown}");
}
