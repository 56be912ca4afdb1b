"""Whatever a file holds, adapters get C-contiguous rows of one kind."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from annbench.datasets.dataset import Dataset


@pytest.mark.fault(20)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">f8", "<f2", "i1", "u1"])
def test_vectors_of_any_dtype_arrive_as_native_float32(tmp_path: Path, dtype: str) -> None:
    rng = np.random.default_rng(5)
    base, queries = rng.integers(0, 100, (40, 6)), rng.integers(0, 100, (4, 6))
    distances = np.linalg.norm(base[None] - queries[:, None], axis=2)
    order = np.argsort(distances, axis=1, kind="stable")[:, :5]
    with h5py.File(tmp_path / "odd.hdf5", "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"] = base.astype(dtype), queries.astype(dtype)
        file["neighbors"] = order.astype(">i4")
        file["distances"] = np.take_along_axis(distances, order, axis=1).astype(">f4")
    with Dataset(tmp_path / "odd.hdf5") as dataset:
        for given, stored in ((dataset.base(), base), (dataset.queries(), queries)):
            assert given.dtype == np.dtype(np.float32)
            assert given.dtype.isnative
            assert given.flags.c_contiguous
            assert np.array_equal(given, stored)
