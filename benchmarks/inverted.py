"""Inverted lists at equal recall: ours beside faiss', rabitqlib's and ScaNN's, queries one by one and in a batch.

`python benchmarks/inverted.py --data FOLDER [--sets …] [--rounds 5] [--json out.json]`, on one pinned core, all indexes
in one process and timed in turns. The rate at a recall is interpolated (log rate over log miss rate) between the
two measured points beside it; of every method the best configuration counts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from core_sets import CoreSet, K, add_options, load_sets
from interleaved import Rounds, in_turns, one_by_one, pin_to_one_core, table

from annbench import Index

RECALLS = (0.90, 0.95, 0.99)
PEERS = ("faiss", "rabitqlib")
SHARED = "scann"  # shares the scan of a partition between the queries of a batch: shown apart
SINGLES = 100


@dataclass(frozen=True)
class Point:
    """A method with its build and search parameters, and what it reaches."""

    method: str
    build: str
    search: str
    one: Callable[[np.ndarray], Any]
    many: Callable[[np.ndarray], Any]
    bytes_per_vector: float
    recall: float

    @property
    def name(self) -> str:
        return f"{self.method} {self.build} {self.search}"


def probes(nlist: int) -> list[int]:
    """From a few lists to nearly half of them."""
    return sorted({max(1, round(nlist * share)) for share in (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4)})


def our_points(data: CoreSet, nlist: int) -> Iterator[Point]:
    for bits in (4, 5, 7, 8):
        index = Index.build(
            data.base, data.metric, transform="fast-rotation",
            codec={"kind": "uniform", "bits": bits, "fit": "rabitq-fast", "scan_bits": 1},
            structure={"kind": "ivf", "nlist": nlist}, rerank=None,
        )  # fmt: skip
        for nprobe in probes(nlist):

            def ask(q: Any, index: Index = index, nprobe: int = nprobe) -> Any:
                return index.search(q, K, nprobe=nprobe)

            yield Point("annbench", f"{bits} bits", f"nprobe {nprobe}", ask, ask, index.nbytes / len(index),
                        data.recall(ask(data.queries)[0]))  # fmt: skip


def faiss_points(data: CoreSet, nlist: int) -> Iterator[Point]:
    metric = faiss.METRIC_L2 if data.metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    for factory in (f"IVF{nlist},PQ{data.dim // 2}x4fs,Refine(SQ8)", f"RR,IVF{nlist},RaBitQfs4,Refine(SQ8)"):
        index = faiss.index_factory(data.dim, factory, metric)
        index.train(data.base)
        index.add(data.base)
        size = len(faiss.serialize_index(index)) / len(data.base)
        inner = faiss.downcast_index(index.base_index)
        if isinstance(inner, faiss.IndexPreTransform):
            inner = faiss.downcast_index(inner.index)
        for nprobe in probes(nlist):
            for k_factor in (2, 4):

                def ask(q: np.ndarray, index: Any = index, inner: Any = inner, nprobe: int = nprobe,
                        k_factor: int = k_factor) -> Any:  # fmt: skip
                    inner.nprobe, index.k_factor = nprobe, k_factor
                    return index.search(q.reshape(-1, data.dim), K)

                yield Point("faiss", factory, f"nprobe {nprobe}, k_factor {k_factor}", ask, ask, size,
                            data.recall(ask(data.queries)[1]))  # fmt: skip


def rabitqlib_points(data: CoreSet, nlist: int) -> Iterator[Point]:
    try:
        import rabitqlib
    except ModuleNotFoundError:
        return
    for bits in (4, 7):
        index = rabitqlib.IvfIndex(data.dim, len(data.base), nlist, bits, "l2")
        means = rabitqlib.RaBitQKMeans(
            data.dim, nlist, num_threads=2, final_assignment=rabitqlib.FinalAssignmentMode.Exact
        )
        means.train(data.base)
        index.build(data.base, means.centroids, means.assignments, 1, True)
        with tempfile.TemporaryDirectory() as folder:
            index.save(f"{folder}/index")  # as it lies in memory: blocks of 32 codes, centroids as floats
            size = Path(f"{folder}/index").stat().st_size / len(data.base)
        for nprobe in probes(nlist):

            def ask(q: np.ndarray, index: Any = index, nprobe: int = nprobe) -> Any:
                return index.search(q.reshape(-1, data.dim), K, nprobe)

            yield Point("rabitqlib", f"{bits} bits", f"nprobe {nprobe}", ask, ask, size,
                        data.recall(np.asarray(ask(data.queries)[0]).astype(np.int64)))  # fmt: skip


def scann_points(data: CoreSet, nlist: int) -> Iterator[Point]:
    """As its authors advise for angles: anisotropic 4-bit codes of two dimensions; re-ranked by floats or by 8 bits."""
    try:
        import scann
    except ModuleNotFoundError:
        return
    inner = data.metric == "cosine"
    for reorder in ("FLOAT32", "INT8"):
        builder = scann.scann_ops_pybind.builder(data.base, K, "dot_product" if inner else "squared_l2")
        builder.set_n_training_threads(2)
        builder.tree(nlist, nlist, training_sample_size=min(len(data.base), 100_000))
        builder.score_ah(2, anisotropic_quantization_threshold=0.2 if inner else float("nan"))
        searcher = builder.reorder(100, scann.ReorderType[reorder]).build()
        searcher.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            searcher.serialize(folder)
            size = sum(path.stat().st_size for path in Path(folder).iterdir()) / len(data.base)
        for nprobe in probes(nlist):
            for candidates in (40, 100):

                def one(q: np.ndarray, s: Any = searcher, nprobe: int = nprobe, kept: int = candidates) -> Any:
                    return s.search(q, K, kept, nprobe)

                def many(q: np.ndarray, s: Any = searcher, nprobe: int = nprobe, kept: int = candidates) -> Any:
                    return s.search_batched(q, K, kept, nprobe)

                yield Point("scann", f"reorder {reorder}", f"leaves {nprobe}, candidates {candidates}", one, many, size,
                            data.recall(many(data.queries)[0].view(np.int32)))  # fmt: skip


def best_at(points: list[tuple[Point, float]], recall: float) -> tuple[float, str] | None:
    """The highest rate at this recall over builds, and whose it is."""
    best: tuple[float, str] | None = None
    for build in {point.build for point, _ in points}:
        mine = sorted((point.recall, rate) for point, rate in points if point.build == build)
        # Only the frontier: of points with more recall, the fastest.
        frontier = [(r, max(rate for other, rate in mine if other >= r)) for r, _ in mine]
        for (r0, q0), (r1, q1) in pairwise(frontier):
            if r0 <= recall <= r1 < 1 + 1e-9:
                share = 0 if r0 == r1 else (_log_miss(r0) - _log_miss(recall)) / (_log_miss(r0) - _log_miss(r1))
                rate = math.exp(math.log(q0) * (1 - share) + math.log(q1) * share)
                if best is None or rate > best[0]:
                    best = rate, build
        if frontier and frontier[0][0] >= recall and (best is None or frontier[0][1] > best[0]):
            best = frontier[0][1], build
    return best


def _log_miss(recall: float) -> float:
    return math.log(max(1 - recall, 1e-4))


def compare(data: CoreSet, options: argparse.Namespace) -> dict[str, Any]:
    nlist = options.nlist or round(4 * math.sqrt(len(data.base)))
    points = [*our_points(data, nlist), *faiss_points(data, nlist), *rabitqlib_points(data, nlist)]
    points += scann_points(data, nlist)
    points = [point for point in points if point.recall >= 0.85]
    pin_to_one_core()
    faiss.omp_set_num_threads(1)
    record: dict[str, Any] = {"nlist": nlist}
    for mode in ("one by one", "batch"):
        asked = data.queries[:SINGLES] if mode == "one by one" else data.queries
        if mode == "one by one":
            cases = {p.name: one_by_one(p.one, asked) for p in points}
        else:
            cases = {p.name: partial(p.many, asked) for p in points}
        times: Rounds = in_turns(cases, options.rounds)
        measured = [(p, len(asked) / times.seconds(p.name)) for p in points]
        rows = []
        for recall in RECALLS:
            by_method = {m: best_at([x for x in measured if x[0].method == m], recall) for m in (*PEERS, SHARED)}
            peer = max((by_method[m] for m in PEERS if by_method[m]), default=None)
            # Ours may take no more bytes than the best peer.
            room = max(
                (p.bytes_per_vector for p in points if peer and p.method in PEERS and p.build == peer[1]),
                default=math.inf,
            )
            fitting = [x for x in measured if x[0].method == "annbench" and x[0].bytes_per_vector <= room]
            own = best_at(fitting, recall)
            by_method = {"annbench": own, **by_method}
            ratio = own[0] / peer[0] if own and peer else None
            shared = own[0] / by_method[SHARED][0] if own and by_method[SHARED] else None
            rows.append([f"{recall:.2f}", *(f"{f[0]:,.0f} ({f[1]})" if f else "–" for f in by_method.values()),
                         *(f"{r:.2f}" if r else "–" for r in (ratio, shared))])  # fmt: skip
            record[f"{mode} {recall}"] = {"rates": by_method, "ratio": ratio}
        print(f"\n{data.name}, {len(data.base):,} × {data.dim}, nlist {nlist}, {mode}\n")
        columns = ["recall@10", "annbench", *PEERS, SHARED, "÷ best peer, in no more bytes", f"÷ {SHARED}"]
        print(table(columns, rows), flush=True)
    sizes = {f"{p.method} {p.build}": p.bytes_per_vector for p in points}
    print("\n" + table(["index", "bytes a vector"], [[name, f"{size:.0f}"] for name, size in sizes.items()]))
    return record | {"bytes": sizes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser, ["fashion", "glove", "minilm"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--nlist", type=int, default=0)
    options = parser.parse_args()
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    record = {data.name: compare(data, options) for data in load_sets(options, options.rows, options.queries)}
    if options.json:
        options.json.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
