"""Checks of what a search returns."""

from __future__ import annotations

import sys
from contextlib import suppress

import numpy as np
from pydantic import ValidationError

from annbench.algorithms.base import PointContext
from annbench.distances.registry import distance_of
from annbench.errors import UnsupportedError
from annbench.metrics.ids import MISSING
from annbench.runner.timing import time_clients
from annbench.testing.case import Case, K, batch, parse, require, singles
from annbench.testing.examples import distances, judge

CLIENTS = 4
# The share of ids that must agree between two ways to ask: compressed distances tie exactly, and kernels for one query
# and for many may break ties differently.
SAME = 0.99


def right_neighbours(case: Case) -> None:
    """The trial's recall under the right metric, by batch and by single calls, with ids in the order of the base."""
    data = case.example
    many, one = batch(case.adapter, data.queries), singles(case.adapter, data.queries)
    for name, ids in (("search_batch", many), ("search", one)):
        found = judge(ids, case.metric, data.queries, data.base)
        require(found.recall >= case.trial.recall, f"{name}: recall {found.recall:.3f} is below {case.trial.recall}")
        require(
            (found.duplicates, found.out_of_range, found.missing) == (0, 0, 0),
            f"{name}: {found.duplicates} ids twice, {found.out_of_range} out of range, {found.missing} missing",
        )
    if case.exact:
        true = np.take_along_axis(distances(case.metric, data.queries, data.base), many, axis=1)
        slack = 1e-5 * np.maximum(1, np.abs(true).max())
        require((np.diff(true, axis=1) >= -slack).all(), "search_batch: not nearest first")
        require(judge(one, case.metric, data.queries, data.base).recall == 1, "search: not exact")
    elif case.trial.recall > 0:
        agree = np.mean([len(set(a) & set(b)) / K for a, b in zip(many.tolist(), one.tolist(), strict=True)])
        require(agree >= SAME, f"search and search_batch agree on {agree:.3f} of the ids")


def padding(case: Case) -> None:
    """k above n: all n ids, and −1 for the rest. What cannot be built over so few is refused by `check`."""
    for n in (1, 3):
        data = case.example_of(n, case.example.dim)
        if case.refusal(n, data.dim, small=True):
            continue
        adapter = case.build(data.base, small=True)
        for name, ids in (
            ("search_batch", batch(adapter, data.queries)),
            ("search", singles(adapter, data.queries)),
        ):
            require(
                all(
                    row[:n] != [MISSING] * n and sorted(row) == [MISSING] * (K - n) + list(range(n))
                    for row in ids.tolist()
                ),
                f"{name}: with n={n} and k={K} returned {ids[0].tolist()}",
            )
    data = case.example_of(150, case.example.dim)
    if not case.refusal(150, data.dim, small=True):
        ids = batch(case.build(data.base, small=True), data.queries, 200)
        valid = ids != MISSING
        require((np.sort(valid, axis=1)[:, ::-1] == valid).all(), "with n=150 and k=200, −1 stands before ids")
        require(judge(ids, case.metric, data.queries, data.base).duplicates == 0, "with n=150 and k=200, ids twice")


def no_queries(case: Case) -> None:
    """An empty batch has an empty answer."""
    ids = batch(case.adapter, case.example.queries[:0])
    require(ids.shape == (0, K), f"answered no queries with shape {ids.shape}")


def concurrent_clients(case: Case) -> None:
    """Several threads get for their own queries what one thread gets, from the first search on. Under one metric."""
    if case.metric != min(case.cls.metrics):
        return
    queries = list(case.example.queries)
    serial = singles(case.adapter, queries)
    adapter = case.build(case.example.base)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads meet in the middle of things
    try:
        done = time_clients(adapter.search, queries, K, CLIENTS, adapter.enter_thread)
    finally:
        sys.setswitchinterval(interval)
    ids = np.array([np.asarray(row) for row in done.outputs])
    require(np.array_equal(ids, serial), f"{(ids != serial).any(axis=1).sum()} of {len(queries)} answers differ")


def odd_dimensions(case: Case) -> None:
    """Few, many, prime and just above a power of two: right, or refused by `check`. Under one metric."""
    if case.metric != min(case.cls.metrics):
        return
    for dim in (1, 2, 3, 5, 7, 8, 13, 16, 31, 64, 100, 257):
        data = case.example_of(300, dim)
        small = case.refusal(data.n, dim) is not None
        if small and case.refusal(data.n, dim, small=True):
            continue
        try:
            adapter = case.build(data.base, small=small)
        except UnsupportedError:
            continue  # refused for what the vectors are: in one dimension, all directions are equal
        found = judge(batch(adapter, data.queries), case.metric, data.queries, data.base)
        require(
            (found.duplicates, found.out_of_range, found.missing) == (0, 0, 0),
            f"dim={dim}: {found.duplicates} ids twice, {found.out_of_range} out of range, {found.missing} missing",
        )
        # A few bits a component say little in so few components.
        floor = 1.0 if case.exact else case.trial.recall / 2 if dim >= 31 and not small else 0.0
        require(found.recall >= floor, f"dim={dim}: recall {found.recall:.3f} is below {floor}")


def nonsense_is_refused(case: Case) -> None:
    """No search parameter may be zero or negative without a word, unless zero is one of its meanings."""
    data, trial = case.example, case.trial
    build, _ = case.parameters()
    context = PointContext(n=data.n, dim=data.dim, k=K, metric=case.metric)
    for name, value in trial.search.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        raw = {**trial.search, name: -1}
        with suppress(ValidationError):
            reason = case.cls.check(context, build, parse(case.cls.SearchParams, raw))
            require(reason, f"{name}=-1 is accepted")


def layouts_of_queries(case: Case) -> None:
    """Read-only queries and views answer as copies do; the harness itself passes C-contiguous ones."""
    queries = case.example.queries
    if not isinstance(queries, np.ndarray):
        return
    known = batch(case.adapter, queries)
    read_only = queries.copy()
    read_only.flags.writeable = False
    require(np.array_equal(batch(case.adapter, read_only), known), "read-only queries: other ids")
    wide = np.repeat(queries, 2, axis=1)[:, ::2]
    for name, view in (
        ("Fortran order", np.asfortranarray(queries)),
        ("a strided view", wide),
        ("negative strides", queries[::-1].copy()[::-1]),
    ):
        agree = np.mean(batch(case.adapter, view) == known)
        require(agree >= SAME, f"{name}: only {agree:.3f} of the ids are those of a copy")
    require(np.array_equal(case.adapter.search(wide[3], K), case.adapter.search(queries[3], K)), "a view: other ids")


def order_of_metric(case: Case) -> None:
    """The nearest of very different distances is found by anything that knows its metric at all."""
    if distance_of(case.metric).layout != "dense" or case.trial.recall == 0:
        return
    data = case.example
    base = data.base.copy()
    query = data.queries[0].copy()
    base[17] = query if case.metric == "euclidean" else 3 * query
    if case.metric == "ip":
        base[17] *= np.float32(np.linalg.norm(base, axis=1).max() / np.linalg.norm(base[17]) * 3)
    ids = batch(case.build(base), query[None])
    require(17 in ids[0].tolist(), f"the nearest vector under {case.metric} is not among {K}")
