"""HDF5 of bits and of sets, as ann-benchmarks and VIBE write them, and as annbench does."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from annbench.datasets.dataset import Dataset
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.datasets.formats.rows import BitRows, Hdf5Rows
from annbench.datasets.inspect import inspect
from annbench.distances.sets import Sets
from annbench.errors import DatasetError

N, QUERIES, K, SEED = 80, 6, 9, 5


def nearest(every: Any, k: int = K) -> tuple[Any, Any]:
    order = np.argsort(every, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(every, order, axis=1)


def write(path: Path, attributes: dict[str, Any], **parts: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        for name, value in parts.items():
            file[name] = value
    return path


# Bits


def bits(dim: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(SEED)
    return rng.random((N, dim)) < 0.5, rng.random((QUERIES, dim)) < 0.5


def counts(base: Any, queries: Any) -> Any:
    return (base[None] != queries[:, None]).sum(axis=2)


def ann_benchmarks_bits(path: Path, dim: int, dtype: Any = bool, **more: Any) -> Path:
    base, queries = bits(dim)
    ids, found = nearest(counts(base, queries))
    parts = {"train": base.astype(dtype), "test": queries.astype(dtype), "neighbors": ids}
    parts["distances"] = (found / dim).astype(np.float32)
    return write(path, {"distance": "hamming", "point_type": "bit", **more.pop("attrs", {})}, **{**parts, **more})


def vibe_bits(path: Path, dim: int, **more: Any) -> Path:
    base, queries = bits(dim)
    ids, found = nearest(counts(base, queries))
    attrs = {"distance": "hamming", "point_type": "binary", "dimension": dim, **more.pop("attrs", {})}
    parts = {"train": np.packbits(base, axis=1), "test": np.packbits(queries, axis=1), "neighbors": ids}
    parts |= {"distances": found.astype(float), "avg_distances": found.mean(axis=1)}
    return write(path, attrs, **{**parts, **more})


@pytest.mark.parametrize("dim", [1, 7, 8, 20, 256, 800])
@pytest.mark.parametrize("form", ["ann-benchmarks", "ann-benchmarks bytes", "vibe", "annbench"])
def test_bits_of_every_origin_are_the_same_dataset(tmp_path: Path, dim: int, form: str) -> None:
    path = tmp_path / "a.hdf5"
    base, queries = bits(dim)
    ids, found = nearest(counts(base, queries))
    packed = np.packbits(base, axis=1), np.packbits(queries, axis=1)
    if form == "vibe":
        vibe_bits(path, dim)
    elif form == "annbench":
        write_hdf5(path, DatasetArrays(packed[0], "hamming", QuerySetArrays(packed[1], ids, found), dim=dim))
    else:
        ann_benchmarks_bits(path, dim, np.uint8 if form.endswith("bytes") else bool)
    info = inspect(path, "x")
    assert (info.metric, info.dtype, info.n, info.dim) == ("hamming", "bits", N, dim)
    assert info.raw_bytes == N * -(-dim // 8)
    with Dataset(path) as dataset:
        for read in (dataset.base(), dataset.base_raw.stored(), dataset.base_rows(np.arange(N)), dataset.base_raw[:]):
            assert read.dtype == np.uint8
            np.testing.assert_array_equal(read, packed[0])
        np.testing.assert_array_equal(dataset.queries(), packed[1])
        # Exact: a mean in float32 is a count again, whatever the number of bits.
        np.testing.assert_array_equal(dataset.distances(), found)
        np.testing.assert_array_equal(dataset.neighbors(), ids)


@pytest.mark.fault(8)
@pytest.mark.parametrize(
    ("attrs", "parts", "message"),
    [
        ({"dimension": 25}, {}, "has 3 bytes a row, which hold 17 to 24 bits"),
        ({"dimension": 16}, {}, "has 3 bytes a row"),
        ({"dimension": 0}, {}, "has 3 bytes a row"),
        ({"dimension": -1}, {}, "has 3 bytes a row"),
        ({"dimension": 17}, {}, "row 0: has bits set beyond dimension 17"),
        ({"point_type": "bit"}, {}, "has 3 bits a row, one a byte"),
        ({"point_type": "bit", "dimension": 3}, {}, "row 0: holds bytes other than 0 and 1"),
        ({"type": "sparse"}, {}, "holds sparse sets, which hamming does not compare"),
        ({"distance": "euclidean"}, {}, "holds bits, which euclidean does not compare"),
        ({}, {"test": np.zeros((QUERIES, 4), np.uint8)}, "has 4 bytes a row"),
        ({}, {"train": np.zeros((N, 3), np.float32)}, "dtype float32"),
        ({}, {"train": np.zeros((0, 3), np.uint8)}, "shape"),
        ({}, {"distances": np.full((QUERIES, K), 0.25)}, "stored distance 0.25"),
    ],
)
def test_bits_that_contradict_themselves(tmp_path: Path, attrs: Any, parts: Any, message: str) -> None:
    path = vibe_bits(tmp_path / "a.hdf5", 24, attrs=attrs, **parts)
    with pytest.raises(DatasetError, match=message) as caught:
        inspect(path, "x")
    assert caught.value.remedy


def test_bytes_that_could_be_either_are_not_guessed(tmp_path: Path) -> None:
    path = vibe_bits(tmp_path / "a.hdf5", 24)
    with h5py.File(path, "a") as file:
        del file.attrs["point_type"]
        del file.attrs["dimension"]
    with pytest.raises(DatasetError, match="could be packed bits, or one bit a byte"):
        Dataset(path)


def test_learn_queries_of_packed_bits(tmp_path: Path) -> None:
    base, _ = bits(24)
    path = vibe_bits(tmp_path / "a.hdf5", 24, learn=np.packbits(base[:4], axis=1))
    with Dataset(path) as dataset:
        np.testing.assert_array_equal(dataset.learn(), np.packbits(base[:4], axis=1))


# Sets


def members(count: int, seed: int, dim: int = 40) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.choice(dim, rng.integers(1, 12), replace=False) for _ in range(count)]


def jaccard(base: Any, queries: Any) -> Any:
    return np.array([[1 - len(set(a) & set(b)) / len(set(a) | set(b)) for b in base] for a in queries])


def ann_benchmarks_sets(path: Path, *, ordered: bool = True, dimension: int | None = 40, **more: Any) -> Path:
    base, queries = members(N, 1), members(QUERIES, 2)
    ids, found = nearest(jaccard(base, queries))
    arrange = (lambda row: sorted(row)) if ordered else (lambda row: [*row, row[0]])
    base, queries = [arrange(row) for row in base], [arrange(row) for row in queries]
    attrs = {"type": "sparse", "distance": "jaccard", "point_type": "bit"}
    attrs |= {} if dimension is None else {"dimension": dimension}
    parts = {
        "train": np.concatenate(base),
        "size_train": [len(row) for row in base],
        "test": np.concatenate(queries),
        "size_test": [len(row) for row in queries],
        "neighbors": ids,
        "distances": found,
    }
    return write(path, {**attrs, **more.pop("attrs", {})}, **{**parts, **more})


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("dimension", [40, None])
def test_sets_of_ann_benchmarks(tmp_path: Path, ordered: bool, dimension: int | None) -> None:
    path = ann_benchmarks_sets(tmp_path / "a.hdf5", ordered=ordered, dimension=dimension)
    base, queries = members(N, 1), members(QUERIES, 2)
    info = inspect(path, "x")
    assert (info.metric, info.dtype, info.n, info.dim) == ("jaccard", "sets", N, 40)
    assert info.elements == sum(map(len, base))
    with Dataset(path) as dataset:
        for read, rows in ((dataset.base(), base), (dataset.queries(), queries)):
            assert isinstance(read, Sets)
            assert [list(row) for row in read] == [sorted(row) for row in rows]
        assert [list(row) for row in dataset.base_rows(np.array([3, 0]))] == [sorted(base[3]), sorted(base[0])]


def test_sets_are_written_as_ann_benchmarks_writes_them(tmp_path: Path) -> None:
    with Dataset(ann_benchmarks_sets(tmp_path / "a.hdf5")) as dataset:
        queries = QuerySetArrays(dataset.queries(), dataset.neighbors(), dataset.distances(), dataset.queries()[:2])
        write_hdf5(tmp_path / "b.hdf5", DatasetArrays(dataset.base(), "jaccard", queries))
    with h5py.File(tmp_path / "a.hdf5") as old, h5py.File(tmp_path / "b.hdf5") as new:
        for name in ("train", "test", "size_train", "size_test", "neighbors", "distances"):
            np.testing.assert_array_equal(new[name][:], old[name][:])
        assert dict(new.attrs) == dict(old.attrs)
    with Dataset(tmp_path / "b.hdf5") as dataset:
        learn = dataset.learn()
        assert learn is not None
        assert len(learn) == 2
    assert inspect(tmp_path / "b.hdf5", "x").n == N


@pytest.mark.fault(8)
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"size_train": np.ones(N, int)}, "and the sizes of its sets are 80 together"),
        ({"size_train": np.full(N, 2**62)}, "the sizes of its sets are one of 4611686018427387904"),
        ({"size_train": np.full(N, -1)}, "or less than 0"),
        ({"size_train": np.ones((N, 1), int)}, "shape"),
        ({"size_train": np.ones(N)}, "dtype float64"),
        ({"size_train": np.zeros(0, int)}, "sizes"),
        ({"attrs": {"dimension": 20}}, "and the universe is 0 to 19"),
        ({"attrs": {"dimension": 0}}, "is 0"),
        ({"attrs": {"dimension": 2**40}}, "is 1099511627776"),
        ({"attrs": {"distance": "euclidean"}}, "holds sparse sets, which euclidean does not compare"),
        ({"attrs": {"type": "dense"}}, "holds bits, which jaccard|a dense matrix"),
        ({"test": np.zeros(0, int), "size_test": np.zeros(0, int)}, "holds no queries"),
        ({"distances": np.zeros((QUERIES, K))}, "stored distance 0"),
    ],
)
def test_sets_that_contradict_themselves(tmp_path: Path, parts: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        inspect(ann_benchmarks_sets(tmp_path / "a.hdf5", **parts), "x")
    assert caught.value.remedy


@pytest.mark.fault(8)
def test_elements_and_sizes_that_are_not_there(tmp_path: Path) -> None:
    for value, message in ((-1, "row 0: holds element -1"), (2**40, "row 0: holds element 1099511627776")):
        path = ann_benchmarks_sets(tmp_path / "a.hdf5")
        with h5py.File(path, "a") as file:
            elements = file["train"][:]
            elements[0] = value
            file["train"][:] = elements
        with pytest.raises(DatasetError, match=message):
            Dataset(path)
    with h5py.File(path, "a") as file:
        del file["size_train"]
    with pytest.raises(DatasetError, match="`size_train` is missing"):
        Dataset(path)


# Dense


@pytest.mark.parametrize("metric", ["snr", "poincare"])
def test_metrics_of_their_own_attribute(tmp_path: Path, metric: Any) -> None:
    rng = np.random.default_rng(SEED)
    base, queries = rng.uniform(-0.3, 0.3, (N, 8)), rng.uniform(-0.3, 0.3, (QUERIES, 8))
    difference = queries[:, None] - base[None]
    if metric == "snr":
        every = difference.var(axis=2) / queries.var(axis=1)[:, None]
    else:
        lengths = (1 - (queries**2).sum(1))[:, None] * (1 - (base**2).sum(1))[None]
        every = np.arccosh(1 + 2 * (difference**2).sum(axis=2) / lengths)
    ids, found = nearest(every)
    path = write(tmp_path / "a.hdf5", {"distance": metric}, train=base, test=queries, neighbors=ids, distances=found)
    assert inspect(path, "x").metric == metric
    write_hdf5(tmp_path / "b.hdf5", DatasetArrays(base, metric, QuerySetArrays(queries, ids, found)))
    assert inspect(tmp_path / "b.hdf5", "x").metric == metric


def unit(values: Any) -> Any:
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("distance", ["normalized", "ip", "cosine", "euclidean"])
def test_vibe_out_of_distribution_sets(tmp_path: Path, distance: str, endian: str) -> None:
    """`learn` is read; `learn_neighbors` and `avg_distances` are no part of the truth."""
    rng = np.random.default_rng(SEED)
    base, queries, learn = (unit(rng.standard_normal((n, 16))) for n in (N, QUERIES, 5))
    dots = queries.astype(float) @ base.T.astype(float)
    every = {"ip": -dots, "euclidean": np.sqrt(2 - 2 * dots)}.get(distance, 1 - dots)
    ids, found = nearest(every)
    path = write(
        tmp_path / "a.hdf5",
        {"distance": distance, "dimension": 16, "point_type": "float"},
        train=base.astype(f"{endian}f4"),
        test=queries.astype(f"{endian}f8"),
        neighbors=ids.astype(f"{endian}i8"),
        distances=found.astype(f"{endian}f8"),
        avg_distances=found.mean(axis=1),
        learn=learn.astype(f"{endian}f4"),
        learn_neighbors=np.zeros((5, K), np.uint32),
    )
    info = inspect(path, "x")
    assert info.query_sets["test"].learn_count == 5
    with Dataset(path) as dataset:
        np.testing.assert_array_equal(dataset.learn(), learn)
        np.testing.assert_array_equal(dataset.base(), base)
        np.testing.assert_array_equal(dataset.neighbors(), ids)


def test_normalized_distances_of_vectors_that_are_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    base, queries = rng.standard_normal((N, 8)), rng.standard_normal((QUERIES, 8))
    ids, found = nearest(1 - queries @ base.T)
    path = write(
        tmp_path / "a.hdf5", {"distance": "normalized"}, train=base, test=queries, neighbors=ids, distances=found
    )
    with pytest.raises(DatasetError, match="by cosine it is") as caught:
        inspect(path, "x")
    assert "1 − dot: normalise the vectors, or store −dot with distance ip" in caught.value.remedy


# Files that use the vectors of another


@pytest.fixture
def based(tmp_path: Path, arrays: Any) -> Path:
    """`more.hdf5`, whose base is that of `whole.hdf5` beside it."""
    made = arrays()
    write_hdf5(tmp_path / "whole.hdf5", made)
    write_hdf5(tmp_path / "more.hdf5", replace(made, provenance={"made_by": "me"}))
    with h5py.File(tmp_path / "more.hdf5", "a") as file:
        del file["train"]
        file.attrs["base_set"] = "whole"
        file.attrs["base_sha256"] = hashlib.sha256((tmp_path / "whole.hdf5").read_bytes()).hexdigest()
    return tmp_path / "more.hdf5"


def test_a_file_may_name_the_set_of_its_base(based: Path) -> None:
    info = inspect(based, "more")
    assert (info.n, info.dim) == (60, 8)
    assert info.provenance == {"made_by": "me", "base_set": "whole"}
    with Dataset(based) as dataset, Dataset(based.parent / "whole.hdf5") as whole:
        np.testing.assert_array_equal(dataset.base(), whole.base())
        assert isinstance(dataset.base_raw, Hdf5Rows)


def test_another_version_of_the_base_is_refused(based: Path) -> None:
    with h5py.File(based.parent / "whole.hdf5", "a") as file:
        file.attrs["note"] = "other"
    with pytest.raises(DatasetError, match="was made for the file of whole with sha256"):
        inspect(based, "more")


@pytest.mark.fault(9, 12)
@pytest.mark.parametrize("name", ["../whole", "/etc/passwd", "whole.hdf5/../whole", "WHOLE", "", "a" * 200])
def test_a_base_is_never_named_by_a_path(based: Path, name: str) -> None:
    with h5py.File(based, "a") as file:
        file.attrs["base_set"] = name
    with pytest.raises(DatasetError, match="names the base set"):
        Dataset(based)


@pytest.mark.fault(9, 12)
def test_a_base_that_is_missing_or_a_link_elsewhere(based: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (based.parent / "whole.hdf5").rename(elsewhere / "whole.hdf5")
    with pytest.raises(DatasetError, match="are those of whole, which is not here") as caught:
        Dataset(based)
    assert "annbench data get whole" in caught.value.remedy
    (based.parent / "whole.hdf5").symlink_to(elsewhere / "whole.hdf5")
    with pytest.raises(DatasetError, match="which is not here"):
        Dataset(based)


def test_a_base_does_not_lead_on_to_itself(based: Path) -> None:
    with h5py.File(based, "a") as file:
        file.attrs["base_set"] = "more"
    with pytest.raises(DatasetError, match="`train` is missing"):
        Dataset(based)


def test_a_base_of_another_distance_is_refused(based: Path) -> None:
    with h5py.File(based, "a") as file:
        file.attrs["distance"] = "ip"
    with pytest.raises(DatasetError, match="has distance ip, and its base set whole euclidean"):
        Dataset(based)


def test_bits_of_bytes_are_packed_in_blocks(tmp_path: Path) -> None:
    with Dataset(ann_benchmarks_bits(tmp_path / "a.hdf5", 20)) as dataset:
        rows = dataset.base_raw
        assert isinstance(rows, BitRows)
        blocks = list(rows.blocks(7 * 20 * 8))
        assert len(blocks) > 5
        np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), rows.whole())
