"""What only a process of its own can tell: whether one thread is one thread, and whether the index stands alone.

Run as `python -m annbench.testing.fresh_process` with a request on standard input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from annbench.runner.memory import resident_bytes, settle
from annbench.runner.timing import Pass, time_batch, time_each
from annbench.testing.case import Case, K, batch, cases_of, require

SECONDS = 120.0
MEASURED_NS = 100_000_000
CPU_RATIO = 1.1
BUSY_SHARE = 0.05  # of the time, that another thread may run without being an extra thread


def stands_alone_in_one_thread(case: Case) -> None:
    """Loaded where the base never was: the same ids, memory that is accounted for, and one thread at work."""
    if case.number or case.metric != min(case.cls.metrics):
        return  # once for each adapter: a process takes about a second
    data = case.example_of(3000, case.example.dim, 60)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adapter = case.build(data.base)
        if case.cls.can_save:
            adapter.save(folder)
        report = _ask(case, folder)
        index_bytes = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    if case.cls.can_save:
        require(report["ids"] == batch(adapter, data.queries).tolist(), "loaded in another process, it gives other ids")
        floor = index_bytes / 2
        require(
            report["resident_bytes"] >= floor,
            f"{report['resident_bytes']:,} bytes of memory for {index_bytes:,} on disk: where is the index?",
        )
    for mode in ("single", "batch"):
        ratio, busy = report[mode]["cpu_ratio"], report[mode]["busy_threads"]
        require(ratio <= CPU_RATIO, f"{mode}: CPU ÷ wall time is {ratio:.2f} with one thread")
        require(busy <= 1, f"{mode}: {busy} threads at work with one asked for")


def _ask(case: Case, folder: Path) -> dict[str, Any]:
    request = {
        "spec": case.spec,
        "base_dir": str(case.base_dir),
        "number": case.number,
        "metric": case.metric,
        "folder": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-m", "annbench.testing.fresh_process"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    require(done.returncode == 0, f"in a process of its own: exit {done.returncode}\n{done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    case = next(
        case
        for case in cases_of(request["spec"], Path(request["base_dir"]))
        if (case.number, case.metric) == (request["number"], request["metric"])
    )
    data = case.example_of(3000, case.example.dim, 60)
    queries = data.queries
    settle()
    before = resident_bytes() or 0
    adapter = case.loaded(Path(request["folder"]), data.dim) if case.cls.can_save else case.build(data.base)
    settle()
    report: dict[str, Any] = {
        "resident_bytes": (resident_bytes() or 0) - before,
        "ids": batch(adapter, queries).tolist(),
    }
    passes: dict[str, Callable[[], Pass]] = {
        "batch": lambda: time_batch(adapter.search_batch, queries, K),
        "single": lambda: time_each(adapter.search, list(queries), K),
    }
    for mode, one_pass in passes.items():
        one_pass()
        _rest()
        earlier, wall, cpu = _thread_ns(), 0, 0
        while wall < MEASURED_NS:
            done = one_pass()
            wall, cpu = wall + done.wall_ns, cpu + done.cpu_ns
        spent = [ns - earlier.get(task, 0) for task, ns in _thread_ns().items()]
        report[mode] = {"cpu_ratio": cpu / wall, "busy_threads": sum(ns > BUSY_SHARE * wall for ns in spent)}
    return report


def _rest() -> None:
    """OpenMP's and BLAS' threads spin for a while after what they did before."""
    time.sleep(0.05)


def _thread_ns() -> dict[str, int]:
    """Nanoseconds that each thread of this process has run."""
    spent = {}
    for task in os.listdir("/proc/self/task"):
        try:
            spent[task] = int(Path(f"/proc/self/task/{task}/schedstat").read_text().split()[0])
        except OSError:
            continue  # it has just ended
    return spent


def main() -> None:
    """Answer the one request."""
    answer = _answer(json.loads(sys.stdin.read()))
    sys.stdout.write("\n" + json.dumps(answer, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


if __name__ == "__main__":
    main()
