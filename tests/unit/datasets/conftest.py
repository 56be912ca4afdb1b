"""Small datasets with a truth computed by sorting everything."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what the tests of this folder share

from annbench.datasets.formats.hdf5_write import WRITTEN, DatasetArrays, QuerySetArrays
from annbench.distances.registry import true_distances

N, DIM, QUERIES, K = 60, 8, 7, 10


def query_arrays(base: Any, queries: Any, metric: Any, k: int = K, **more: Any) -> QuerySetArrays:
    """A query set with its exact truth."""
    everything = np.broadcast_to(base.astype(np.float64), (len(queries), *base.shape))
    distances = true_distances(metric, queries.astype(np.float64), everything)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return QuerySetArrays(queries, order, np.take_along_axis(distances, order, axis=1), **more)


def random_vectors(shape: tuple[int, int], dtype: str, seed: int) -> Any:
    """Vectors that fill the range of the dtype well."""
    scale = {"int8": 40, "uint8": 40}.get(dtype, 1)
    values = np.random.default_rng(seed).standard_normal(shape) * scale
    return (np.abs(values) if dtype == "uint8" else values).astype(dtype)


@pytest.fixture
def arrays() -> Callable[..., DatasetArrays]:
    """Makes the arrays of a small valid dataset."""

    def make(metric: Any = "euclidean", dtype: str = "float32", **more: Any) -> DatasetArrays:
        base = random_vectors((N, DIM), dtype, 1)
        return DatasetArrays(base, metric, query_arrays(base, random_vectors((QUERIES, DIM), dtype, 2), metric), **more)

    return make


@pytest.fixture
def ann_benchmarks_file(tmp_path: Path, arrays: Callable[..., DatasetArrays]) -> Callable[..., Path]:
    """Writes a small file as ann-benchmarks does (plain h5py), with parts replaced or left out (None)."""

    def write(metric: Any = "euclidean", name: str = "set.hdf5", **replaced: Any) -> Path:
        made = arrays(metric)
        parts: dict[str, Any] = {
            "train": made.base,
            "test": made.queries.test,
            "neighbors": made.queries.neighbors,
            "distances": made.queries.distances,
            **replaced,
        }
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file.attrs["distance"] = replaced.pop("distance", WRITTEN[metric])
            for part, value in parts.items():
                if value is not None and part != "distance":
                    file[part] = value
        return path

    return write
