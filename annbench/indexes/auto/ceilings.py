"""What codes allow for, measured: the sample really coded and scanned, and recall extrapolated to all vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench._native import ComposedIndex
from annbench.indexes.about import About
from annbench.indexes.arguments import silent
from annbench.indexes.auto.choosing import Candidate, Ceiling, Coding, without_rerank
from annbench.indexes.auto.sample import PART, Sample
from annbench.indexes.auto.wish import Auto, K
from annbench.indexes.building import build_native
from annbench.indexes.reranks import NoRerank, Rerank, UniformRerank
from annbench.indexes.spec import IndexSpec

# Of the short list, so that a quarter of the sample has its own within what was found.
SEEN_PER_LISTED = 6
EPSILON = 1.9
# How much less than between the two samples the odds fall beyond them, at equal factors of the number of vectors: over
# projections of fashion, glove and minilm, 0.4 to 0.8 from 8,192 vectors to all.
SLOWING = 0.6

Places = NDArray[np.int64]


def measure(sample: Sample, candidate: Candidate, wish: Auto, choices: Mapping[str, Any], threads: int) -> Ceiling:
    """The ceilings of `candidate` over as many vectors as the sample is of."""
    rerank = choices.get("rerank")
    listed = K * (Coding(candidate, rerank or UniformRerank(), 0).plain.default_rerank_factor or 3)
    seen = min(len(sample.rows), SEEN_PER_LISTED * listed)

    def ceiling(found: Places, *, coded: bool) -> Ceiling:
        alone, short = (_recall(sample, found, count) for count in (K, listed))
        return Ceiling(candidate, listed, alone, short, coded=coded)

    if candidate.dim < sample.dim and wish.bytes_per_vector is None:
        # What dimensions alone lose is known in no time; where it is too much, nothing need be coded.
        uncoded = ceiling(_nearest(sample, candidate, seen), coded=False)
        if uncoded.short < wish.needed:
            return uncoded
    by_codes = _found(sample, candidate, NoRerank(), seen, threads)
    found = ceiling(by_codes, coded=True)
    if without_rerank(found, wish.needed) or (rerank is not None and rerank.kind != "uniform"):
        return found
    by_copy = _found(sample, candidate, rerank or UniformRerank(bits=8), seen, threads)
    return replace(found, fine=_recall(sample, by_codes, listed, by_copy))


def at_size(smaller: tuple[int, int, int], whole: tuple[int, int, int], n: int) -> float:
    """Recall among n vectors, of what was found of what there was to find in samples: (vectors, found, there).

    The logarithm of found to missed falls along a line as that of the number of vectors grows; it never rises here.
    """
    sizes = [log(size) for size, _, _ in (smaller, whole)]
    odds = [log((found + 0.5) / (there - found + 0.5)) for _, found, there in (smaller, whole)]
    if n <= whole[0] or sizes[1] <= sizes[0]:
        return whole[1] / max(1, whole[2])
    slope = SLOWING * min(0.0, (odds[1] - odds[0]) / (sizes[1] - sizes[0]))
    return min(whole[1] / max(1, whole[2]), 1 / (1 + exp(-(odds[1] + slope * (log(n) - sizes[1])))))


def build(sample: Sample, rows: NDArray[Any], spec: IndexSpec, threads: int) -> ComposedIndex:
    """An index of `rows`, which are the sample's or some of them, with maps that the sample knows."""
    about = About(sample.metric, spec, sample.dim, seed=sample.seed)
    ids = np.arange(len(rows), dtype=np.int64)
    return build_native(rows, ids, about, None, threads, silent, maps=sample.maps(spec.transform))[0]


def _nearest(sample: Sample, candidate: Candidate, seen: int) -> Places:
    """As `_found`, by what the map keeps, before it is coded."""
    maps = sample.maps(candidate.transform)
    centred = sample.rows if maps.mean is None else sample.rows - maps.mean
    products = maps.queries(sample.queries) @ maps.base(sample.rows).T
    if sample.metric == "ip":
        scores = -products if maps.mean is None else -products - sample.rows @ maps.mean
    else:
        scores = np.einsum("nd,nd->n", centred, centred) - 2 * products
    first = np.argpartition(scores, seen - 1, axis=1)[:, :seen]
    order = np.argsort(np.take_along_axis(scores, first, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(first, order, axis=1), dtype=np.int64)


def _found(sample: Sample, candidate: Candidate, rerank: Rerank, seen: int, threads: int) -> Places:
    """(q, seen): the places of the rows that are nearest by estimate, by the finer copy if there is one."""
    native = build(sample, sample.rows, Coding(candidate, rerank, 0).plain, threads)
    found: Places = native.search(
        sample.queries, seen, nprobe=1, rerank_k=0 if rerank.kind == "none" else seen, epsilon=EPSILON, threads=threads,
        ef=seen,
    )[0]  # fmt: skip
    return found


def _recall(sample: Sample, found: Places, listed: int, order: Places | None = None) -> float:
    """Recall@10 among all vectors of the first `listed` of `found`, of which `order` has the first ten decided."""
    figures = []
    for step in (PART, 1):
        size = len(range(0, len(sample.rows), step))
        near, places = sample.near(step), found
        kept = _first(found, step, listed)
        if order is not None:
            chosen = np.zeros(near.shape, dtype=bool)
            np.put_along_axis(chosen, np.where(kept, found, found[:, :1]), True, axis=1)
            allowed = np.take_along_axis(chosen, order, axis=1) & (order % step == 0)
            kept, places = allowed & (np.cumsum(allowed, axis=1) <= K), order
        hits = (np.take_along_axis(near, places, axis=1) & kept).sum(axis=1)
        there = min(K, size)
        figures.append((size, int(np.minimum(hits, there).sum()), there * len(found)))
    return at_size(figures[0], figures[1], sample.n)


def _first(found: Places, step: int, count: int) -> NDArray[np.bool_]:
    """Which of `found` (q, seen) are the first `count` among every `step`-th row of the sample."""
    inside = (found >= 0) & (found % step == 0)
    return np.asarray(inside & (np.cumsum(inside, axis=1) <= count))
