# Nested events in the shape of JSONBench's: takes a file in, then asks the five questions.
#
#   jsonbench.py ask ENGINE SOURCE FOLDER RUNS WEIR   ->  one JSON object on standard output
#   jsonbench.py table ROWS RESULT...                 ->  what these objects say, side by side; fails when answers differ
#
# As JSONBench has it: documents are stored as documents (a column of JSON in the others, what it does of itself in Weir), sort
# keys are allowed. CPU times are of the engine with all its threads. Each question is asked once (cold), then again and again.
import json
import os
import resource
import subprocess
import sys
import time
import urllib.request

WARM_SECONDS = 1.0
WARM_RUNS_MAX = 60

PIPELINE = """
name: events
sources:
  events: { file: { paths: [%s], follow: false }, format: json }
time: { field: time_us, watermark: { bounded: { delay: 10s } } }
outputs:
  - table: bluesky
"""
CREATED = "kind = 'commit' AND {operation} = 'create'"
POSTS = CREATED + " AND {collection} = 'app.bsky.feed.post'"
QUESTIONS = {
    "q1": "SELECT {collection} AS event, count(*) AS n FROM bluesky GROUP BY 1 ORDER BY n DESC, event",
    "q2": "SELECT {collection} AS event, count(*) AS n, count(DISTINCT {did}) AS users FROM bluesky WHERE " + CREATED +
          " GROUP BY 1 ORDER BY n DESC, event",
    "q3": "SELECT {collection} AS event, {hour} AS hour_of_day, count(*) AS n FROM bluesky WHERE " + CREATED + " AND "
          "{collection} IN ('app.bsky.feed.post', 'app.bsky.feed.repost', 'app.bsky.feed.like') GROUP BY 1, 2 ORDER BY 2, 1",
    "q4": "SELECT {did} AS user_id, min({time}) AS first_post FROM bluesky WHERE " + POSTS +
          " GROUP BY 1 ORDER BY first_post, user_id LIMIT 3",
    "q5": "SELECT {did} AS user_id, max({time}) - min({time}) AS span FROM bluesky WHERE " + POSTS +
          " GROUP BY 1 ORDER BY span DESC, user_id LIMIT 3",
}


class Here:
    def cpu(self):
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def close(self):
        pass


