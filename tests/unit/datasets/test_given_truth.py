"""Vectors and truth as SIFT and big-ann-benchmarks come: read, checked, made a dataset; and truth that is not true."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annbench.datasets.add import Added, AddRequest, add_dataset
from annbench.datasets.assembling import load_vectors
from annbench.datasets.dataset import Dataset
from annbench.datasets.formats import vector_format
from annbench.datasets.formats.rows import BitRows, SetRows
from annbench.datasets.formats.truth import read_range_truth, read_truth
from annbench.datasets.given_truth import GivenTruth, check_given_truth
from annbench.datasets.parts import Parts
from annbench.errors import DatasetError, UsageError

N, QUERIES, DIM, K, SEED = 400, 50, 12, 20, 8


def save(path: Path, values: Any) -> Path:
    vector_format(path).write(path, values.shape, values.dtype, [(0, values)])
    return path


class Sift:
    """A folder as of SIFT: base, queries, the truth of both."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(SEED)
        self.folder = folder
        self.base = rng.standard_normal((N, DIM)).astype(np.float32)
        self.queries = rng.standard_normal((QUERIES, DIM)).astype(np.float32)
        every = np.linalg.norm(self.base[None].astype(float) - self.queries[:, None].astype(float), axis=2)
        self.ids = np.argsort(every, axis=1)[:, :K]
        self.distances = np.take_along_axis(every, self.ids, axis=1)
        save(folder / "sift_base.fvecs", self.base)
        save(folder / "sift_query.fvecs", self.queries)

    def parts(self, truth: Path | None, **fields: Any) -> dict[str, Any]:
        files = {"base": self.folder / "sift_base.fvecs", "queries": self.folder / "sift_query.fvecs", "truth": truth}
        return {**files, "metric": "euclidean", **fields}

    def ivecs(self, ids: Any = None) -> Path:
        return save(self.folder / "sift_groundtruth.ivecs", (self.ids if ids is None else ids).astype(np.int32))

    def big_ann(self, distances: Any, ids: Any = None, name: str = "GT.public.ibin") -> Path:
        ids = (self.ids if ids is None else ids).astype("<i4")
        content = struct.pack("<II", *ids.shape) + ids.tobytes() + distances.astype("<f4").tobytes()
        (self.folder / name).write_bytes(content)
        return self.folder / name

    def check(self, truth: Path, **fields: Any) -> GivenTruth:
        parts = Parts(**self.parts(truth, **fields))
        base, _ = load_vectors(parts.base, parts, limit=parts.limit)
        return check_given_truth(base, self.queries, parts)


@pytest.fixture
def sift(tmp_path: Path) -> Sift:
    return Sift(tmp_path)


def test_add_as_of_sift(sift: Sift, tmp_path: Path) -> None:
    def add(**fields: Any) -> Added:
        return add_dataset(AddRequest(name="sift", folder=tmp_path / "data", force=True, **sift.parts(**fields)))

    added = add(truth=sift.ivecs(), learn=tmp_path / "sift_query.fvecs")
    assert added.notes == ()
    assert added.info.query_sets["test"].learn_count == QUERIES
    assert added.info.provenance["truth_file"] == "sift_groundtruth.ivecs"
    computed = add(truth=None, k=K)
    for path in (added.info.path, computed.info.path):
        with Dataset(Path(path)) as dataset:
            np.testing.assert_array_equal(dataset.base(), sift.base)
            np.testing.assert_array_equal(dataset.neighbors(), sift.ids)
            np.testing.assert_allclose(dataset.distances(), sift.distances, rtol=1e-6)


@pytest.mark.parametrize(
    ("convert", "note"),
    [
        (lambda d: d, None),
        (lambda d: d**2, "squared L2 distances, kept as L2 distances, not squared"),
        (lambda d: -d, "similarities"),
        (lambda d: 1 - d, "1 − the distance"),
    ],
)
def test_distances_in_the_conventions_of_truth_files(sift: Sift, convert: Any, note: str | None) -> None:
    truth = sift.check(sift.big_ann(convert(sift.distances)))
    np.testing.assert_array_equal(truth.neighbors, sift.ids)
    np.testing.assert_allclose(truth.distances, sift.distances, rtol=1e-12)
    assert [note in said for said in truth.notes] == ([] if note is None else [True])


