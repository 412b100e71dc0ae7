//! Stories of what is in an event.

use expect_test::expect;
use weir_model::{FieldKind, WantedField};

use super::*;
use crate::spark::schema;

#[test]
fn classic_lines_with_their_stack_traces() {
    let content = r#"Spark Executor Command: "/usr/bin/java" "--executor-id" "1" "--hostname" "10.0.0.3" "--cores" "1" "--app-id" "app-20261121011825-0000"
========================================

WARNING: Using incubator modules: jdk.incubator.vector
26/11/21 01:18:33 INFO CoarseGrainedExecutorBackend: Started daemon with process name: 21658@vm
26/11/21 01:21:16 ERROR Executor: Exception in task 3.0 in stage 21.0 (TID 82)
org.apache.spark.api.python.PythonException: [PYTHON_EXCEPTION] An exception was thrown: Traceback (most recent call last):
  File "/opt/jobs/etl.py", line 40, in flaky
ValueError: transient
 SQLSTATE: 38000
	at org.apache.spark.scheduler.Task.run(Task.scala:147)
26/11/21 01:21:17 INFO Executor: Finished task 1.0 in stage 21.0 (TID 80). 1234 bytes result sent to driver
"#;
    expect![[r#"
        ts=2026-11-21T01:18:33Z message=Spark Executor Command: \"/usr/bin/java\" \"--executor-id\" \"1\" \"--hostname\" \"10.0.0.3\" \"--cores\" \"1\" \"--app-id\" \"app-20261121011825-0000\" app_id=app-20261121011825-0000 executor_id=1 host=10.0.0.3
        ts=2026-11-21T01:18:33Z message========================================= app_id=app-20261121011825-0000 executor_id=1 host=10.0.0.3
        ts=2026-11-21T01:18:33Z message=WARNING: Using incubator modules: jdk.incubator.vector app_id=app-20261121011825-0000 executor_id=1 host=10.0.0.3
        ts=2026-11-21T01:18:33Z level=INFO logger=CoarseGrainedExecutorBackend message=Started daemon with process name: 21658@vm app_id=app-20261121011825-0000 executor_id=1 host=10.0.0.3
        ts=2026-11-21T01:21:16Z level=ERROR logger=Executor message=Exception in task 3.0 in stage 21.0 (TID 82) exception_class=org.apache.spark.api.python.PythonException stack=org.apache.spark.api.python.PythonException: [PYTHON_EXCEPTION] An exception was thrown: Traceback (most recent call last):\n  File \"/opt/jobs/etl.py\", line 40, in flaky\nValueError: transient\n SQLSTATE: 38000\n\tat org.apache.spark.scheduler.Task.run(Task.scala:147) app_id=app-20261121011825-0000 executor_id=1 stage_id=21 task_id=82 host=10.0.0.3
        ts=2026-11-21T01:21:17Z level=INFO logger=Executor message=Finished task 1.0 in stage 21.0 (TID 80). 1234 bytes result sent to driver app_id=app-20261121011825-0000 executor_id=1 stage_id=21 task_id=80 host=10.0.0.3"#]]
    .assert_eq(&shown("work/stderr", content));
}

#[test]
fn the_driver_speaks_of_its_executors() {
    let content = "26/11/21 01:18:25 INFO StandaloneSchedulerBackend: Connected to Spark cluster with app ID app-20261121011825-0000
26/11/21 01:21:16 WARN TaskSetManager: Lost task 3.0 in stage 21.0 (TID 82) (10.0.0.3 executor 1): java.lang.OutOfMemoryError: heap
\tat a.B.c(D.java:1)
26/11/21 01:22:05 ERROR TaskSchedulerImpl: Lost executor 1 on 10.0.0.3: Command exited with code 137
26/11/21 01:22:06 INFO SparkContext: Successfully stopped SparkContext
";
    expect![[r#"
        ts=2026-11-21T01:18:25Z level=INFO logger=StandaloneSchedulerBackend message=Connected to Spark cluster with app ID app-20261121011825-0000 app_id=app-20261121011825-0000
        ts=2026-11-21T01:21:16Z level=WARN logger=TaskSetManager message=Lost task 3.0 in stage 21.0 (TID 82) (10.0.0.3 executor 1): java.lang.OutOfMemoryError: heap exception_class=java.lang.OutOfMemoryError stack=\tat a.B.c(D.java:1) app_id=app-20261121011825-0000 executor_id=1 stage_id=21 task_id=82 host=10.0.0.3
        ts=2026-11-21T01:22:05Z level=ERROR logger=TaskSchedulerImpl message=Lost executor 1 on 10.0.0.3: Command exited with code 137 app_id=app-20261121011825-0000 executor_id=1 host=10.0.0.3
        ts=2026-11-21T01:22:06Z level=INFO logger=SparkContext message=Successfully stopped SparkContext app_id=app-20261121011825-0000"#]]
    .assert_eq(&shown("driver.stderr", content));
}

#[test]
fn structured_json() {
    let content = r#"{"ts":"2026-11-21T02:24:58.523Z","level":"WARN","msg":"Lost task 3.0 in stage 21.0 (TID 81) (10.0.0.3 executor 0): a.b.CException: x\n\tat a.B.c(D.java:1)","context":{"STAGE_ID":"21","task_name":"task 3.0 in stage 21.0 (TID 81)","host":"10.0.0.3","executor_id":"0","error":"x"},"logger":"TaskSetManager"}
{"ts":"2026-11-21T02:24:59.000Z","level":"ERROR","msg":"Exception in task","context":{"task_name":"task 3.0 in stage 21.0 (TID 81)"},"exception":{"class":"org.apache.spark.SparkException","msg":"[X] y","stacktrace":[{"class":"a.B","method":"c","file":"D.java","line":"1"},{"class":"sun.N","method":"invoke0","file":"N.java","line":"-2"},{"class":null,"method":"deco","file":"/x.py","line":"256"}]},"logger":"Executor"}
{"ts":"2026-11-21T02:25:00Z","level":"INFO","msg":"Executor added: app-20261121021615-0002/0 on worker","context":{"executor_id":"app-20261121021615-0002/0","host_port":"10.0.0.3:1"},"logger":"C"}
{"ts": "2026-11-21 02:25:01.132", "level": "WARNING", "logger": "PyLogger", "msg": "caf\u00e9", "context": {"stage_id": 7}}
printed by the program
"#;
    expect![[r#"
        ts=2026-11-21T02:24:58.523Z level=WARN logger=TaskSetManager message=Lost task 3.0 in stage 21.0 (TID 81) (10.0.0.3 executor 0): a.b.CException: x exception_class=a.b.CException stack=\tat a.B.c(D.java:1) executor_id=0 stage_id=21 task_id=81 host=10.0.0.3
        ts=2026-11-21T02:24:59Z level=ERROR logger=Executor message=Exception in task exception_class=org.apache.spark.SparkException stack=org.apache.spark.SparkException: [X] y\n\tat a.B.c(D.java:1)\n\tat sun.N.invoke0(Native Method)\n\tat deco(/x.py:256) stage_id=21 task_id=81
        ts=2026-11-21T02:25:00Z level=INFO logger=C message=Executor added: app-20261121021615-0002/0 on worker app_id=app-20261121021615-0002 executor_id=0
        ts=2026-11-21T02:25:01.132Z level=WARN logger=PyLogger message=café app_id=app-20261121021615-0002 stage_id=7
        ts=2026-11-21T02:25:01.132Z message=printed by the program app_id=app-20261121021615-0002"#]]
    .assert_eq(&shown("driver.stderr", content));
}

#[test]
fn json_of_other_layouts_of_log4j() {
    let content = r#"{"@timestamp":"2026-11-21T02:00:00.000Z","ecs.version":"1.2.0","log.level":"ERROR","message":"m","process.thread.name":"main","log.logger":"a.B"}
{"@version":1,"message":"m","thread_name":"Executor task launch worker for task 1.0 in stage 2.0 (TID 3)","@timestamp":"2026-11-21T02:00:00Z","level":"INFO","logger_name":"a.B"}
{"timestamp":1795226400000,"severity":"warning","message":"m","thrown":{"name":"a.BException","message":"x","extendedStackTrace":"a.BException: x\n\tat y"}}
"#;
    expect![[r#"
        ts=2026-11-21T02:00:00Z level=ERROR logger=a.B thread=main message=m
        ts=2026-11-21T02:00:00Z level=INFO logger=a.B thread=Executor task launch worker for task 1.0 in stage 2.0 (TID 3) message=m stage_id=2 task_id=3
        ts=2026-11-21T02:00:00Z level=WARN message=m exception_class=a.BException stack=a.BException: x\n\tat y"#]]
    .assert_eq(&shown("x.log", content));
}

#[test]
fn a_traceback_is_one_error() {
    let content = "loading\nTraceback (most recent call last):\n  File \"a.py\", line 12, in <module>\npyspark.errors.PythonException: thrown:\nTraceback (most recent call last):\n  File \"a.py\", line 9\nValueError: bad\nafter: 60\n";
    expect![[r#"
        ts=1970-01-01T00:00:01Z message=loading
        ts=1970-01-01T00:00:01Z level=ERROR message=pyspark.errors.PythonException: thrown: exception_class=pyspark.errors.PythonException stack=Traceback (most recent call last):\n  File \"a.py\", line 12, in <module>\npyspark.errors.PythonException: thrown:\nTraceback (most recent call last):\n  File \"a.py\", line 9\nValueError: bad
        ts=1970-01-01T00:00:01Z message=after: 60"#]]
    .assert_eq(&shown("driver.stdout", content));
}

#[test]
fn container_logs_are_unwrapped_and_their_pieces_joined() {
    let content = "2026-11-21T02:15:37.5Z stdout F starting
2026-11-21T02:15:38.7Z stderr P {\"ts\":\"2026-11-21T02:15:38.785Z\",\"level\":\"INFO\",
2026-11-21T02:15:38.7Z stderr F \"msg\":\"joined\",\"logger\":\"A\"}
2026-11-21T02:15:39.7Z stderr F 26/11/21 02:15:39 ERROR B: failed
2026-11-21T02:15:39.7Z stderr F java.lang.IllegalStateException: x
";
    expect![[r#"
        ts=2026-11-21T02:15:38.785Z message=starting executor_id=3
        ts=2026-11-21T02:15:38.785Z level=INFO logger=A message=joined executor_id=3
        ts=2026-11-21T02:15:39Z level=ERROR logger=B message=failed exception_class=java.lang.IllegalStateException stack=java.lang.IllegalStateException: x executor_id=3"#]]
    .assert_eq(&shown("/var/log/pods/ns_job-exec-3_uid/spark-kubernetes-executor/0.log", content));
    // where nothing else has a date, the container log has
    assert_eq!(shown("0.log", "2026-11-21T02:15:37.5Z stdout F alone\n"), "ts=2026-11-21T02:15:37.5Z message=alone");
}

#[test]
fn json_that_is_torn_is_kept_as_text() {
    let content = "{\"ts\":\"2026-11-21T02:00:00Z\",\"level\":\"INFO\",\"msg\":\"whole\"}\n{\"ts\":\"2026-11-21T02:00:01Z\",\"lev\nend\"}\n";
    let shown = shown("x.log", content);
    assert_eq!(shown.lines().count(), 3);
    assert!(
        shown.contains("ts=2026-11-21T02:00:00Z message={\\\"ts\\\":\\\"2026-11-21T02:00:01Z\\\",\\\"lev"),
        "{shown}"
    );
}

#[test]
fn bad_records_are_rejected_and_the_others_are_not() {
    let mut raw =
        raw_of("x", "26/11/21 01:18:22 INFO A: one\n26/11/21 01:18:23 INFO A: ?\n26/11/21 01:18:24 INFO A: three\n", 0);
    let mut bytes = raw.bytes.to_vec();
    let at = bytes.iter().position(|b| *b == b'?').expect("a mark");
    bytes[at] = 0xFF;
    raw.bytes = bytes.into();
    raw.records[2].original_bytes = 5_000_000;
    let decoded = decoder().decode(&raw);
    assert_eq!(decoded.batches[0].rows(), 1);
    assert_eq!(decoded.rejected[0].reason, "not valid UTF-8 at byte 26 (0xff); expected UTF-8");
    assert!(decoded.rejected[1].reason.starts_with("record of 5000000 bytes is longer than max_record_bytes"));
}

#[test]
fn without_any_time_a_record_is_rejected() {
    let mut raw = raw_of("x", "printed\n", 0);
    raw.fallback_time = None;
    assert_eq!(decoder().decode(&raw).rejected.len(), 1);
    let wanted =
        Wanted { time_field: None, not_before: EventTime::from_micros(0), fields: Fields::All, declared: Vec::new() };
    let mut untimed = SparkDecoder::new(&SparkLogConfig::default(), &wanted).expect("a valid plan");
    assert!(untimed.decode(&raw).batches[0].columns.column(0).is_null(0));
}

#[test]
fn old_records_are_rejected_and_far_ones_pass() {
    let wanted = Wanted {
        declared: Vec::new(),
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(631_152_000_000_000),
        fields: Fields::All,
    };
    let mut decoder = SparkDecoder::new(&SparkLogConfig::default(), &wanted).expect("a valid plan");
    let decoded = decoder.decode(&raw_of("x", "1970-01-01 00:00:00 INFO A: x\n9999-12-31 23:59:59 INFO A: y\n", 0));
    assert_eq!(
        decoded.rejected[0].reason,
        "time field \"ts\" is 1970-01-01T00:00:00Z, which is before not_before 1990-01-01T00:00:00Z"
    );
    assert_eq!(decoded.batches[0].rows(), 1);
}

#[test]
fn a_plan_gets_the_columns_it_wants() {
    let field = |name: &str, kind| WantedField { name: name.into(), kind };
    let these = vec![
        field("executor_id", FieldKind::Key),
        field("ts", FieldKind::Value(schema().field(0).data_type().clone())),
        field("stage_id", FieldKind::Key),
    ];
    let wanted = |these| Wanted {
        declared: Vec::new(),
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(0),
        fields: Fields::These(these),
    };
    let mut some = SparkDecoder::new(&SparkLogConfig::default(), &wanted(these)).expect("a valid plan");
    let decoded = some.decode(&raw_of("x", "26/11/21 01:18:22 INFO E: Running task 0.0 in stage 4.0 (TID 1)\n", 0));
    let columns = &decoded.batches[0].columns;
    assert_eq!(columns.num_columns(), 3);
    assert_eq!(columns.schema().field(0).name(), "executor_id");
    assert!(columns.column(0).is_null(0) && !columns.column(2).is_null(0));
    let error = SparkDecoder::new(&SparkLogConfig::default(), &wanted(vec![field("lvl", FieldKind::Key)]))
        .expect_err("refused");
    assert!(
        error.message.starts_with("a spark_log has no field \"lvl\"; its fields are ts, level,"),
        "{}",
        error.message
    );
}

#[test]
fn lines_that_carry_no_zone_are_in_the_configured_one() {
    let config = SparkLogConfig { zone: "+02:00".parse().expect("valid") };
    let wanted = Wanted {
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(0),
        fields: Fields::All,
        declared: Vec::new(),
    };
    let mut decoder = SparkDecoder::new(&config, &wanted).expect("a valid plan");
    let content = "26/11/21 01:18:22 INFO A: x\n{\"ts\": \"2026-11-21 01:18:22.000\", \"msg\": \"y\"}\n{\"ts\":\"2026-11-21T01:18:22Z\",\"msg\":\"z\"}\n";
    let decoded = decoder.decode(&raw_of("x", content, 0));
    let times: Vec<String> = (0..3).map(|row| decoded.batches[0].time(row).to_string()).collect();
    assert_eq!(times, ["2026-11-20T23:18:22Z", "2026-11-20T23:18:22Z", "2026-11-21T01:18:22Z"]);
}