class Weir:
    words = {
        "collection": "\"commit\"['collection']",
        "operation": "\"commit\"['operation']",
        "did": "did",
        "hour": "date_part('hour', time_us)",
        "time": "CAST(time_us AS BIGINT)",
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
        pipeline = os.path.join(folder, "events.yaml")
        with open(pipeline, "w") as file:
            file.write(PIPELINE % json.dumps(source))
        subprocess.run([weir, "run", "--quiet", pipeline, "--data", self.data, "--set", "epoch=10s"], check=True,
                       stdout=subprocess.DEVNULL)

    def start(self):
        command = [weir, "up", "--listen", "127.0.0.1:0", "--log", "error", "--data", self.data]
        self.server = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        line = next(line for line in self.server.stderr if "http://" in line)
        self.address = "http://" + line.split("http://")[1].split()[0].rstrip("/")
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
        try:
            with urllib.request.urlopen(request) as answer:
                return [tuple(json.loads(line).values()) for line in answer]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{sql}: {error.read().decode()}") from error

    def close(self):
        self.server.terminate()
        self.server.wait()


class Duckdb(Here):
    words = {
        "collection": "(j->>'$.commit.collection')",
        "operation": "(j->>'$.commit.operation')",
        "did": "(j->>'$.did')",
        "hour": "hour(make_timestamp((j->>'$.time_us')::BIGINT))",
        "time": "(j->>'$.time_us')::BIGINT",
    }

    def __init__(self):
        import duckdb

        self.connection = duckdb.connect(os.path.join(folder, "events.duckdb"))
        self.connection.execute("SET threads = 2")

    def load(self):
        self.connection.execute(f"CREATE TABLE bluesky AS SELECT json AS j FROM read_ndjson_objects('{source}')")
        self.connection.execute("CHECKPOINT")

    def ask(self, sql):
        return self.connection.execute(sql.replace("kind =", "(j->>'$.kind') =")).fetchall()


class Chdb(Here):
    words = {
        "collection": "j.commit.collection",
        "operation": "j.commit.operation",
        "did": "j.did",
        "hour": "toHour(fromUnixTimestamp64Micro(j.time_us, 'UTC'))",
        "time": "j.time_us",
    }

    def __init__(self):
        from chdb import session

        self.session = session.Session(folder)
        self.session.query("CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
        self.session.query("SET max_threads = 2")

    def load(self):
        # The table of JSONBench.
        self.session.query("""
            CREATE TABLE d.bluesky (j JSON(max_dynamic_paths = 0, kind LowCardinality(String), commit.operation
                LowCardinality(String), commit.collection LowCardinality(String), did String, time_us Int64) CODEC(ZSTD(1)))
            ENGINE = MergeTree ORDER BY (j.kind, j.commit.operation, j.commit.collection, j.did,
                fromUnixTimestamp64Micro(j.time_us))""")
        self.session.query(f"INSERT INTO d.bluesky SELECT json AS j FROM file('{source}', 'JSONAsObject', 'json JSON') "
                           "SETTINGS max_insert_threads = 2")
        self.session.query("OPTIMIZE TABLE d.bluesky FINAL")

    def ask(self, sql):
        sql = sql.replace("FROM bluesky", "FROM d.bluesky").replace("kind =", "j.kind =")
        answer = self.session.query(sql.replace("count(DISTINCT j.did)", "uniqExact(j.did)"), "JSONCompactEachRow").bytes()
        return [json.loads(line) for line in answer.splitlines()]


def size(path):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


def ask():
    engine = {"weir": Weir, "duckdb": Duckdb, "chdb": Chdb}[name]()
    before, began = engine.cpu(), time.monotonic()
    engine.load()
    result = {"name": name, "load_cpu": engine.cpu() - before, "load_wall": time.monotonic() - began, "questions": {}}
    if name == "weir":
        engine.start()
    result["bytes"] = size(os.path.join(folder, "data", "tables") if name == "weir" else folder)
    for question, text in QUESTIONS.items():
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
        # A document without a collection has null, or an empty text where the column has no nulls.
        rows = sorted([["" if value is None else str(value) for value in row] for row in rows])
        result["questions"][question] = {"sql": text, **cold, **warm, "rows": rows}
    engine.close()
    print(json.dumps(result))


def table():
    rows, results, differs = int(sys.argv[2]), [], False
    for path in sys.argv[3:]:
        with open(path) as file:
            results.append(json.load(file))
    print("| | " + " | ".join(result["name"] for result in results) + " |")
    print("|---" * (len(results) + 1) + "|")

    def line(what, cell):
        print(f"| {what} | " + " | ".join(cell(result) for result in results) + " |")

    line("taken in, CPU-s per million rows", lambda result: f"{result['load_cpu'] / rows * 1e6:.2f}")
    line("on disk, bytes per row", lambda result: f"{result['bytes'] / rows:.1f}")
    for question in QUESTIONS:
        first = results[0]["questions"][question]["rows"]
        for result in results[1:]:
            if result["questions"][question]["rows"] != first:
                differs = True
                print(f"{question}: {results[0]['name']} {first[:3]}, {result['name']} "
                      f"{result['questions'][question]['rows'][:3]}", file=sys.stderr)

        def cell(result):
            cost = result["questions"][question]
            return f"{cost['warm_cpu']:.1f} ({cost['cold_cpu']:.0f}), {cost['warm_wall']:.1f}"

        line(f"{question}: CPU ms warm (cold), wall ms", cell)
    return differs


if sys.argv[1] == "table":
    sys.exit(1 if table() else 0)
name, source, folder, runs, weir = sys.argv[2:7]
runs = int(runs)
ask()
