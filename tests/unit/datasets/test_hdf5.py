"""Reading and writing of the HDF5 layouts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from annbench.datasets.dataset import Dataset
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.errors import DatasetError, UnknownNameError

Make = Callable[..., DatasetArrays]


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "ip"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "uint8"])
def test_what_is_written_is_read(tmp_path: Path, arrays: Make, metric: str, dtype: str) -> None:
    made = arrays(metric, dtype, provenance={"model": "m", "seed": 3})
    path = tmp_path / "a.hdf5"
    write_hdf5(path, made)
    with Dataset(path) as dataset:
        assert (dataset.info.metric, dataset.info.dtype) == (metric, dtype)
        assert (dataset.info.n, dataset.info.dim) == made.base.shape
        assert dataset.info.provenance == {"model": "m", "seed": 3}
        base = dataset.base()
        assert base.dtype == np.float32
        assert base.flags.c_contiguous
        np.testing.assert_array_equal(base, made.base.astype(np.float32))
        np.testing.assert_array_equal(dataset.base_raw[3:9], made.base[3:9])
        assert dataset.base_raw[3:9].dtype == made.base.dtype
        np.testing.assert_array_equal(dataset.queries(), made.queries.test.astype(np.float32))
        np.testing.assert_array_equal(dataset.neighbors(), made.queries.neighbors)
        np.testing.assert_allclose(dataset.distances(), made.queries.distances, rtol=1e-6, atol=1e-6)
        assert dataset.learn() is None


def test_arrays_outlive_the_file(tmp_path: Path, arrays: Make) -> None:
    path = tmp_path / "a.hdf5"
    write_hdf5(path, made := arrays())
    with Dataset(path) as dataset:
        base, some = dataset.base(), dataset.base_rows(np.array([1, 2]))
    np.testing.assert_array_equal(base, made.base)
    np.testing.assert_array_equal(some, made.base[1:3])


def test_further_query_sets_with_what_may_be_fitted_on(tmp_path: Path, arrays: Make) -> None:
    made = arrays()
    learn = made.queries.test[:3] + 1
    ood = replace(made.queries, learn=learn, relevant=np.arange(len(made.queries.test)))
    path = tmp_path / "a.hdf5"
    write_hdf5(path, replace(made, query_sets={"ood": ood}))
    with Dataset(path) as dataset:
        assert {name: s.learn_count for name, s in dataset.info.query_sets.items()} == {"test": 0, "ood": 3}
        read = dataset.learn("ood")
        assert read is not None
        np.testing.assert_array_equal(read, learn)
        relevant = dataset.relevant("ood")
        assert relevant is not None
        np.testing.assert_array_equal(relevant, np.arange(len(made.queries.test)))
        with pytest.raises(UnknownNameError, match="ood"):
            dataset.queries("oood")


@pytest.mark.parametrize("storage", ["contiguous", "compressed", "chunked", "user block"])
def test_rows_are_gathered_from_any_storage(tmp_path: Path, arrays: Make, storage: str) -> None:
    made = arrays()
    path = tmp_path / "a.hdf5"
    write_hdf5(path, made)
    settings: dict[str, Any] = {
        "compressed": {"chunks": (7, 8), "compression": "gzip", "shuffle": True},
        "chunked": {"chunks": (1, 3)},
    }.get(storage, {})
    with (
        h5py.File(path, "r") as old,
        h5py.File(tmp_path / "b.hdf5", "w", userblock_size=512 * (storage == "user block")) as new,
    ):
        new.attrs["distance"] = "euclidean"
        for name in ("test", "neighbors", "distances"):
            new[name] = old[name][:]
        new.create_dataset("train", data=made.base, **settings)
    ids = np.array([[59, 0, 0], [13, 58, 7]])
    with Dataset(tmp_path / "b.hdf5") as dataset:
        np.testing.assert_array_equal(dataset.base_rows(ids), made.base[ids])
        assert dataset.base_rows(np.empty((0,), np.int64)).shape == (0, 8)
        np.testing.assert_array_equal(dataset.base(), made.base)
        for outside in (-1, 60):
            with pytest.raises(IndexError, match="rows from 0 to 59"):
                dataset.base_rows(np.array([0, outside]))


def test_old_ann_benchmarks_files(ann_benchmarks_file: Callable[..., Path], arrays: Make) -> None:
    made = arrays()
    path = ann_benchmarks_file(train=made.base.astype(">f8"), neighbors=made.queries.neighbors.astype(np.int32))
    with Dataset(path) as dataset:
        assert dataset.info.dtype == "float32"
        assert dataset.info.provenance["stored_dtype"] == "float64"
        np.testing.assert_array_equal(dataset.base(), made.base)
        np.testing.assert_array_equal(dataset.base_rows(np.array([5, 2])), made.base[[5, 2]])


@pytest.mark.parametrize(
    ("word", "metric"), [("angular", "cosine"), ("cosine", "cosine"), ("normalized", "cosine"), ("ip", "ip")]
)
def test_the_words_of_the_field_for_a_metric(ann_benchmarks_file: Callable[..., Path], word: str, metric: str) -> None:
    with Dataset(ann_benchmarks_file(metric, distance=word)) as dataset:
        assert dataset.info.metric == metric


def test_other_metrics_are_refused_by_name(ann_benchmarks_file: Callable[..., Path]) -> None:
    with pytest.raises(DatasetError, match="manhattan") as caught:
        Dataset(ann_benchmarks_file(distance="manhattan"))
    assert "euclidean" in caught.value.remedy


def test_attributes_are_listed_and_measured(tmp_path: Path, arrays: Make) -> None:
    path = tmp_path / "a.hdf5"
    write_hdf5(path, arrays())
    with h5py.File(path, "a") as file:
        file["attributes/b"] = np.arange(60)
        file["attributes/a"] = np.arange(60.0)
        file["attributes/tags/indptr"] = np.arange(61)
    with Dataset(path) as dataset:
        assert dataset.info.attributes == ("a", "b")
    with h5py.File(path, "a") as file:
        file["attributes/c"] = np.arange(59)
    with pytest.raises(DatasetError, match="attributes/c: has shape"):
        Dataset(path)


def test_not_a_dataset_by_its_ending(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="data add"):
        Dataset(tmp_path / "x.npy")


def test_ids_beyond_int32_are_kept(tmp_path: Path, arrays: Make) -> None:
    made = arrays()
    wide = QuerySetArrays(made.queries.test, made.queries.neighbors + 2**31, made.queries.distances)
    write_hdf5(tmp_path / "a.hdf5", replace(made, queries=wide))
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert file["neighbors"].dtype == np.int64
        np.testing.assert_array_equal(file["neighbors"][:], wide.neighbors)
