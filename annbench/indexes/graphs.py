"""The graph of an index: built by inserting its vectors one batch after the other, in random order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from annbench._native import ComposedIndex, HalfVectors, half_scale, squared_norms
from annbench.indexes.about import About
from annbench.indexes.clusters import cluster
from annbench.indexes.reranks import UniformRerank
from annbench.indexes.structures import GraphStructure
from annbench.indexes.training import sample_places
from annbench.indexes.transforms.base import Matrix
from annbench.indexes.vectors import as_rows, blocks

Progress = Callable[[str, int, int], None]

ENTRY_ROWS = 256  # sampled for each entry
LONGEST_SHARE = 8  # for inner products, there is one of the longest vectors more for so many entries
MOST_HALF_BYTES = 1 << 30  # beyond, what 8 bits stand for does: read more slowly


def add_graph(
    native: ComposedIndex,
    vectors: NDArray[Any],
    about: About,
    queries: Matrix | None,
    threads: int,
    progress: Progress,
) -> None:
    """Give `native`, which was filled with checked `vectors` (n, dim), the graph that its spec asks for, with links for
    training `queries` (m, dim) where it does so.

    Near vectors are found along the graph so far, by the index's own codes. Links are chosen among them by what it
    re-ranks with, or its codes, if those are the vectors in halves or float32; else by halves that are made for the
    build, 2 bytes a dimension, unless these would be many and there are 8 bits a dimension to re-rank with. Beside
    these and the index that takes 5 bytes for each of `degree` links and 10 for a vector, and 4 for a link again while
    rows are cut to their degree: the graph itself, which stays. So 10^7 vectors of 96 dimensions in codes of 4 bits,
    with 24 links and 8 bits to re-rank, take 4.0 GB at most, of which 2.7 stay. Links for queries take 2 bytes a vector
    when the rest is given back, and each query as long as a search that looks at every code.

    What it does between two calls of `progress`, and so until an interrupt is heard, takes a fraction of a second.
    """
    structure = cast(GraphStructure, about.spec.structure)
    n = len(vectors)
    progress("links", 0, n)
    order, entries = insertion_order(vectors, about, structure.entries)
    builder = native.graph_builder(
        order,
        entries,
        degree=structure.degree,
        alpha=structure.alpha,
        candidates=structure.candidates,
        halves=_halves(vectors, about) if _needs_halves(native, vectors, about) else None,
        query_links=structure.query_links,
        queries=queries if structure.query_links else None,
    )
    while builder.step(threads):
        if builder.asked:
            progress("query links", builder.asked, 0 if queries is None else len(queries))
        else:
            progress("links", builder.linked, n)
    native.set_graph(builder)


def insertion_order(vectors: NDArray[Any], about: About, entries: int) -> tuple[NDArray[np.uint32], int]:
    """The rows of `vectors` (n, dim) at random, (n,), but first those in the middle of `entries` clusters, for inner
    products also some of the longest; and how many these are.
    """
    n = len(vectors)
    order = np.random.default_rng(about.seed).permutation(np.arange(n, dtype=np.uint32))
    first = _middles(vectors, about, entries)
    if about.metric == "ip":
        first = np.union1d(first, _longest(vectors, max(1, entries // LONGEST_SHARE)))
    return np.concatenate([first, order[~np.isin(order, first)]]), len(first)


def _middles(vectors: NDArray[Any], about: About, count: int) -> NDArray[np.uint32]:
    n = len(vectors)
    if not n:
        return np.empty(0, dtype=np.uint32)
    places = np.arange(n)[sample_places(n, ENTRY_ROWS * count, about.seed)]
    sample = as_rows(vectors[places], unit=about.unit)
    centroids = cluster(sample, min(count, n), seed=about.seed)
    squares = np.einsum("nd,nd->n", sample, sample)[:, None] - 2 * (sample @ centroids.T)
    return np.unique(places[np.argmin(squares, axis=0)]).astype(np.uint32)


def _longest(vectors: NDArray[Any], count: int) -> NDArray[np.uint32]:
    """Rows that by inner product may be the answer to queries that pass far from what they are linked to."""
    squares = np.empty(len(vectors))
    for start, rows in blocks(vectors, unit=False):
        squared_norms(rows, squares[start : start + len(rows)])
    return np.argsort(-squares, kind="stable")[:count].astype(np.uint32)


def _needs_halves(native: ComposedIndex, vectors: NDArray[Any], about: About) -> bool:
    if native.keeps_vectors:
        return False
    rerank = about.spec.rerank
    return not (isinstance(rerank, UniformRerank) and rerank.bits == 8 and 2 * vectors.size > MOST_HALF_BYTES)


def _halves(vectors: NDArray[Any], about: About) -> HalfVectors:
    largest = max((float(np.abs(rows).max()) for _, rows in blocks(vectors, unit=about.unit)), default=0.0)
    halves = HalfVectors(len(vectors), dim=vectors.shape[1], scale=half_scale(largest))
    for start, rows in blocks(vectors, unit=about.unit):
        halves.put(start, rows)
    return halves
