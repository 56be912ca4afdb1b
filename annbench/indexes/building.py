"""Making the native index from what was fitted, and filling it a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench._native import ComposedIndex, half_scale
from annbench.indexes.about import About
from annbench.indexes.clusters import Assigner
from annbench.indexes.codecs.floats import Float16
from annbench.indexes.fitting import Fitted, fit
from annbench.indexes.graphs import add_graph
from annbench.indexes.reranks import Float16Rerank
from annbench.indexes.transforms.base import Maps, Matrix
from annbench.indexes.vectors import blocks, check_mapped

Progress = Callable[[str, int, int], None]

ADDED_ROWS = 4096  # at once: between them, an interrupt is heard


def build_native(
    vectors: NDArray[Any],
    ids: NDArray[np.int64],
    about: About,
    queries: Matrix | None,
    threads: int,
    progress: Progress,
    maps: Maps | None = None,
) -> tuple[ComposedIndex, Maps, Assigner | None]:
    """Fit, make, and fill an index of `vectors` (n, dim), which were checked; `maps` where they are known."""
    n = len(vectors)
    progress("fit", 0, n)
    fitted = fit(about.spec, vectors, queries, unit=about.unit, seed=about.seed, maps=maps)
    native = make_native(about, fitted, _half_scales(vectors, about, fitted.maps))
    assigner = None if fitted.centroids is None else Assigner(fitted.centroids, about.spec.assignments)
    native.reserve(n, int(ids.max(initial=0)))
    fill(native, vectors, ids, about, fitted.maps, assigner, progress, check_ids=False, threads=threads)
    native.compact()
    if about.spec.has_graph:
        add_graph(native, vectors, about, queries, threads, progress)
    return native, fitted.maps, assigner


def make_native(about: About, fitted: Fitted, scales: Mapping[str, Any]) -> ComposedIndex:
    """An empty native index; `scales` are those of halves, by the name of their argument."""
    maps, spec = fitted.maps, about.spec
    return ComposedIndex(
        metric=about.metric,
        dim_in=maps.dim_in,
        dim=maps.dim_out,
        mean=maps.mean,
        query_map=maps.query_map,
        # One map that serves both sides is kept once.
        base_map=None if maps.base_map is maps.query_map else maps.base_map,
        rotation=maps.rotation,
        binarizer_shape=None if maps.binarizer is None else maps.binarizer[0],
        binarizer=None if maps.binarizer is None else maps.binarizer[1],
        normalise=maps.normalise,
        mapped_metric=maps.normalise or maps.changes_metric,
        tables=fitted.learned.tables,
        table_bits=fitted.learned.table_bits,
        centroids=fitted.centroids,
        description=about.json(),
        **spec.codec.native(),
        **spec.rerank.native(),
        **scales,
    )


def _half_scales(vectors: NDArray[Any], about: About, maps: Maps) -> dict[str, float]:
    """What values are divided by before they are rounded to half precision, whose largest is 65,504."""
    codes = isinstance(about.spec.codec, Float16)
    rerank = isinstance(about.spec.rerank, Float16Rerank)
    largest_code = largest = 0.0
    if codes or rerank:
        for _, rows in blocks(vectors, unit=about.unit):
            largest = max(largest, float(np.abs(rows).max()))
            if codes:
                largest_code = max(largest_code, float(np.abs(maps.base(rows)).max()))
    return {
        **({"parameter": half_scale(largest_code)} if codes else {}),
        **({"rerank_scale": half_scale(largest)} if rerank else {}),
    }


def fill(
    native: ComposedIndex,
    vectors: NDArray[Any],
    ids: NDArray[np.int64],
    about: About,
    maps: Maps,
    assigner: Assigner | None,
    progress: Progress,
    *,
    check_ids: bool,
    threads: int = 1,
) -> None:
    """Add checked `vectors` (n, dim). With `check_ids`, raises ValueError for an id of the block that is in use.

    `threads` code them, and link them in where there is a graph.
    """
    n = len(vectors)
    for start, rows in blocks(vectors, unit=about.unit):
        end = start + len(rows)
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            mapped = maps.base(rows)
        if maps.base_map is not None or maps.rotation is not None:
            check_mapped(mapped, start)
        lists = np.zeros((len(rows), 1), dtype=np.uint32) if assigner is None else assigner(mapped)
        for at in range(0, len(rows), ADDED_ROWS):
            progress("add", start + at, n)
            some = slice(at, at + ADDED_ROWS)
            native.add(
                rows[some], mapped[some], lists[some], ids[start:end][some], check_ids=check_ids, threads=threads
            )
    progress("add", n, n)
