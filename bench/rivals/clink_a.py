# Workload A with clink: streaming SQL in one process. It takes event time only as a number, so its file has `ts` in
# milliseconds; that is a little less work than reading the text.
import sys

import pyclink

source, result, checkpoints = sys.argv[1:4]
with pyclink.Engine(parallelism=1, checkpoint_dir=checkpoints, checkpoint_interval_ms=10_000, fresh=True) as engine:
    engine.execute(f"""
        CREATE TABLE logs (ts BIGINT, level VARCHAR, service VARCHAR, duration_ms DOUBLE)
          WITH (connector='file', format='json', path='{source}', event_time_column='ts', watermark_lag_ms='10000');
        CREATE TABLE result (window_start BIGINT, service VARCHAR, level VARCHAR, count BIGINT, sum DOUBLE, avg DOUBLE,
                             min DOUBLE, max DOUBLE, p95 DOUBLE)
          WITH (connector='file', format='json', path='{result}');
        INSERT INTO result
          SELECT window_start, service, level, COUNT(*) AS count, SUM(duration_ms) AS sum, AVG(duration_ms) AS avg,
                 MIN(duration_ms) AS min, MAX(duration_ms) AS max, APPROX_PERCENTILE(duration_ms, 0.95) AS p95
          FROM logs GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE), service, level
    """)
    engine.await_all()
