# Workload D: takes all rows of a file into a table on disk, then asks the questions.
#
#   store.py ask ENGINE SOURCE FOLDER QUESTIONS RUNS WEIR PIPELINE   ->  one JSON object on standard output
#   store.py table ROWS RESULT...                                    ->  what these objects say, side by side
#
# QUESTIONS is a JSON object of SQL texts by name, with {minute} where the time is cut to minutes and {p95} where the 95th
# percentile of duration_ms is meant. How an engine is timed is in asked.py.
import json
import os
import sys

sys.dont_write_bytecode = True
import asked  # noqa: E402


class Weir(asked.Beside):
    words = {
        "minute": "date_trunc('minute', ts)",
        "p95": "approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)",
    }

    def load(self):
        self.run(pipeline, "--set", f"sources.logs.file.paths={json.dumps([source])}")


class Duckdb(asked.Here):
    words = {"minute": "date_trunc('minute', ts)", "p95": "approx_quantile(duration_ms, 0.95)"}

    def __init__(self):
        import duckdb

        super().__init__(folder)
        self.connection = duckdb.connect(os.path.join(folder, "logs.duckdb"))
        self.connection.execute("SET threads = 2")
        self.connection.execute("SET TimeZone = 'UTC'")

    def load(self):
        columns = """{ts: 'TIMESTAMP', level: 'VARCHAR', service: 'VARCHAR', host: 'VARCHAR', app_id: 'VARCHAR',
            executor_id: 'VARCHAR', message: 'VARCHAR', duration_ms: 'DOUBLE', status: 'BIGINT',
            tags: 'STRUCT(env VARCHAR, region VARCHAR, team VARCHAR, v VARCHAR)'}"""
        self.connection.execute(
            f"CREATE TABLE logs AS SELECT * FROM read_json('{source}', format = 'newline_delimited', columns = {columns})"
        )
        self.connection.execute("CHECKPOINT")

    def ask(self, sql):
        return self.connection.execute(sql).fetchall()


class Chdb(asked.Here):
    words = {"minute": "toStartOfMinute(ts)", "p95": "quantileTDigest(0.95)(duration_ms)"}

    def __init__(self):
        from chdb import session

        super().__init__(folder)
        self.session = session.Session(folder)
        self.session.query("CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
        self.session.query("SET max_threads = 2")
        self.session.query("USE d")

    def load(self):
        self.session.query("""
            CREATE TABLE d.logs (ts DateTime64(3, 'UTC') CODEC(Delta(8), ZSTD(1)), level LowCardinality(String),
                service LowCardinality(String), host LowCardinality(String), app_id LowCardinality(String),
                executor_id LowCardinality(String), message String CODEC(ZSTD(3)), duration_ms Float64 CODEC(ZSTD(1)),
                status UInt16, tags Tuple(env LowCardinality(String), region LowCardinality(String),
                team LowCardinality(String), v LowCardinality(String)))
            ENGINE = MergeTree ORDER BY (toStartOfFiveMinutes(ts), service, ts)""")
        self.session.query(f"""
            INSERT INTO d.logs SELECT * FROM file('{source}', 'JSONEachRow', 'ts DateTime64(3, ''UTC''), level String,
                service String, host String, app_id String, executor_id String, message String, duration_ms Float64,
                status UInt16, tags Tuple(env String, region String, team String, v String)')
            SETTINGS date_time_input_format = 'best_effort', max_insert_threads = 2""")
        self.session.query("OPTIMIZE TABLE d.logs FINAL")

    def ask(self, sql):
        answer = self.session.query(sql.replace("FROM logs", "FROM d.logs"), "JSONCompactEachRow").bytes()
        return [json.loads(line) for line in answer.splitlines()]


class Datafusion(asked.Here):
    words = {
        "minute": "date_trunc('minute', ts)",
        "p95": "approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)",
    }

    def __init__(self):
        from datafusion import SessionConfig, SessionContext

        super().__init__(folder)
        config = SessionConfig().with_target_partitions(2)
        self.context = SessionContext(config.set("datafusion.execution.parquet.pushdown_filters", "true"))

    def load(self):
        import pyarrow

        text = ["level", "service", "host", "app_id", "executor_id", "message"]
        tags = pyarrow.struct([(name, pyarrow.string()) for name in ["env", "region", "team", "v"]])
        fields = [("ts", pyarrow.string())] + [(name, pyarrow.string()) for name in text]
        fields += [("duration_ms", pyarrow.float64()), ("status", pyarrow.int64()), ("tags", tags)]
        self.context.register_json("raw", source, schema=pyarrow.schema(fields), file_extension=".ndjson")
        columns = ", ".join(text + ["duration_ms", "status", "tags"])
        rows = self.context.sql(f"SELECT to_timestamp_millis(ts) AS ts, {columns} FROM raw")
        rows.write_parquet(os.path.join(folder, "logs"), compression="zstd", compression_level=3)

    def ask(self, sql):
        if not self.context.table_exist("logs"):
            self.context.register_parquet("logs", os.path.join(folder, "logs"))
        return [tuple(row.values()) for batch in self.context.sql(sql).collect() for row in batch.to_pylist()]


def plain(text):
    """A time as every engine writes it; other texts as they are."""
    if len(text) < 19 or text[4:8:3] != "--":
        return text
    text = text.replace("T", " ").rstrip("Z").split("+")[0]
    return (text if "." in text else text + ".").ljust(23, "0")[:23]


def alike(one, other):
    """Whether two answers say the same: numbers within 2%, as percentiles are estimates; times to the millisecond."""
    if len(one) != len(other):
        return False
    for left, right in zip(one, other):
        if len(left) != len(right):
            return False
        for a, b in zip(left, right):
            if plain(a) == plain(b):
                continue
            try:
                if abs(float(a) - float(b)) > 0.02 * max(abs(float(a)), 1e-9):
                    return False
            except ValueError:
                return False
    return True


def verdict(first):
    def remark(question, result):
        ours, theirs = first["questions"][question]["rows"], result["questions"][question]["rows"]
        # Engines write objects differently, and rows of one moment are in no order: whole rows go by their times.
        if question == "q4":
            ours, theirs = [row[:1] for row in ours], [row[:1] for row in theirs]
        return "" if alike(ours, theirs) else " DIFFERS"

    return remark


if sys.argv[1] == "table":
    results = asked.read(sys.argv[3:])
    asked.table(int(sys.argv[2]), results, verdict(results[0]))
else:
    name, source, folder, questions, runs, weir, pipeline = sys.argv[2:9]
    with open(questions) as file:
        texts = json.load(file)
    engines = {"weir": Weir, "duckdb": Duckdb, "chdb": Chdb, "datafusion": Datafusion}
    engine = Weir(folder, weir) if name == "weir" else engines[name]()
    asked.ask(name, engine, texts, int(runs), str)