def test_the_first_k_are_kept(sift: Sift) -> None:
    truth = sift.check(sift.ivecs(), k=5)
    np.testing.assert_array_equal(truth.neighbors, sift.ids[:, :5])
    assert truth.notes == ("sift_groundtruth.ivecs: the first 5 of 20 neighbours are kept",)


def test_equal_distances_may_be_in_any_order(sift: Sift) -> None:
    truth = sift.check(sift.ivecs(sift.ids[:, ::-1]))
    np.testing.assert_array_equal(truth.neighbors, sift.ids)


def replaced(ids: Any, row: int, column: int, value: int) -> Any:
    changed = ids.copy()
    changed[row, column] = value
    return changed


def test_truth_that_is_not_true(sift: Sift) -> None:
    """Every mistake that was made in the field: other base, other queries, other metric, ids from 1, shuffled rows."""
    far = int(np.argmax(np.linalg.norm(sift.base - sift.queries[0], axis=1)))
    for ids, message in (
        (replaced(sift.ids, 7, 3, N), f"row 7: holds id {N} in column 3, and the base has rows 0 to {N - 1}"),
        (replaced(sift.ids, 7, 3, -1), "row 7: holds id -1"),
        (replaced(sift.ids, 7, 3, sift.ids[7, 4]), "row 7: lists the same neighbour twice"),
        (replaced(sift.ids, 0, 19, far), "row 0: says that neighbour 19 is id"),
        (sift.ids[::-1], "says that neighbour 0"),
        ((sift.ids + 1) % N, "says that neighbour 0"),
        (sift.ids[:40], "has 40 rows for 50 queries"),
    ):
        with pytest.raises(DatasetError, match=message) as caught:
            sift.check(sift.ivecs(ids))
        assert caught.value.remedy
    with pytest.raises(DatasetError, match="says that neighbour"):
        sift.check(sift.ivecs(), metric="ip")
    with pytest.raises(DatasetError, match=r"holds distance 3\.\d+ to id \d+, and by cosine it is 0\.") as caught:
        sift.check(sift.big_ann(sift.distances + 1), metric="cosine")
    with pytest.raises(DatasetError, match="row 0, column 0: holds distance") as caught:
        sift.check(sift.big_ann(sift.distances), metric="cosine")
    assert "euclidean distances" in caught.value.remedy
    # The truth of the whole base does not fit a part of it.
    with pytest.raises(DatasetError, match="the base has rows 0 to 99"):
        sift.check(sift.ivecs(), limit=100)


def test_what_the_files_of_truth_may_be(sift: Sift, tmp_path: Path) -> None:
    bare = struct.pack("<II", QUERIES, K) + sift.ids.astype("<i4").tobytes()
    (tmp_path / "gt.ibin").write_bytes(bare)
    np.save(tmp_path / "gt.npy", sift.ids)
    for path in (tmp_path / "gt.ibin", tmp_path / "gt.npy", save(tmp_path / "gt.parquet", sift.ids)):
        truth = read_truth(path)
        assert truth.distances is None
        np.testing.assert_array_equal(truth.neighbors.stored(), sift.ids)
    for name in ("bigann-100M", "query_gt100.bin", "x.GT"):
        truth = read_truth(sift.big_ann(sift.distances, name=name))
        assert truth.distances is not None
        np.testing.assert_array_equal(truth.neighbors.stored(), sift.ids)
        np.testing.assert_allclose(truth.distances.stored(), sift.distances, rtol=1e-6)
    with pytest.raises(DatasetError, match="holds float32"):
        read_truth(tmp_path / "sift_base.fvecs")


