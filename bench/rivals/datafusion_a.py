# Workload A with DataFusion: one batch query over the whole file.
import json
import sys

import pyarrow
from datafusion import SessionConfig, SessionContext

source, result = sys.argv[1:3]
context = SessionContext(SessionConfig().with_target_partitions(2))
fields = [("ts", pyarrow.string()), ("level", pyarrow.string()), ("service", pyarrow.string()),
          ("duration_ms", pyarrow.float64())]
context.register_json("logs", source, schema=pyarrow.schema(fields), file_extension=".ndjson")
rows = context.sql("""
    SELECT date_trunc('minute', to_timestamp(ts)) AS window_start, service, level, count(*) AS count,
           sum(duration_ms) AS sum, avg(duration_ms) AS avg, min(duration_ms) AS min, max(duration_ms) AS max,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95
    FROM logs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
with open(result, "w") as out:
    for batch in rows.collect():
        for row in batch.to_pylist():
            row["window_start"] = row["window_start"].strftime("%Y-%m-%dT%H:%M:%SZ")
            out.write(json.dumps(row) + "\n")
