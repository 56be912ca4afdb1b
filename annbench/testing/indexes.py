"""Checks of what is built, saved and loaded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from annbench.algorithms.base import Algorithm
from annbench.distances.sets import Sets
from annbench.testing.case import Case, batch, require


def inputs_untouched(case: Case) -> None:
    """Base and queries stay as they are; and the base is copied, for a view of the caller's memory is not free."""
    data = case.example
    base, queries = _copy(data.base), _copy(data.queries)
    adapter = case.build(base)
    answer = batch(adapter, queries)
    adapter.search(queries[0], 1)
    for name, mine, known in (("base", base, data.base), ("queries", queries, data.queries)):
        require(_equal(mine, known), f"changes the {name}")
    for array in _arrays(base):
        array[:] = 0
    require(np.array_equal(batch(adapter, queries), answer), "keeps a view of the base: emptied, it answers otherwise")


def round_trip(case: Case) -> None:
    """An index read back gives the same ids, though the base is gone."""
    if not case.cls.can_save:
        return
    data = case.example
    base = _copy(data.base)
    adapter = case.build(base)
    with tempfile.TemporaryDirectory() as folder:
        adapter.save(Path(folder))
        require(any(Path(folder).iterdir()), "save wrote nothing")
        answer = batch(adapter, data.queries)
        for array in _arrays(base):
            array[:] = 0
        del adapter, base
        again = case.loaded(Path(folder), data.dim)
    require(np.array_equal(batch(again, data.queries), answer), "loaded, it gives other ids")


def same_bytes(case: Case) -> None:
    """One thread and one seed give the same bytes; another seed gives others, where there is one."""
    if not case.cls.can_save:
        return
    known = saved(case.adapter)
    require(saved(case.build(case.example.base)) == known, "one thread and one seed gave other bytes")
    if case.cls.seed_parameter is not None and not case.exact:
        require(saved(case.build(case.example.base, seed_shift=1)) != known, "another seed gave the same bytes")
    if not case.cls.random_build and not case.number and case.metric == min(case.cls.metrics):
        twice = [saved(case.build(case.example.base, threads=2)) for _ in range(2)]
        require(twice[0] == twice[1], "random_build is False, and two builds with two threads differ")


def saved(adapter: Algorithm) -> dict[str, bytes]:
    """Names and bytes of the files that `save` writes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        adapter.save(folder)
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _copy(rows: Any) -> Any:
    return Sets(rows.indptr.copy(), rows.elements.copy(), rows.dim) if isinstance(rows, Sets) else rows.copy()


def _arrays(rows: Any) -> tuple[Any, ...]:
    return (rows.indptr, rows.elements) if isinstance(rows, Sets) else (rows,)


def _equal(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(_arrays(a), _arrays(b), strict=True))
