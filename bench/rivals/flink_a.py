# Workload A with Flink SQL: a local mini-cluster of one slot, checkpoints every 10 s.
import glob
import os
import sys

from pyflink.table import EnvironmentSettings, TableEnvironment

source, result, checkpoints = sys.argv[1:4]
table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
for key, value in {
    "parallelism.default": "1", "table.local-time-zone": "UTC", "execution.checkpointing.interval": "10 s",
    "execution.checkpointing.dir": "file://" + checkpoints,
}.items():
    table.get_config().set(key, value)
table.execute_sql(f"""
    CREATE TABLE logs (
        ts TIMESTAMP_LTZ(3), level STRING, service STRING, duration_ms DOUBLE,
        WATERMARK FOR ts AS ts - INTERVAL '10' SECOND
    ) WITH ('connector' = 'filesystem', 'path' = 'file://{source}', 'format' = 'json',
            'json.timestamp-format.standard' = 'ISO-8601')
""")
out = result + ".parts"
table.execute_sql(f"""
    CREATE TABLE answers (
        window_start TIMESTAMP(3), service STRING, level STRING, `count` BIGINT, `sum` DOUBLE, `avg` DOUBLE, `min` DOUBLE,
        `max` DOUBLE, p95 DOUBLE
    ) WITH ('connector' = 'filesystem', 'path' = 'file://{out}', 'format' = 'json',
            'json.timestamp-format.standard' = 'ISO-8601')
""")
table.execute_sql("""
    INSERT INTO answers
    SELECT window_start, service, level, COUNT(*), SUM(duration_ms), AVG(duration_ms), MIN(duration_ms), MAX(duration_ms),
           PERCENTILE(duration_ms, 0.95)
    FROM TABLE(TUMBLE(TABLE logs, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, service, level
""").wait()
with open(result, "w") as whole:
    for part in sorted(glob.glob(out + "/**/*", recursive=True)):
        if os.path.isfile(part):
            with open(part) as piece:
                whole.write(piece.read())
