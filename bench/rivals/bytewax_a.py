# Workload A with bytewax: event-time windows folded in Python, one worker.
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.files import FileSink, FileSource
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main

source, result = sys.argv[1:3]
ALIGN = datetime(2026, 1, 1, tzinfo=timezone.utc)


def parse(line):
    row = json.loads(line)
    time = datetime.fromisoformat(row["ts"])
    return f'{row["service"]}|{row["level"]}', (time, row["duration_ms"])


def render(item):
    key, (window, values) = item
    service, level = key.split("|")
    values.sort()
    start = ALIGN + timedelta(minutes=window)
    total = sum(values)
    row = {
        "window_start": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "service": service, "level": level, "count": len(values),
        "sum": total, "avg": total / len(values), "min": values[0], "max": values[-1],
        "p95": values[int(0.95 * (len(values) - 1))],
    }
    return key, json.dumps(row)


def fold(values, item):
    values.append(item[1])
    return values


def merge(left, right):
    left.extend(right)
    return left


flow = Dataflow("workload_a")
keyed = op.map("parse", op.input("in", flow, FileSource(source)), parse)
clock = win.EventClock(ts_getter=lambda item: item[0], wait_for_system_duration=timedelta(seconds=10))
windows = win.TumblingWindower(length=timedelta(minutes=1), align_to=ALIGN)
folded = win.fold_window("fold", keyed, clock, windows, list, fold, merge)
op.output("out", op.map("render", folded.down, render), FileSink(Path(result)))
run_main(flow)
