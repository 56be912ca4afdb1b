"""What a call from Python costs along a graph, and what a second thread brings: `make bench-calls DATA=folder`.

`python benchmarks/graph_calls.py --data FOLDER --cache FOLDER [--sets …] [--rounds 9] [--json out.json]`. Preset
leanvec over every set, at the first `ef_search` that reaches recall 0.95. Batches, batches whose searches do not take
turns, and single queries are timed in turns on one core, processor time; one thread and two on two cores, time of the
clock, so give the machine nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from core_sets import FILES, CoreSet, K, add_options, load_sets
from graph_builds import digest
from index_rates import Asked, beside
from interleaved import Spread, in_turns, one_by_one, pin_to_one_core, table

from annbench import Index

TARGET = 0.95
THREADS = 2
CLOCKED_SECONDS = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, list(FILES))
    parser.add_argument("--cache", type=Path, default=Path("build/bench-calls"))
    parser.add_argument("--rows", type=int, default=0, help="of the base; 0 for all")
    parser.add_argument("--queries", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    figures = {
        data.name: measure(data, built(data, options.cache), options.rounds)
        for data in load_sets(options, options.rows, options.queries)
    }
    header = ["set", "ef_search", "recall@10", "µs a query in a batch", "not taking turns", "alone, from Python",
              "less those", f"{THREADS} threads ÷ one"]  # fmt: skip
    print(table(header, [[name, *values.values()] for name, values in figures.items()]))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def built(data: CoreSet, cache: Path) -> Index:
    """Preset leanvec, from the cache where it is there."""
    folder = cache / digest(data.base, data.metric)
    path = folder / "leanvec.index"
    if not path.exists():
        print(f"{data.name}: building", file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        Index.build(data.base, data.metric, preset="leanvec", threads=THREADS).save(path)
    return Index.load(path)


def measure(data: CoreSet, index: Index, rounds: int) -> dict[str, str]:
    """A line of the table."""
    found = beside(index, Asked(data.queries, data.truth), TARGET)
    effort, reached = found.efforts[-1], found.recalls[-1]
    search = partial(index.search, k=K, ef_search=effort)
    cores = os.sched_getaffinity(0)
    pin_to_one_core()
    # How many searches take turns is nothing that a caller chooses.
    apart = partial(index._native.search, data.queries, K, rerank_k=index.spec.default_rerank_factor * K, ef=effort,
                    interleave=1)  # fmt: skip
    cases = {"batch": found.calls[-1], "apart": apart, "alone": one_by_one(search, data.queries)}
    times = in_turns(cases, rounds)
    os.sched_setaffinity(0, cores)
    batch, in_line, alone = (times.seconds(case) / len(data.queries) * 1e6 for case in cases)
    return {"ef_search": str(effort), "recall": f"{reached:.3f}", "batch": f"{batch:.2f}", "apart": f"{in_line:.2f}",
            "alone": f"{alone:.2f}", "difference": f"{alone - in_line:.2f}",
            "threads": str(speedup(lambda count: search(data.queries, threads=count), rounds))}  # fmt: skip


def speedup(search: Callable[[int], object], rounds: int) -> Spread:
    """How many times as fast THREADS are as one, by the clock, round by round."""

    def seconds(threads: int, repeats: int) -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            search(threads)
        return time.perf_counter() - start

    repeats = max(1, round(CLOCKED_SECONDS / max(seconds(1, 1), 1e-6)))
    search(THREADS)
    return Spread.of([seconds(1, repeats) / seconds(THREADS, repeats) for _ in range(rounds)])


if __name__ == "__main__":
    main()
