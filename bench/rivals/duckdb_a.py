# Workload A with DuckDB: one batch query over the whole file.
import sys

import duckdb

source, result = sys.argv[1:3]
duckdb.sql("SET threads = 2")
duckdb.sql("SET TimeZone = 'UTC'")
columns = "{ts: 'TIMESTAMP', level: 'VARCHAR', service: 'VARCHAR', duration_ms: 'DOUBLE'}"
duckdb.sql(f"""
    COPY (
        SELECT epoch_ms(date_trunc('minute', ts)) AS window_start, service, level, count(*) AS count,
               sum(duration_ms) AS sum, avg(duration_ms) AS avg, min(duration_ms) AS min, max(duration_ms) AS max,
               quantile_cont(duration_ms, 0.95) AS p95
        FROM read_json('{source}', format = 'newline_delimited', columns = {columns})
        GROUP BY ALL ORDER BY ALL
    ) TO '{result}' (FORMAT json)
""")
