"""How long a search takes by scan, lists and graph, measured over some of the sample with the chosen codes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench._native import ComposedIndex
from annbench.indexes.auto.arranging import Cost, structures
from annbench.indexes.auto.ceilings import EPSILON, build
from annbench.indexes.auto.choosing import Coding
from annbench.indexes.auto.sample import Sample
from annbench.indexes.auto.wish import Auto, K
from annbench.indexes.spec import IndexSpec, with_choices

ROWS = 2048
EFFORTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
LEAST_EF = 6
FEWER = 4
PASSES = 3
NAMES = {"ivf": "nprobe", "graph": "ef_search"}

Search = Callable[[], NDArray[np.int64]]


def measure(
    sample: Sample, coding: Coding, kinds: Iterable[str], wish: Auto, given: Mapping[str, Any], threads: int
) -> dict[str, Cost]:
    """The cost of a search in a batch on one thread, by kind of structure."""
    target = min(wish.recall, coding.recall)

    def cost(kind: str, count: int) -> Cost:
        rows = sample.rows[:count]
        spec = with_choices(coding.spec(structures(len(rows))[kind]), given)
        native = build(sample, rows, spec, threads)
        return _cost(native, spec, sample.queries, sample.near_among(len(rows)), target)

    found = {kind: cost(kind, ROWS) for kind in kinds}
    if "flat" in found:
        found["flat"] = _with_fixed(found["flat"], cost("flat", ROWS // FEWER))
    return found


def _with_fixed(whole: Cost, part: Cost) -> Cost:
    """Of a scan, the seconds that two sizes tell to be there without any vector."""
    each = (whole.seconds - part.seconds) / (whole.rows - part.rows)
    return replace(whole, fixed=min(max(0.0, whole.seconds - each * whole.rows), whole.seconds))


def _cost(
    native: ComposedIndex, spec: IndexSpec, queries: NDArray[np.float32], within: NDArray[np.bool_], target: float
) -> Cost:
    """At `target`, between the efforts beside it; at the best there is where it is not reached."""
    n = within.shape[1]
    name = NAMES.get(spec.structure.kind)
    efforts = [1] if name is None else [e for e in EFFORTS if (e <= spec.nlist if name == "nprobe" else e >= LEAST_EF)]
    before: tuple[float, float] | None = None
    for effort in efforts:
        search = partial(_search, native, queries, spec, effort)
        seconds, ids = _timed(search)
        recall = _recall(ids, within)
        setting = "" if name is None else f"{name} {effort}"
        if recall >= target:
            if before is not None and before[0] < target:
                share = (target - before[0]) / (recall - before[0])
                seconds = exp(log(before[1]) + share * (log(seconds) - log(before[1])))
                return Cost(n, seconds / len(queries), target, f"{name} up to {effort}")
            break
        before = recall, seconds
    return Cost(n, seconds / len(queries), recall, setting)


def _search(native: ComposedIndex, queries: NDArray[np.float32], spec: IndexSpec, effort: int) -> NDArray[np.int64]:
    found: NDArray[np.int64] = native.search(
        queries, K, nprobe=effort, rerank_k=K * spec.default_rerank_factor, epsilon=EPSILON, threads=1, ef=effort
    )[0]
    return found


def _timed(search: Search) -> tuple[float, NDArray[np.int64]]:
    """Processor seconds of the fastest pass: what others do on the machine counts least there."""
    fastest = float("inf")
    for _ in range(PASSES):
        start = time.process_time()
        ids = search()
        fastest = min(fastest, time.process_time() - start)
    return max(fastest, 1e-9), ids


def _recall(ids: NDArray[np.int64], within: NDArray[np.bool_]) -> float:
    hits = (np.take_along_axis(within, np.maximum(ids, 0), axis=1) & (ids >= 0)).sum(axis=1)
    return float(np.minimum(hits, K).mean() / min(K, within.shape[1]))
