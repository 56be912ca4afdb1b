"""What only a process of its own can tell: whether one thread is one thread, and whether the index stands alone.

Run as `python -m annbench.testing.fresh_process` with a request on standard input.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from annbench.runner.memory import resident_bytes, settle
from annbench.testing.case import Case, K, batch, cases_of, require

SECONDS = 300.0
# So much CPU time is looked at, of which a few moments of other threads are no tenth: in as much wall time a busy
# machine may give next to none. For what uses little, such as a service elsewhere, there is an end to waiting.
MEASURED_NS, PATIENCE_NS = 100_000_000, 10_000_000_000
CPU_RATIO = 1.1
# An index of 3,000 vectors may be smaller than what an allocator gives back by chance meanwhile, so enough copies of it
# are loaded to outweigh that.
COPIES_BYTES, COPIES = 2 << 20, 64
PAGES = 1 << 18  # bytes: memory that an allocator had at hand already, or gave back
# Of the CPU time, what other threads than the caller's may take: next to nothing, or nearly all of it, where a library
# hands the work to one thread of its own. Unlike CPU ÷ wall time this holds on a busy machine too.
HELPERS = (0.1, 0.9)


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
        floor = report["copies"] * index_bytes / 2 - PAGES
        require(
            report["resident_bytes"] >= floor,
            f"{report['resident_bytes']:,} bytes of memory for {report['copies']} × {index_bytes:,} on disk: "
            "where is the index?",
        )
    for mode in ("single", "batch"):
        ratio, share = report[mode]["cpu_ratio"], report[mode]["helpers_share"]
        require(ratio <= CPU_RATIO, f"{mode}: CPU ÷ wall time is {ratio:.2f} with one thread asked for")
        low, high = HELPERS
        require(not low < share < high, f"{mode}: {share:.0%} of the CPU time is that of further threads")


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
    report: dict[str, Any] = {}
    if case.cls.can_save:
        folder = Path(request["folder"])
        adapter = case.loaded(folder, data.dim)  # and with it the library, which is not the index
        copies = min(COPIES, 1 + COPIES_BYTES // sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()))
        settle()
        before = resident_bytes() or 0
        held = [case.loaded(folder, data.dim) for _ in range(copies)]
        settle()
        report = {"copies": copies, "resident_bytes": (resident_bytes() or 0) - before}
        del held
    else:
        adapter = case.build(data.base)
    report["ids"] = batch(adapter, queries).tolist()
    passes: dict[str, Callable[[], Any]] = {
        "batch": lambda: adapter.search_batch(queries, K),
        "single": lambda: [adapter.search(query, K) for query in queries],
    }
    for mode, one_pass in passes.items():
        one_pass()
        time.sleep(0.05)  # OpenMP's and BLAS' threads spin for a while after what they did before
        report[mode] = _spent(one_pass)
    return report


def _spent(one_pass: Callable[[], Any]) -> dict[str, float]:
    """CPU ÷ wall time of passes, and the share of the CPU time that was not this thread's."""
    wall, process, mine = time.monotonic_ns(), time.process_time_ns(), time.thread_time_ns()
    while time.process_time_ns() - process < MEASURED_NS and time.monotonic_ns() - wall < PATIENCE_NS:
        one_pass()
    mine, process, wall = time.thread_time_ns() - mine, time.process_time_ns() - process, time.monotonic_ns() - wall
    return {"cpu_ratio": process / wall, "helpers_share": 1 - mine / process}


def main() -> None:
    """Answer the one request."""
    answer = _answer(json.loads(sys.stdin.read()))
    sys.stdout.write("\n" + json.dumps(answer, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


if __name__ == "__main__":
    main()
