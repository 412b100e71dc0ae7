# What the questions to stores have in common: engines in this process and Weir beside it, how an answer is timed, and results
# side by side. CPU times are of the engine with all its threads: this process, or that of Weir. Each question is asked once (cold:
# nothing of the engine's own is in memory, the files are), then again and again.
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request

# Warm runs go on for so long, so that the clock of a process that is not ours is fine enough.
WARM_SECONDS = 1.0
WARM_RUNS_MAX = 60
# So many seconds in a row nothing is merged before questions are asked.
QUIET_SECONDS = 12


class Here:
    """An engine that runs in this process."""

    def __init__(self, folder):
        self.folder = folder

    def cpu(self):
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def start(self):
        pass

    def bytes(self):
        return size(self.folder)

    def close(self):
        pass


class Beside:
    """Weir: `weir run` takes rows in, `weir up` is asked over HTTP."""

    server = None

    def __init__(self, folder, weir):
        self.folder, self.weir, self.data = folder, weir, os.path.join(folder, "data")

    def cpu(self):
        if self.server is None:
            used = resource.getrusage(resource.RUSAGE_CHILDREN)
            return used.ru_utime + used.ru_stime
        with open(f"/proc/{self.server.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self, pipeline, *settings):
        command = [self.weir, "run", "--quiet", pipeline, "--data", self.data, "--set", "epoch=10s"]
        subprocess.run([*command, *settings], check=True, stdout=subprocess.DEVNULL)

    def start(self):
        command = [self.weir, "up", "--listen", "127.0.0.1:0", "--log", "error", "--data", self.data]
        self.server = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        line = next(line for line in self.server.stderr if "http://" in line)
        self.address = "http://" + line.split("http://")[1].split()[0].rstrip("/")
        # Small segments are merged meanwhile; what that takes is part of no question.
        before, quiet = None, 0
        while quiet < QUIET_SECONDS:
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

    def bytes(self):
        # Files that a merge has replaced lie there for a while, for questions that still read them.
        catalog = sqlite3.connect(f"file:{os.path.join(self.data, 'catalog.sqlite')}?mode=ro", uri=True)
        segments = [os.path.join(self.data, path) for (path,) in catalog.execute("SELECT path FROM segments")]
        catalog.close()
        files = segments + [path.removesuffix(".parquet") + ".tok" for path in segments]
        return sum(os.path.getsize(path) for path in files if os.path.exists(path))

    def close(self):
        self.server.terminate()
        self.server.wait()


def size(path):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


def ask(name, engine, questions, runs, text_of):
    """Takes rows in and asks; one JSON object on standard output. `text_of` is what a value is compared as."""
    before, began = engine.cpu(), time.monotonic()
    engine.load()
    result = {"name": name, "load_cpu": engine.cpu() - before, "load_wall": time.monotonic() - began, "questions": {}}
    engine.start()
    result["bytes"] = engine.bytes()
    for question, text in questions.items():
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
        rows = [[text_of(value) for value in row] for row in rows]
        result["questions"][question] = {"sql": text, **cold, **warm, "rows": rows}
    engine.close()
    print(json.dumps(result))


def read(paths):
    results = []
    for path in paths:
        with open(path) as file:
            results.append(json.load(file))
    return results


def table(rows, results, remark):
    """Results side by side; `remark` says what is to be said of an answer beside the first engine's, if anything."""
    print("| | " + " | ".join(result["name"] for result in results) + " |")
    print("|---" * (len(results) + 1) + "|")

    def line(what, cell):
        print(f"| {what} | " + " | ".join(cell(result) for result in results) + " |")

    line("taken in, CPU-s per million rows", lambda result: f"{result['load_cpu'] / rows * 1e6:.2f}")
    line("on disk, bytes per row", lambda result: f"{result['bytes'] / rows:.1f}")
    for question in results[0]["questions"]:
        def cell(result):
            cost = result["questions"][question]
            return f"{cost['warm_cpu']:.1f} ({cost['cold_cpu']:.0f}), {cost['warm_wall']:.1f}{remark(question, result)}"

        line(f"{question}: CPU ms warm (cold), wall ms", cell)
