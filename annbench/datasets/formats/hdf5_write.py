"""Writing datasets in the annbench HDF5 layout: ann-benchmarks', with VIBE's packed bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.rows import ArrayRows, Rows, SetRows
from annbench.datasets.info import Metric
from annbench.distances.registry import distance_of
from annbench.distances.sets import Sets

WRITTEN: dict[Metric, str] = {
    "euclidean": "euclidean",
    "cosine": "angular",
    "ip": "ip",
    "hamming": "hamming",
    "jaccard": "jaccard",
    "snr": "snr",
    "poincare": "poincare",
}


@dataclass(frozen=True)
class QuerySetArrays:
    """One query set to be written; shapes as in `QuerySource`, vectors in the form of the metric's layout."""

    test: NDArray[Any] | Sets
    neighbors: NDArray[np.integer[Any]]
    distances: NDArray[np.floating[Any]]
    learn: NDArray[Any] | Sets | Rows | None = None
    relevant: NDArray[np.integer[Any]] | None = None


@dataclass(frozen=True)
class DatasetArrays:
    """A whole dataset to be written. `base` is vectors (n, dim), packed bits (n, ⌈dim/8⌉), sets, or Rows of either,
    which are read in blocks; `dim` counts bits where the last byte is not full.
    """

    base: NDArray[Any] | Sets | Rows
    metric: Metric
    queries: QuerySetArrays
    query_sets: Mapping[str, QuerySetArrays] = field(default_factory=dict)
    held_out_rows: NDArray[np.integer[Any]] | None = None
    provenance: Mapping[str, str | int | float] = field(default_factory=dict)
    dim: int | None = None


def write_hdf5(path: Path, arrays: DatasetArrays, progress: Callable[[float], None] | None = None) -> None:
    """Write a dataset. Vectors are as ann-benchmarks has them if they are float32, and sets always; bits are as
    VIBE has them. `progress` is told the fraction of the base that is written.

    Not atomic by itself: write to a temporary name and rename. Raises OSError when the disk is full.
    """
    layout = distance_of(arrays.metric).layout
    base = _as_rows(arrays.base)
    width = int(base.shape[1])
    with h5py.File(path, "w", libver=("earliest", "v110")) as file:
        file.attrs["type"] = "sparse" if layout == "sets" else "dense"
        file.attrs["distance"] = WRITTEN[arrays.metric]
        if layout == "bits":
            file.attrs["dimension"] = 8 * width if arrays.dim is None else arrays.dim
            file.attrs["point_type"] = "binary"
        elif layout == "sets":
            file.attrs["dimension"] = width
            file.attrs["point_type"] = "bit"
        else:
            file.attrs["dimension"] = width
            file.attrs["point_type"] = "float" if base.dtype.kind == "f" else base.dtype.name
        for name, value in arrays.provenance.items():
            file.attrs[name] = value
        _write_vectors(file, "train", base, progress)
        # Ratios of counts are compared exactly: float32 would turn ties into misses.
        distances = "<f8" if layout == "sets" else "<f4"
        _write_queries(file, arrays.queries, distances)
        for name, queries in arrays.query_sets.items():
            _write_queries(file.create_group(f"query_sets/{name}"), queries, distances)
        if arrays.held_out_rows is not None:
            file["held_out_rows"] = arrays.held_out_rows.astype("<i8")


def _as_rows(vectors: NDArray[Any] | Sets | Rows) -> Rows:
    if isinstance(vectors, Sets):
        return SetRows(vectors, "")
    return ArrayRows(vectors, "") if isinstance(vectors, np.ndarray) else vectors


def _write_vectors(group: h5py.Group, name: str, rows: Rows, progress: Callable[[float], None] | None = None) -> None:
    if isinstance(rows, SetRows):
        sets = rows.whole()
        group[name] = sets.elements.astype("<i4")
        group[f"size_{name}"] = sets.sizes.astype("<i4")
        return
    written = group.create_dataset(name, shape=rows.shape, dtype=rows.dtype.newbyteorder("<"))
    for start, block in rows.blocks():
        written[start : start + len(block)] = block
        if progress is not None:
            progress((start + len(block)) / len(rows))


def _write_queries(group: h5py.Group, queries: QuerySetArrays, distances: str) -> None:
    _write_vectors(group, "test", _as_rows(queries.test))
    group["neighbors"] = queries.neighbors.astype("<i8" if queries.neighbors.max(initial=0) >= 2**31 else "<i4")
    group["distances"] = queries.distances.astype(distances)
    if queries.learn is not None:
        _write_vectors(group, "learn", _as_rows(queries.learn))
    if queries.relevant is not None:
        group["relevant"] = queries.relevant.astype("<i8")
