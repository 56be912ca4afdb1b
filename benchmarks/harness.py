"""What the harness itself costs: a call, a start, a listing, a report.

`python benchmarks/harness.py [--records 10000] [--json out.json]`. Whole commands are timed as processes, from
outside; the null adapter in a worker's own timing loop, pinned to one core, beside hnswlib in the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as np
from synthetic_records import many_records

from annbench.algorithms.registry import load_algorithm
from annbench.results.store import ResultStore
from annbench.runner.pinning import pin
from annbench.runner.timing import time_batch, time_each

QUERIES, DIM, K, PASSES = 10_000, 100, 10, 15


def null_overhead() -> dict[str, float]:
    """Nanoseconds of a single call that does nothing, and its batch as a share of a fast real batch."""
    pin((sorted(os.sched_getaffinity(0))[-1],))
    random = np.random.default_rng(1)
    base = random.standard_normal((20_000, DIM), dtype=np.float32)
    queries = random.standard_normal((QUERIES, DIM), dtype=np.float32)
    adapters = {}
    for name in ("null", "hnswlib"):
        adapter = load_algorithm(name, Path()).cls()
        adapter.build(base, "euclidean", adapter.BuildParams(), 1)
        adapter.configure(adapter.SearchParams(), 1)
        adapters[name] = adapter
    rows = list(queries)
    null, real = adapters["null"], adapters["hnswlib"]
    calls = [time_each(null.search, rows, K).elapsed_ns / QUERIES for _ in range(PASSES)]
    pairs = [
        (time_batch(null.search_batch, queries, K).elapsed_ns, time_batch(real.search_batch, queries, K).elapsed_ns)
        for _ in range(PASSES)
    ]
    shares = [null_ns / real_ns for null_ns, real_ns in pairs]
    return {
        "null_call_us_median": statistics.median(calls) / 1e3,
        "null_call_us_max": max(calls) / 1e3,
        "null_batch_share_median": statistics.median(shares),
        "null_batch_share_max": max(shares),
    }


def command_seconds(arguments: list[str], runs: int) -> list[float]:
    """Wall seconds of whole processes, after one warm-up."""
    taken = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "annbench.cli.main", *arguments], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - start)
    return taken[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the harness itself costs.")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, object] = {}
    figures["help_seconds"] = command_seconds(["--help"], 11)
    with tempfile.TemporaryDirectory() as folder:
        store = ResultStore(Path(folder) / "results")
        arrays = {"ids": np.zeros((100, 10), np.int32), "pass_ns": np.ones(5, np.int64)}
        with mock.patch("os.fsync"):  # durability of throw-away files would only slow the preparation
            for record in many_records(options.records):
                store.write(record, arrays)
        where = ["--results", str(store.folder)]
        figures["listing_seconds"] = command_seconds(["results", "ls", "--json", *where], 3)
        figures["export_seconds"] = command_seconds(["results", "export", f"{folder}/all.parquet", *where], 1)
        figures["report_seconds"] = command_seconds(["report", str(store.folder), "--out", f"{folder}/report"], 3)
    figures |= null_overhead()
    for name, value in figures.items():
        if isinstance(value, list):
            print(f"{name:<26} median {statistics.median(value):8.3f}   min {min(value):8.3f}   max {max(value):8.3f}")
        else:
            print(f"{name:<26} {value:.5f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
