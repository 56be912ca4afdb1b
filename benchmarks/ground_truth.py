"""Exact ground truth against the machine's own matrix product and against faiss, interleaved; and its memory.

`python benchmarks/ground_truth.py` takes 10,000 queries × 100,000 × 384, k = 100, then 1M × 128 from a
memory map; `--json out.json` also writes the raw seconds.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from annbench.datasets.ground_truth import exact_neighbors, plan_memory
from annbench.datasets.info import Metric
from annbench.isa import isa

PRODUCT_ROWS = 10_000  # rows of the base a reference product takes: large enough to be at its fastest
MEMORY_CASE = {"n": 1_000_000, "dim": 128, "queries": 10_000, "k": 100}
MEMORY_LIMIT_BYTES = 2 << 30
Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class Rounds:
    """Seconds of every round, by what was run."""

    sgemm: list[float]
    annbench: list[float]
    faiss: list[float]


def clustered_rows(random: np.random.Generator, count: int, centers: Matrix) -> Matrix:
    """Unit vectors around centers: neighbours are nearer than chance, as in embeddings."""
    dim = centers.shape[1]
    rows = centers[random.integers(len(centers), size=count)]
    rows += random.standard_normal((count, dim), dtype=np.float32) * np.float32(0.8)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def product(base: Matrix, queries: Matrix, out: Matrix, threads: int) -> None:
    """All inner products, and nothing else, by numpy's BLAS."""
    with threadpool_limits(threads, user_api="blas"):
        for first in range(0, len(base), PRODUCT_ROWS):
            rows = base[first : first + PRODUCT_ROWS]
            np.matmul(queries, rows.T, out=out[:, : len(rows)])


def compare(options: argparse.Namespace) -> Rounds:
    """Runs the three in turn, starting with another one each round."""
    import faiss

    random = np.random.default_rng(options.seed)
    centers = random.standard_normal((1000, options.dim), dtype=np.float32)
    base = clustered_rows(random, options.n, centers)
    queries = clustered_rows(random, options.queries, centers)
    faiss.omp_set_num_threads(options.threads)
    metric: Metric = options.metric
    faiss_metric = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    scores = np.empty((options.queries, min(PRODUCT_ROWS, options.n)), np.float32)
    calls: dict[str, Callable[[], object]] = {
        "sgemm": lambda: product(base, queries, scores, options.threads),
        "annbench": lambda: exact_neighbors(base, queries, options.k, metric, threads=options.threads),
        "faiss": lambda: faiss.knn(queries, base, options.k, metric=faiss_metric),
    }
    product(base[:PRODUCT_ROWS], queries, scores, options.threads)
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for index in range(options.rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(seconds(calls[name]))
    return Rounds(**times)


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g} … {max(values):.3g})"


def print_comparison(options: argparse.Namespace, rounds: Rounds) -> None:
    operations = 2.0 * options.queries * options.n * options.dim
    print(
        f"{options.queries:,} queries × {options.n:,} × {options.dim}, k={options.k}, {options.metric}, "
        f"{options.threads} threads, {isa()}, {options.rounds} rounds; median (least … greatest)"
    )
    for name, values in asdict(rounds).items():
        rates = [operations / value / 1e9 for value in values]
        print(f"  {name:9} seconds {spread(values):24} GFLOP/s {spread(rates)}")
    share = [own / ours for own, ours in zip(rounds.sgemm, rounds.annbench, strict=True)]
    against = [theirs / ours for theirs, ours in zip(rounds.faiss, rounds.annbench, strict=True)]
    print(f"  share of the sgemm rate      {spread(share)}      target ≥ 0.6")
    print(f"  speed relative to faiss.knn  {spread(against)}      target ≥ 1")


def memory_case(folder: Path, threads: int, seed: int) -> dict[str, float]:
    """Peak resident bytes of a process that only reads a memory-mapped base and computes its ground truth."""
    path = folder / "base.npy"
    random = np.random.default_rng(seed)
    base = open_memmap(path, "w+", np.float32, (MEMORY_CASE["n"], MEMORY_CASE["dim"]))
    for first in range(0, MEMORY_CASE["n"], 100_000):
        base[first : first + 100_000] = random.standard_normal((100_000, MEMORY_CASE["dim"]), dtype=np.float32)
    del base
    command = [sys.executable, __file__, "--memory-child", str(path)]
    command += ["--threads", str(threads), "--seed", str(seed)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(result.stdout)
    return measured


def memory_child(path: str, threads: int, seed: int) -> None:
    queries = np.random.default_rng(seed + 1).standard_normal(
        (MEMORY_CASE["queries"], MEMORY_CASE["dim"]), dtype=np.float32
    )
    base = np.load(path, mmap_mode="r", allow_pickle=False)
    k = MEMORY_CASE["k"]
    elapsed = seconds(lambda: exact_neighbors(base, queries, k, "euclidean", threads=threads))
    planned = plan_memory(len(base), base.shape[1], len(queries), k, threads=threads).peak_bytes
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"peak_rss_bytes": peak_kib * 1024, "planned_bytes": planned, "seconds": elapsed}))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Benchmark exact ground truth.")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--metric", choices=("euclidean", "cosine", "ip"), default="euclidean")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip-memory", action="store_true", help="leave out the 1M × 128 case")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--memory-child", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    options = parse()
    if options.memory_child:
        memory_child(options.memory_child, options.threads, options.seed)
        return
    rounds = compare(options)
    print_comparison(options, rounds)
    figures: dict[str, Any] = {
        "machine": platform.processor() or platform.machine(),
        "isa": isa(),
        "options": {name: value for name, value in vars(options).items() if name not in ("json", "memory_child")},
        "seconds": asdict(rounds),
    }
    if not options.skip_memory:
        with tempfile.TemporaryDirectory() as folder:
            figures["memory"] = measured = memory_case(Path(folder), options.threads, options.seed)
        case = ", ".join(f"{name}={value:,}" for name, value in MEMORY_CASE.items())
        print(
            f"memory ({case}): peak {measured['peak_rss_bytes'] / 2**20:.0f} MiB resident, "
            f"interpreter included, in {measured['seconds']:.1f} s      "
            f"target ≤ {MEMORY_LIMIT_BYTES / 2**20:.0f} MiB"
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
