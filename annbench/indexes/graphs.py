"""The graph of an index: near neighbours of every vector by inverted lists, and links chosen among them."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from annbench._native import ComposedIndex, GraphBuilder, half_scale
from annbench.indexes.about import About
from annbench.indexes.clusters import cluster
from annbench.indexes.presets import FLAT_ROWS, default_spec
from annbench.indexes.spec import IndexSpec, make_spec, with_choices
from annbench.indexes.structures import GraphStructure
from annbench.indexes.training import sample_places
from annbench.indexes.transforms.base import Matrix
from annbench.indexes.vectors import as_rows, blocks

Progress = Callable[[str, int, int], None]
# An index of these vectors, and the ids (n,) to give them: that of building.py, which this module stands beneath.
BuildNear = Callable[[NDArray[Any], About], ComposedIndex]

CODE = {"kind": "uniform", "bits": 4, "fit": "rabitq-fast", "scan_bits": 1}
ENTRY_ROWS = 256  # sampled for each entry
LISTS_PER_ROOT = 2.0
TRAIN_ROWS_PER_LIST = 32
PROBED = 0.08  # of the lists, and some more: with fewer near neighbours found, searches take more hops
PROBED_AT_LEAST = 12


class EquallyLong:
    """Vectors (n, dim) with one more dimension, which makes all of them as long as the longest: whoever is near by
    distance is near by inner product then (Bachrach et al., RecSys 2014). Rows are made when they are asked for.
    """

    def __init__(self, vectors: NDArray[Any]) -> None:
        self._vectors = vectors
        self.shape = (len(vectors), vectors.shape[1] + 1)
        self.dtype = np.dtype(np.float32)
        self._square = max((float(_squares(rows).max()) for _, rows in blocks(vectors, unit=False)), default=0.0)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: Any) -> Matrix:
        rows = as_rows(self._vectors[places], unit=False)
        missing = np.sqrt(np.maximum(self._square - _squares(rows), 0))
        return np.concatenate([rows, missing[:, None].astype(np.float32)], axis=1)


def add_graph(
    native: ComposedIndex,
    vectors: NDArray[Any],
    about: About,
    build_near: BuildNear,
    threads: int,
    progress: Progress,
) -> None:
    """Give `native`, which was filled with checked `vectors` (n, dim), the graph that its spec asks for.

    Beside the index this takes the vectors in halves, codes of about 4 bits a dimension, and the links twice.
    """
    structure = cast(GraphStructure, about.spec.structure)
    space = about
    if about.metric == "ip":
        vectors = cast(NDArray[Any], EquallyLong(vectors))
        space = About("euclidean", about.spec, vectors.shape[1], seed=about.seed)
    n, dim = vectors.shape
    progress("near", 0, n)
    near = build_near(vectors, About(space.metric, near_spec(n, dim), dim, seed=about.seed))
    largest = max((float(np.abs(rows).max()) for _, rows in blocks(vectors, unit=space.unit)), default=0.0)
    builder = GraphBuilder(n, dim=dim, degree=structure.degree, alpha=structure.alpha, scale=half_scale(largest))
    for start, rows in blocks(vectors, unit=space.unit):
        builder.put(start, rows)
    nprobe = min(near.nlist, PROBED_AT_LEAST + round(PROBED * near.nlist))
    for start, rows in blocks(vectors, unit=space.unit):
        progress("links", start, n)
        found = near.search(rows, structure.candidates + 1, nprobe=nprobe, threads=threads)[0]
        builder.link(start, found, threads)
    native.set_graph(builder, entries(near, vectors, space, structure.entries), threads)
    progress("links", n, n)


def near_spec(n: int, dim: int) -> IndexSpec:
    """What near neighbours are looked for with."""
    if n <= FLAT_ROWS:
        return make_spec()
    # Half as many lists as a search wants, learned from a quarter of the rows: k-means would take longer than the rest.
    nlist = round(LISTS_PER_ROOT * sqrt(n))
    lists = {"kind": "ivf", "nlist": nlist, "train_rows": TRAIN_ROWS_PER_LIST * nlist}
    return with_choices(default_spec(n, dim, "euclidean"), {"codec": CODE, "structure": lists})


def entries(near: ComposedIndex, vectors: NDArray[Any], space: About, count: int) -> NDArray[np.uint32]:
    """The vectors in the middle of `count` clusters."""
    n = len(vectors)
    sample = as_rows(vectors[sample_places(n, ENTRY_ROWS * count, space.seed)], unit=space.unit)
    if not n:
        return np.empty(0, dtype=np.uint32)
    middles = cluster(sample, min(count, n), seed=space.seed)
    found = near.search(middles, 1, nprobe=min(near.nlist, PROBED_AT_LEAST))[0][:, 0]
    return np.unique(found[found >= 0]).astype(np.uint32)


def _squares(rows: Matrix) -> NDArray[np.float64]:
    return np.asarray(np.einsum("nd,nd->n", rows, rows, dtype=np.float64))
