# Workload A with Spark Structured Streaming: the file in micro-batches, append mode, checkpoints on.
import glob
import sys

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

folder, result, checkpoints = sys.argv[1:4]
spark = (SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
         .config("spark.sql.shuffle.partitions", "2").config("spark.sql.session.timeZone", "UTC").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")
logs = (spark.readStream.schema("ts TIMESTAMP, level STRING, service STRING, duration_ms DOUBLE")
        .option("maxFilesPerTrigger", 1).json(folder))
value = f.col("duration_ms")
answer = (logs.withWatermark("ts", "10 seconds").groupBy(f.window("ts", "1 minute"), "service", "level")
          .agg(f.count("*").alias("count"), f.sum(value).alias("sum"), f.avg(value).alias("avg"),
               f.min(value).alias("min"), f.max(value).alias("max"),
               f.percentile_approx(value, 0.95).alias("p95"))
          .select(f.unix_millis("window.start").alias("window_start"), "service", "level", "count", "sum", "avg", "min",
                  "max", "p95"))
out = result + ".parts"
query = (answer.writeStream.format("json").outputMode("append").option("path", out)
         .option("checkpointLocation", checkpoints).trigger(availableNow=True).start())
query.awaitTermination()
spark.stop()
with open(result, "w") as whole:
    for part in sorted(glob.glob(out + "/*.json")):
        with open(part) as piece:
            whole.write(piece.read())
