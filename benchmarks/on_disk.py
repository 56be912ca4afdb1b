"""What searches along a graph cost with its finer vectors, or its links too, left on disk.

`python benchmarks/on_disk.py FILE.hdf5 --index FILE.index [--rerank float16] [--ef 64] [--rounds 3] [--queries 400]
[--shares 1 0.5 0.25 0.1] [--json out.json]`. FILE.hdf5 has `train` and `test` as ann-benchmarks writes them, compared
by cosine; the index is built where it is not there yet.

A share is what the cache holds of all that is on disk. The first half of the queries fills the cache; of the others
every one is asked once a round and a case, so that none finds what it has read itself. Warm: the system has the file in
its own memory, and a read is a call to it. Cold: it is told to forget the file before every 20 queries, so that nearly
every block that the cache does not have comes from the disk. Times are of the clock, of one thread pinned to one core,
in turns; a ratio is to the index in memory in the same round: the median, the least and the greatest.
"""

from __future__ import annotations

import argparse
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import h5py
import numpy as np
from core_sets import K, Matrix, neighbors, recall, unit
from interleaved import Spread, pin_to_one_core, table

from annbench import Index

TOGETHER = 20  # queries between which the system does not forget the file
PARTS = (("rerank",), ("rerank", "links"))


class Case:
    """An index, how it is asked, and what that took."""

    def __init__(self, name: str, index: Index, path: Path, cold: bool, ef: int, rerank_k: int) -> None:
        self.name, self.index, self.path, self.cold = name, index, path, cold
        self.how = {"ef_search": ef, "rerank_k": rerank_k}
        self.rates: dict[str, list[float]] = {"single": [], "batch": []}
        self.latencies_us: list[float] = []
        self.costs: dict[str, float] = {}

    def warm_up(self, queries: Matrix) -> None:
        """Fill the cache."""
        self.index.search(queries, K, **self.how)

    def ask(self, queries: Matrix, expected: np.ndarray) -> None:
        """One round: one by one, then the other half of the queries as batches."""
        half = len(queries) // 2
        if not self.cold:
            remember(self.path)
        self.index.native.reset_counts()
        singles, ids = self._timed(queries[:half], lambda part: [self._single(query) for query in part])
        self._count(half)
        batches, more = self._timed(queries[half:], lambda part: [self.index.search(part, K, **self.how)[0]])
        assert np.array_equal(np.vstack([*ids, *more]), expected), "other answers than in memory"
        self.rates["single"].append(half / singles)
        self.rates["batch"].append((len(queries) - half) / batches)

    def _timed(self, queries: Matrix, call: Callable[[Matrix], list[Any]]) -> tuple[float, list[Any]]:
        seconds, found = 0.0, []
        for first in range(0, len(queries), TOGETHER):
            if self.cold:
                forget(self.path)
            start = perf_counter()
            found += call(queries[first : first + TOGETHER])
            seconds += perf_counter() - start
        return seconds, found

    def _single(self, query: Matrix) -> np.ndarray:
        start = perf_counter()
        ids = self.index.search(query, K, **self.how)[0]
        self.latencies_us.append(1e6 * (perf_counter() - start))
        return ids

    def _count(self, queries: int) -> None:
        self.costs = {name: count / queries for name, count in self.index.native.counts.items()}

    def row(self, memory: Case) -> list[str]:
        """What a table says."""
        ratios = {
            mode: Spread.of([mine / theirs for mine, theirs in zip(self.rates[mode], memory.rates[mode], strict=True)])
            for mode in self.rates
        }
        looked_up = self.costs.get("cache_hits", 0) + self.costs.get("cache_misses", 0)
        return [
            self.name,
            f"{self.index.nbytes / 1e6:.0f}",
            f"{self.costs['cache_hits'] / looked_up:.0%}" if looked_up else "",
            f"{self.costs['bytes_read'] / 1e3:.0f}" if looked_up else "",
            str(ratios["single"]),
            f"{np.percentile(self.latencies_us, 99) / np.percentile(memory.latencies_us, 99):.2f}",
            str(ratios["batch"]),
        ]

    def figures(self) -> dict[str, Any]:
        """For --json."""
        p50, p99 = (float(np.percentile(self.latencies_us, p)) for p in (50, 99))
        return {
            "name": self.name, "nbytes": self.index.nbytes, "costs": self.costs, "rates": self.rates,
            "latency_p50_us": p50, "latency_p99_us": p99,
        }  # fmt: skip


def forget(path: Path) -> None:
    """Ask the system not to keep the file in memory."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def remember(path: Path) -> None:
    """Have the system keep the file in memory."""
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def cases(options: argparse.Namespace) -> list[Case]:
    """The index in memory, and on disk with every cache, warm and cold."""
    path = options.index
    made = [Case("in memory", Index.load(path), path, False, options.ef, options.rerank_k)]
    for parts in PARTS:
        on_disk = sum(Index.load(path, on_disk=parts, cache_bytes=0).disk_nbytes_by_part.values())
        for share in options.shares:
            for cold in (False, True):
                index = Index.load(path, on_disk=parts, cache_bytes=int(share * on_disk * 1.03))
                name = f"{' and '.join(parts)} on disk, cache {share:.0%}, {'cold' if cold else 'warm'}"
                made.append(Case(name, index, path, cold, options.ef, options.rerank_k))
    return made


def main() -> None:
    """Build if need be, ask in turns, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--rerank", default="float16")
    parser.add_argument("--ef", type=int, default=64)
    parser.add_argument("--rerank-k", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", type=int, default=400, help="a round")
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.5, 0.25, 0.1])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with h5py.File(options.file) as file:
        queries = unit(np.asarray(file["test"][:], np.float32))
        base = None if options.index.exists() else unit(np.asarray(file["train"][:], np.float32))
    if base is not None:
        slots: dict[str, Any] = {
            "codec": {"kind": "uniform", "bits": 8},
            "structure": "graph",
            "rerank": options.rerank,
        }
        Index.build(base, "cosine", **slots).save(options.index)
        del base
    pin_to_one_core()
    order = np.random.default_rng(1).permutation(len(queries))
    filling, asked = queries[order[: len(order) // 2]], order[len(order) // 2 :]
    if options.rounds * options.queries > len(asked):
        parser.error(f"{len(asked)} queries are there for all rounds; ask fewer")
    made = cases(options)
    for case in made:
        case.warm_up(filling)
    shuffler, recalls = random.Random(1), []
    with h5py.File(options.file) as file:
        base = unit(np.asarray(file["train"][:], np.float32))
    for number in range(options.rounds):
        part = queries[asked[number * options.queries : (number + 1) * options.queries]]
        expected, _ = made[0].index.search(part, K, **made[0].how)
        truth = neighbors(base, part, "cosine")
        recalls.append(recall(expected, truth))
        for case in shuffler.sample(made, len(made)):
            case.ask(part, expected)
    whole = made[0].figures()
    single, batch = (median(made[0].rates[mode]) for mode in ("single", "batch"))
    print(
        f"{len(base):,} × {base.shape[1]}, ef_search {options.ef}, rerank_k {options.rerank_k}: recall "
        f"{np.mean(recalls):.3f} everywhere. In memory {single:,.0f} queries a second one by one, {batch:,.0f} in "
        f"batches, p99 {whole['latency_p99_us']:.0f} µs."
    )
    header = ["", "MB in memory", "hits", "kB read a query", "single ×", "p99 ×", "batch ×"]
    print(table(header, [case.row(made[0]) for case in made]))
    if options.json:
        options.json.write_text(json.dumps([case.figures() for case in made], indent=1))


if __name__ == "__main__":
    main()
