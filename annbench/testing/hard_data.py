"""Checks over data that break things: duplicates, zeros, the ends of number formats."""

from __future__ import annotations

from typing import Any

import numpy as np

from annbench.distances.registry import distance_of
from annbench.distances.sets import Sets
from annbench.testing.case import Case, K, batch, require
from annbench.testing.examples import judge

LARGE_DIMS = (33_026, 65_536)  # 33,026 · 255² is the first sum beyond int32
LARGEST_NORM = float(np.sqrt(np.finfo(np.float32).max)) / 2  # what annbench.datasets.checks lets through


def all_vectors_equal(case: Case) -> None:
    """Any vector is as near as any other."""
    _over(case, _repeat(case.example.base, np.zeros(300, dtype=np.int64)), floor=1.0)


def half_the_vectors_repeat(case: Case) -> None:
    """Each vector twice: an exact search finds both, and nothing comes back twice."""
    base = case.example.base
    _over(case, _repeat(base, np.repeat(np.arange(600), 2)), floor=1.0 if case.exact else case.trial.recall - 0.15)


def zero_vectors(case: Case) -> None:
    """Under cosine a zero vector has distance 1 to everything, and a zero query has every vector at distance 1."""
    if case.metric != "cosine":
        return
    base, queries = case.example.base.copy(), case.example.queries.copy()
    base[::100] = 0
    _over(case, base, floor=1.0 if case.exact else case.trial.recall - 0.01)
    queries[0] = 0
    ids = batch(case.build(base), queries)
    found = judge(ids, case.metric, queries, base)
    require((found.duplicates, found.out_of_range, found.missing) == (0, 0, 0), "a zero query gets no proper answer")
    if case.exact:
        # Ten vectors that lean towards the query, a zero one, and ten that lean away.
        leaning = np.eye(21, case.example.dim, k=1, dtype=np.float32)
        leaning[:, 0] = np.repeat(np.array([0.3, 0, -0.3], dtype=np.float32), [10, 1, 10])
        leaning[10] = 0
        nearest = batch(case.build(leaning), np.eye(1, case.example.dim, dtype=np.float32), 11)[0].tolist()
        require(sorted(nearest[:10]) == list(range(10)), "a zero vector is nearer than those of cosine 0.3")
        require(nearest[10] == 10, "a zero vector is not nearer than those of cosine −0.3")


def ends_of_float32(case: Case) -> None:
    """Subnormal components and rows, and values just below what the harness refuses: right for what is exact."""
    if distance_of(case.metric).layout != "dense":
        return
    subnormal = case.example.base.copy()
    subnormal[:, ::3] = np.float32(1e-40)
    if case.metric != "cosine":
        subnormal[::100] *= np.float32(1e-40)
    _over(case, subnormal, floor=1.0 if case.exact else 0.0)
    longest = np.linalg.norm(case.example.base.astype(np.float64), axis=1).max()
    scale = np.float32(0.99 * LARGEST_NORM / longest)
    queries = case.example.queries / np.linalg.norm(case.example.queries, axis=1, keepdims=True) * (longest / 2)
    _over(
        case, case.example.base * scale, queries=(queries * scale).astype(np.float32), floor=1.0 if case.exact else 0.0
    )


def integers_in_many_dimensions(case: Case) -> None:
    """int8 −128 and uint8 255 in so many dimensions that their sums leave int32: exact for what is exact."""
    if distance_of(case.metric).layout != "dense" or not case.exact:
        return
    for dim in LARGE_DIMS:
        for low, high in ((0, 255), (-128, 127)):
            base = np.full((24, dim), -128 if low else 255, dtype=np.float32)
            for row in range(len(base)):
                base[row, : 200 * row] = high if low else low
            queries = np.stack([base[0], base[-1], np.full(dim, high if low else low, dtype=np.float32)])
            small = case.refusal(len(base), dim) is not None
            found = judge(batch(case.build(base, small=small), queries), case.metric, queries, base)
            require(found.recall == 1, f"dim={dim}, values {low} to {high}: recall {found.recall:.3f}")


def _over(case: Case, base: Any, *, floor: float, queries: Any = None) -> None:
    asked = case.example.queries if queries is None else queries
    ids = batch(case.build(base), asked)
    found = judge(ids, case.metric, asked, base)
    require(
        (found.duplicates, found.out_of_range) == (0, 0),
        f"{found.duplicates} ids twice, {found.out_of_range} out of range",
    )
    require(found.missing == 0, f"{found.missing} of {K * len(asked)} neighbours missing")
    require(found.recall >= min(floor, 1.0), f"recall {found.recall:.3f} is below {floor:.3f}")


def _repeat(rows: Any, ids: Any) -> Any:
    return rows[ids] if isinstance(rows, Sets) else np.ascontiguousarray(rows[ids])
