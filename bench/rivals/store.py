# Workload D: takes all rows of a file into a table on disk, then asks the questions.
#
#   store.py ask ENGINE SOURCE FOLDER QUESTIONS RUNS WEIR PIPELINE   ->  one JSON object on standard output
#   store.py table ROWS RESULT...                                    ->  what these objects say, side by side
#
# QUESTIONS is a JSON object of SQL texts by name, with {minute} where the time is cut to minutes and {p95} where the 95th
# percentile of duration_ms is meant. CPU times are of the engine with all its threads: this process, or that of Weir. Each
# question is asked once (cold: nothing of the engine's own is in memory, the files are), then again and again.
import json
import os
import resource
import subprocess
import sys
import time
import urllib.request

# Warm runs go on for so long, so that the clock of a process that is not ours is fine enough.
WARM_SECONDS = 1.0
WARM_RUNS_MAX = 60


class Here:
    """An engine that runs in this process."""

    def cpu(self):
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def close(self):
        pass


class Weir:
    words = {
        "minute": "date_trunc('minute', ts)",
        "p95": "approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)",
    }
    server = None

    def __init__(self):
        self.data = os.path.join(folder, "data")

    def cpu(self):
        if self.server is None:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime
        with open(f"/proc/{self.server.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def load(self):
        paths = f"sources.logs.file.paths={json.dumps([source])}"
        subprocess.run([weir, "run", "--quiet", pipeline, "--data", self.data, "--set", paths, "--set", "epoch=10s"],
                       check=True, stdout=subprocess.DEVNULL)

    def start(self):
        command = [weir, "up", "--listen", "127.0.0.1:0", "--log", "error", "--data", self.data]
        self.server = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        line = next(line for line in self.server.stderr if "http://" in line)
        self.address = "http://" + line.split("http://")[1].split()[0].rstrip("/")
        # Small segments are merged meanwhile; what that takes is part of no question.
        before, quiet = None, 0
        while quiet < 12:
            now = self.ask("SHOW TABLES")
            quiet = quiet + 1 if now == before else 0
            before = now
            time.sleep(1)

    def ask(self, sql):
        body = json.dumps({"sql": sql}).encode()
        request = urllib.request.Request(self.address + "/api/v1/sql?format=ndjson", body,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return [tuple(json.loads(line).values()) for line in answer]

    def close(self):
        self.server.terminate()
        self.server.wait()


class Duckdb(Here):
    words = {"minute": "date_trunc('minute', ts)", "p95": "approx_quantile(duration_ms, 0.95)"}

    def __init__(self):
        import duckdb

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


class Chdb(Here):
    words = {"minute": "toStartOfMinute(ts)", "p95": "quantileTDigest(0.95)(duration_ms)"}

    def __init__(self):
        from chdb import session

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


class Datafusion(Here):
    words = {
        "minute": "date_trunc('minute', ts)",
        "p95": "approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms)",
    }

    def __init__(self):
        from datafusion import SessionConfig, SessionContext

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


def size(path):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


def ask():
    engine = {"weir": Weir, "duckdb": Duckdb, "chdb": Chdb, "datafusion": Datafusion}[name]()
    before, began = engine.cpu(), time.monotonic()
    engine.load()
    result = {"name": name, "load_cpu": engine.cpu() - before, "load_wall": time.monotonic() - began, "questions": {}}
    result["bytes"] = size(os.path.join(folder, "data", "tables") if name == "weir" else folder)
    if name == "weir":
        engine.start()
        result["bytes"] = size(os.path.join(folder, "data", "tables"))
    with open(questions) as file:
        texts = json.load(file)
    for question, text in texts.items():
        for word, meaning in engine.words.items():
            text = text.replace("{" + word + "}", meaning)
        before, began = engine.cpu(), time.monotonic()
        rows = engine.ask(text)
        cold = {"cold_cpu": 1e3 * (engine.cpu() - before), "cold_wall": 1e3 * (time.monotonic() - began)}
        before, began, walls = engine.cpu(), time.monotonic(), []
        while len(walls) < runs or (time.monotonic() - began < WARM_SECONDS and len(walls) < WARM_RUNS_MAX):
            asked = time.monotonic()
            rows = engine.ask(text)
            walls.append(1e3 * (time.monotonic() - asked))
        warm = {"warm_cpu": 1e3 * (engine.cpu() - before) / len(walls), "warm_wall": min(walls)}
        rows = [[str(value) for value in row] for row in rows]
        result["questions"][question] = {"sql": text, **cold, **warm, "rows": rows}
    engine.close()
    print(json.dumps(result))


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


def table():
    rows, results = int(sys.argv[2]), []
    for path in sys.argv[3:]:
        with open(path) as file:
            results.append(json.load(file))
    print("| | " + " | ".join(result["name"] for result in results) + " |")
    print("|---" * (len(results) + 1) + "|")

    def line(what, cell):
        print(f"| {what} | " + " | ".join(cell(result) for result in results) + " |")

    line("taken in, CPU-s per million rows", lambda result: f"{result['load_cpu'] / rows * 1e6:.2f}")
    line("on disk, bytes per row", lambda result: f"{result['bytes'] / rows:.1f}")
    first = results[0]["questions"]
    for question in first:
        def cell(result):
            cost = result["questions"][question]
            # Engines write objects differently, and rows of one moment are in no order: whole rows go by their times.
            ours, theirs = first[question]["rows"], cost["rows"]
            if question == "q4":
                ours, theirs = [row[:1] for row in ours], [row[:1] for row in theirs]
            verdict = "" if alike(ours, theirs) else " DIFFERS"
            return f"{cost['warm_cpu']:.1f} ({cost['cold_cpu']:.0f}), {cost['warm_wall']:.1f}{verdict}"

        line(f"{question}: CPU ms warm (cold), wall ms", cell)


if sys.argv[1] == "table":
    table()
else:
    name, source, folder, questions, runs, weir, pipeline = sys.argv[2:9]
    runs = int(runs)
    ask()
