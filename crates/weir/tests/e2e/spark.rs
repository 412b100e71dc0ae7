//! A real Spark with the configuration of `examples/spark`: its log events go by Kafka into tables.

use std::fs;
use std::process::Command;

use weir_kafka_broker::Cluster;

use crate::harness::{Place, python, repository, said, well};

/// The newest that `examples/spark` was tried with.
const SPARK: [&str; 1] = ["pyspark==4.3.0"];

/// An application that does some work, and fails at some.
const JOB: &str = r#"
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[1]").appName("shop-etl").config("spark.ui.enabled", "false").getOrCreate()
assert spark.range(1000).selectExpr("sum(id)").collect()[0][0] == 499500
try:
    spark.sparkContext.parallelize([1], 1).map(lambda number: number // 0).collect()
    raise SystemExit("it did not fail")
except Exception as error:
    assert "ZeroDivisionError" in str(error), error
spark.stop()
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "installs Spark, 400 MB: cargo xtask nightly spark"]
async fn log_events_of_a_real_spark_go_by_kafka_into_tables() {
    let kafka = Cluster::start(1).expect("a broker");
    let place = Place::new();
    let examples = repository().join("examples/spark");
    let mut topics = place.weir(&["kafka", "topics", "apply", "--brokers", kafka.bootstrap()]);
    well(&topics.arg(examples.join("topics.yaml")).output().unwrap());
    // As on a machine of a cluster: the three files in its configuration folder, the client where they say it is.
    let client = weir_kafka_broker::fetch().expect("the jars of Kafka").join("kafka-clients-4.3.1.jar");
    let read = |name: &str| fs::read_to_string(examples.join(name)).unwrap();
    place.write("conf/log4j2.properties", read("log4j2.properties"));
    place.write("conf/metrics.properties", read("metrics.properties").replace("period=10", "period=1"));
    let defaults = read("spark-defaults.conf");
    assert!(defaults.contains("/opt/weir/kafka-clients.jar"));
    place.write("conf/spark-defaults.conf", defaults.replace("/opt/weir/kafka-clients.jar", &client.to_string_lossy()));
    let mut job = Command::new(python("spark", &SPARK));
    job.arg(place.write("job.py", JOB)).current_dir(place.path("."));
    job.env("SPARK_CONF_DIR", place.path("conf")).env("KAFKA_BROKERS", kafka.bootstrap());
    let job = job.env("SPARK_LOG_KEY", "shop-etl").env("SPARK_LOCAL_IP", "127.0.0.1").output().unwrap();
    well(&job);

    let settings = [
        format!("sources.logs.kafka.brokers=[{:?}]", kafka.bootstrap()),
        format!("dead_letters.kafka.brokers=[{:?}]", kafka.bootstrap()),
        "sources.logs.kafka.follow=false".to_owned(),
    ];
    well(&place.run(&repository().join("examples/spark-kafka.yaml"), &settings));
    let events = place.number("SELECT count(*) FROM spark_logs");
    assert!(events > 50, "{events} events\n{}", said(&job));
    assert_eq!(kafka.ends("spark-logs-dlq").expect("said").iter().sum::<i64>(), 0, "every event can be read");
    assert_eq!(kafka.ends("spark-driver-logs").expect("said").iter().sum::<i64>(), events);
    let failed = "SELECT count(*) FROM spark_logs WHERE level = 'ERROR' AND stack LIKE '%ZeroDivisionError%'";
    assert!(place.number(failed) > 0, "the failure has its stack trace");
    assert!(
        place.number("SELECT count(*) FROM spark_logs WHERE logger LIKE '%TaskSetManager%' AND task_id IS NOT NULL")
            > 0
    );
    assert!(
        place.number("SELECT count(*) FROM spark_logs WHERE message LIKE '%shop-etl.driver%'") > 0,
        "its figures are events"
    );
    assert_eq!(place.number("SELECT count(*) FROM spark_logs WHERE ts IS NULL"), 0);
}