@pytest.mark.fault(10)
def test_truth_files_cut_anywhere(tmp_path: Path) -> None:
    ids, distances = np.arange(6, dtype="<i4"), np.arange(6, dtype="<f4")
    whole = struct.pack("<II", 3, 2) + ids.tobytes() + distances.tobytes()
    for length in range(len(whole)):
        (tmp_path / "gt").write_bytes(whole[:length])
        if length == 8 + 4 * 6:
            assert read_truth(tmp_path / "gt").distances is None
            continue
        with pytest.raises(DatasetError) as caught:
            read_truth(tmp_path / "gt")
        assert caught.value.remedy
    for head in ((2**31, 2**31), (0, 4), (4, 0), (2**23, 1024)):
        (tmp_path / "gt").write_bytes(struct.pack("<II", *head).ljust(80, b"\0"))
        with pytest.raises(DatasetError):
            read_truth(tmp_path / "gt")


@pytest.mark.fault(10)
def test_range_truth(tmp_path: Path) -> None:
    def write(queries: int, total: int, counts: list[int], ids: int = 5) -> Path:
        content = struct.pack("<ii", queries, total) + np.array(counts, "<i4").tobytes()
        content += np.arange(ids, dtype="<i4").tobytes() + np.arange(ids, dtype="<f4").tobytes()
        (tmp_path / "gt.rangeres").write_bytes(content)
        return tmp_path / "gt.rangeres"

    truth = read_range_truth(write(4, 5, [2, 0, 3, 0]))
    assert truth.indptr.tolist() == [0, 2, 2, 5, 5]
    assert truth.ids.tolist() == truth.distances.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(DatasetError, match="is a truth for range search"):
        read_truth(tmp_path / "gt.rangeres")
    for arguments in ((4, 5, [2, 0, 2, 0]), (4, 5, [2, -1, 4, 0]), (4, 6, [2, 0, 3, 1]), (-4, 5, [2, 0, 3, 0]),
                      (4, -5, [2, 0, 3, 0]), (0, 5, [])):  # fmt: skip
        with pytest.raises(DatasetError):
            read_range_truth(write(*arguments))
    whole = write(4, 5, [2, 0, 3, 0]).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "gt.rangeres").write_bytes(whole[:length])
        with pytest.raises(DatasetError):
            read_range_truth(tmp_path / "gt.rangeres")


def test_what_is_refused_before_a_file_is_read(sift: Sift) -> None:
    for fields, message in (
        ({"queries": None}, "--truth is about queries"),
        ({"metric": None}, "need a metric"),
        ({"held_out": 3}, "exclude each other"),
    ):
        with pytest.raises(UsageError, match=message):
            add_dataset(AddRequest(name="x", folder=sift.folder, **sift.parts(sift.folder / "t.ivecs", **fields)))


# What the metric compares


def test_bits_and_sets_from_vector_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    bits = rng.random((30, 20)) < 0.5
    packed = save(tmp_path / "a.u8bin", np.packbits(bits, axis=1))
    rows, _ = load_vectors(packed, Parts(base=packed, metric="hamming", dimension=20))
    assert isinstance(rows, BitRows)
    assert rows.dim == 20
    np.save(tmp_path / "a.npy", bits)
    unpacked, _ = load_vectors(tmp_path / "a.npy", Parts(base=packed, metric="hamming"), limit=9)
    np.testing.assert_array_equal(unpacked.stored(), np.packbits(bits, axis=1)[:9])
    for fields in ({"dimension": 25}, {"dimension": 16}):
        with pytest.raises(DatasetError, match="which are not"):
            load_vectors(packed, Parts(base=packed, metric="hamming", **fields))
    with pytest.raises(DatasetError, match="bits set beyond dimension 17"):
        load_vectors(packed, Parts(base=packed, metric="hamming", dimension=17))
    sparse = save(tmp_path / "a.spmat", bits.astype(np.float32))
    sets, _ = load_vectors(sparse, Parts(base=sparse, metric="jaccard"), limit=5)
    assert isinstance(sets, SetRows)
    assert [list(row) for row in sets.whole()] == [list(np.flatnonzero(row)) for row in bits[:5]]
    with pytest.raises(DatasetError, match="jaccard compares sets"):
        load_vectors(packed, Parts(base=packed, metric="jaccard"))
    dense, _ = load_vectors(sparse, Parts(base=sparse, metric="euclidean"))
    np.testing.assert_array_equal(dense.stored(), bits)
