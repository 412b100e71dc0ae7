//! Stories of the fronts of lines.

use super::*;

/// `level | logger | thread | task | message` of a line, `-` where there is none.
fn read(line: &str) -> String {
    let show = |bytes: Option<&[u8]>| bytes.map_or("-".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned());
    match head(line.as_bytes()) {
        None => "no head".to_owned(),
        Some(head) => [
            head.level.unwrap_or("-").to_owned(),
            show(head.logger),
            show(head.thread),
            show(head.task),
            show(Some(head.message)),
        ]
        .join(" | "),
    }
}

#[test]
fn patterns_that_teams_use_are_recognised() {
    for (line, expected) in [
        ("26/11/21 01:18:22 INFO SparkContext: Running Spark", "INFO | SparkContext | - | - | Running Spark"),
        (
            "26/11/21 01:18:22 WARN  StandaloneAppClient$ClientEndpoint: x: y",
            "WARN | StandaloneAppClient$ClientEndpoint | - | - | x: y",
        ),
        ("26/11/21 01:18:22 INFO ResourceUtils: ====", "INFO | ResourceUtils | - | - | ===="),
        (
            "2026-11-21T02:37:28.195Z INFO  [Thread-4] [] org.apache.spark.SparkContext: Run",
            "INFO | org.apache.spark.SparkContext | Thread-4 | - | Run",
        ),
        (
            "2026-11-21T02:37:28.195Z INFO  [Executor task launch worker for task 1.0 in stage 2.0 (TID 3)] [task 1.0 in stage 2.0 (TID 3)] o.a.s.Executor: Run",
            "INFO | o.a.s.Executor | Executor task launch worker for task 1.0 in stage 2.0 (TID 3) | task 1.0 in stage 2.0 (TID 3) | Run",
        ),
        (
            "2026-11-21 02:37:28,195 [main] ERROR org.apache.spark.SparkContext - Error: x",
            "ERROR | org.apache.spark.SparkContext | main | - | Error: x",
        ),
        (
            "2026-11-21 02:37:28,195 ERROR [main] org.apache.spark.SparkContext - x",
            "ERROR | org.apache.spark.SparkContext | main | - | x",
        ),
        ("2026-11-21 02:37:28,195 INFO  SparkContext:54 - Running", "INFO | - | - | - | SparkContext:54 - Running"),
        (
            "2026-11-21 02:37:28.195  INFO 4711 --- [main] o.a.s.SparkContext : Running",
            "INFO | o.a.s.SparkContext | main | - | Running",
        ),
        ("2026-11-21 02:37:28,195 - my.job - WARNING - careful", "WARN | my.job | - | - | careful"),
        ("2026-11-21 02:37:28,195 - root - INFO - hello - world", "INFO | root | - | - | hello - world"),
        ("2026-11-21 02:37:28,195 INFO my_job - hello", "INFO | my_job | - | - | hello"),
        (
            "[2026-11-21 02:37:28,195] INFO started (kafka.server.KafkaServer)",
            "INFO | kafka.server.KafkaServer | - | - | started",
        ),
        ("[2026-11-21T02:37:28.195+0000] {job.py:12} INFO - hello", "INFO | - | job.py:12 | - | hello"),
        ("[INFO ] 2026-11-21 02:37:28 [main] SparkContext - hello", "INFO | SparkContext | main | - | hello"),
        ("INFO  2026-11-21 02:37:28,195 [main] a.b.C: hello", "INFO | a.b.C | main | - | hello"),
        ("ERROR: 2026-11-21 02:37:28,195 a.b.C: hello", "ERROR | a.b.C | - | - | hello"),
        ("2026-11-21 02:37:28 | INFO | main | a.b.C | hello", "INFO | main | - | - | a.b.C | hello"),
        (
            "26/11/21 01:18:22 INFO [stream execution thread for q [id = 1, runId = 2]] a.B: x",
            "INFO | a.B | stream execution thread for q [id = 1, runId = 2] | - | x",
        ),
        (
            "26/11/21 01:18:22 INFO RocksDB StateStoreProviderId[ storeId=S[ operatorId=0 ], queryRunId=6 ]: Set: x",
            "INFO | RocksDB StateStoreProviderId[ storeId=S[ operatorId=0 ], queryRunId=6 ] | - | - | Set: x",
        ),
        ("26/11/21 01:18:22 INFO a text without a logger", "INFO | - | - | - | a text without a logger"),
        ("26/11/21 01:18:22 INFO SparkContext:", "INFO | SparkContext | - | - | "),
        ("26/11/21 01:18:22 CUSTOM SparkContext: x", "- | - | - | - | CUSTOM SparkContext: x"),
        ("26/11/21 01:18:22 processed INFO rows", "- | - | - | - | processed INFO rows"),
    ] {
        assert_eq!(read(line), expected, "{line}");
    }
}

#[test]
fn lines_without_a_date_have_no_head() {
    for line in [
        "",
        "INFO: hello",
        "\tat a.B.c(D.java:1)",
        "[main] hello",
        "ERROR",
        "WARNING: Using incubator modules: x",
        "+- Range (0, 5)",
        "[",
        "é",
    ] {
        assert_eq!(read(line), "no head", "{line}");
    }
}
