# Nested events in the shape of JSONBench's: takes a file in, then asks the five questions.
#
#   jsonbench.py ask ENGINE SOURCE FOLDER RUNS WEIR   ->  one JSON object on standard output
#   jsonbench.py table ROWS RESULT...                 ->  what these objects say, side by side; fails when answers differ
#
# As JSONBench has it: documents are stored as documents (a column of JSON in the others, what it does of itself in Weir), sort
# keys are allowed. How an engine is timed is in asked.py.
import json
import os
import sys

sys.dont_write_bytecode = True
import asked  # noqa: E402

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


class Weir(asked.Beside):
    words = {
        "collection": "\"commit\"['collection']",
        "operation": "\"commit\"['operation']",
        "did": "did",
        "hour": "date_part('hour', time_us)",
        "time": "CAST(time_us AS BIGINT)",
    }

    def load(self):
        pipeline = os.path.join(self.folder, "events.yaml")
        with open(pipeline, "w") as file:
            file.write(PIPELINE % json.dumps(source))
        self.run(pipeline)


class Duckdb(asked.Here):
    words = {
        "collection": "(j->>'$.commit.collection')",
        "operation": "(j->>'$.commit.operation')",
        "did": "(j->>'$.did')",
        "hour": "hour(make_timestamp((j->>'$.time_us')::BIGINT))",
        "time": "(j->>'$.time_us')::BIGINT",
    }

    def __init__(self):
        import duckdb

        super().__init__(folder)
        self.connection = duckdb.connect(os.path.join(folder, "events.duckdb"))
        self.connection.execute("SET threads = 2")

    def load(self):
        self.connection.execute(f"CREATE TABLE bluesky AS SELECT json AS j FROM read_ndjson_objects('{source}')")
        self.connection.execute("CHECKPOINT")

    def ask(self, sql):
        return self.connection.execute(sql.replace("kind =", "(j->>'$.kind') =")).fetchall()


class Chdb(asked.Here):
    words = {
        "collection": "j.commit.collection",
        "operation": "j.commit.operation",
        "did": "j.did",
        "hour": "toHour(fromUnixTimestamp64Micro(j.time_us, 'UTC'))",
        "time": "j.time_us",
    }

    def __init__(self):
        from chdb import session

        super().__init__(folder)
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


def text_of(value):
    """A document without a collection has null, or an empty text where the column has no nulls."""
    return "" if value is None else str(value)


def table(rows, results):
    """Whether answers differ."""
    differing = set()

    def remark(question, result):
        first, rows = (sorted(of["questions"][question]["rows"]) for of in (results[0], result))
        if rows == first:
            return ""
        differing.add(question)
        print(f"{question}: {results[0]['name']} {first[:3]}, {result['name']} {rows[:3]}", file=sys.stderr)
        return " DIFFERS"

    asked.table(rows, results, remark)
    return bool(differing)


if sys.argv[1] == "table":
    sys.exit(1 if table(int(sys.argv[2]), asked.read(sys.argv[3:])) else 0)
name, source, folder, runs, weir = sys.argv[2:7]
engine = Weir(folder, weir) if name == "weir" else {"duckdb": Duckdb, "chdb": Chdb}[name]()
asked.ask(name, engine, QUESTIONS, int(runs), text_of)
