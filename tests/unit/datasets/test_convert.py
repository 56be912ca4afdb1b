"""`convert`: values stay what they are or it is said, the target appears whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from annbench.datasets.casting import Casting
from annbench.datasets.convert import Converted, ConvertRequest, convert_files, find_source
from annbench.datasets.converting import write_target
from annbench.datasets.dataset import Dataset
from annbench.datasets.formats import VECTOR_FORMATS, open_vectors, vector_format
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.datasets.formats.rows import ArrayRows
from annbench.datasets.formats.truth import read_truth
from annbench.datasets.inspect import inspect
from annbench.datasets.parts import Parts
from annbench.distances.sets import Sets
from annbench.errors import DatasetError, UnknownNameError, UsageError

SEED = 4
WRITTEN = [ending for ending in VECTOR_FORMATS if ending != ".bin"]


def save(path: Path, values: Any) -> Path:
    vector_format(path).write(path, values.shape, values.dtype, [(0, values)])
    return path


def here(source: Path | None, target: Path, **fields: Any) -> dict[str, Any]:
    """Convert in this process."""
    return write_target(ConvertRequest(source=source, target=target, **fields), lambda phase, done: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("convert")


@pytest.mark.parametrize(("first", "second"), list(product(WRITTEN, WRITTEN)))
def test_every_pair_of_formats_and_back(folder: Path, first: str, second: str) -> None:
    """Small whole numbers are the same in every dtype."""
    values = np.random.default_rng(SEED).integers(0, 128, (11, 6))
    stored = values.astype(vector_format(Path(f"a{first}")).dtypes[0])
    source = save(folder / f"a{first}", stored)
    assert here(source, folder / f"b{second}", force=True)["notes"] == []
    here(folder / f"b{second}", folder / f"c{first}", force=True, dtype=stored.dtype.name)
    np.testing.assert_array_equal(open_vectors(folder / f"b{second}").rows.stored(), values)
    np.testing.assert_array_equal(open_vectors(folder / f"c{first}").rows.stored(), values)
    assert (folder / f"c{first}").read_bytes() == source.read_bytes()


NUMBERS = st.sampled_from(["float16", "float32", "float64", "int8", "uint8", "int32", "int64"])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), source=NUMBERS, target=NUMBERS, lossy=st.booleans())
def test_any_values_are_the_same_afterwards_or_refused(data: Any, source: str, target: str, lossy: bool) -> None:
    values = data.draw(hnp.arrays(source, st.tuples(st.integers(1, 5), st.integers(1, 4))))
    casting = Casting(ArrayRows(values, "here"), np.dtype(target), lossy=lossy)
    exact = np.array(
        [
            [is_exact(v, w, target) for v, w in zip(*rows, strict=True)]
            for rows in zip(values, narrowed(values, target), strict=True)
        ]
    )
    impossible = ~exact & ~(np.isfinite(values) & np.isfinite(narrowed(values, target)))
    if impossible.any() or not (lossy or exact.all()):
        with pytest.raises(DatasetError, match="here: row"):
            list(casting.blocks())
        return
    ((_, stored),) = casting.blocks()
    assert stored.dtype == target
    assert casting.changed == (~exact).sum()
    assert lossy or not casting.changed
    np.testing.assert_array_equal(stored[exact].astype(float), values[exact].astype(float))


def test_integers_beyond_2_to_the_53_are_not_taken_for_exact() -> None:
    casting = Casting(ArrayRows(np.array([[(1 << 53) + 1, 1 << 53]]), "here"), np.dtype("float64"), lossy=True)
    list(casting.blocks())
    assert casting.changed == 1
    assert casting.largest == 1


def is_exact(value: Any, stored: Any, target: str) -> bool:
    """In Python's numbers, which compare exactly."""
    if not np.isfinite(value):
        return target.startswith("float")
    if target.startswith("float"):
        return bool(value.item() == stored.item())
    limits = np.iinfo(target)
    return float(value).is_integer() and int(limits.min) <= int(value) <= int(limits.max)


def narrowed(values: Any, target: str) -> Any:
    with np.errstate(all="ignore"):
        return values.astype(target)


@pytest.mark.parametrize(
    ("value", "dtype", "message", "remedy"),
    [
        (0.5, "uint8", "row 2: holds 0.5 in column 1, which uint8 cannot", "--lossy"),
        (256, "uint8", "holds 256.0", "--lossy"),
        (-1, "uint8", "holds -1.0", "--lossy"),
        (np.nan, "int8", "holds nan", "another --dtype"),
        (np.inf, "int32", "holds inf", "another --dtype"),
        (1e6, "float16", "holds 1000000.0", "another --dtype"),
        (0.1, "float16", "holds 0.10000000149011612", "--lossy"),
    ],
)
def test_what_cannot_be_kept_is_named(tmp_path: Path, value: float, dtype: str, message: str, remedy: str) -> None:
    values = np.ones((5, 3), np.float32)
    values[2, 1] = value
    source = save(tmp_path / "a.fbin", values)
    with pytest.raises(DatasetError, match=message) as caught:
        here(source, tmp_path / "b.npy", dtype=dtype)
    assert remedy in caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["a.fbin"]
    if "lossy" not in remedy:
        with pytest.raises(DatasetError, match=message):
            here(source, tmp_path / "b.npy", dtype=dtype, lossy=True)


def test_losses_are_counted(tmp_path: Path) -> None:
    values = np.array([[1, 2.4, 300], [-7, 0.5, 1.5]], np.float32)
    answer = here(save(tmp_path / "a.fvecs", values), tmp_path / "b.u8bin", lossy=True)
    np.testing.assert_array_equal(open_vectors(tmp_path / "b.u8bin").rows.stored(), [[1, 2, 255], [0, 0, 2]])
    assert answer["notes"] == ["5 values changed to be uint8, by 45 at most"]


def test_through_the_child_with_progress(tmp_path: Path) -> None:
    values = np.random.default_rng(SEED).standard_normal((300_000, 16)).astype(np.float32)
    seen: list[tuple[str, float]] = []
    made = convert_files(
        ConvertRequest(source=save(tmp_path / "a.fbin", values), target=tmp_path / "b.npy", limit=290_000),
        lambda phase, done: seen.append((phase, done)),
    )
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), values[:290_000])
    assert made == Converted(tmp_path / "b.npy", (290_000, 16), "float32", (tmp_path / "b.npy").stat().st_size, ())
    assert len(seen) > 2
    assert seen[-1] == ("write", 1.0)


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"target": "a.npy"}, DatasetError, "exists already"),
        ({"target": "no/b.npy"}, DatasetError, "no such folder"),
        ({"target": "b.txt"}, DatasetError, "not a format of vectors"),
        ({"target": "b.bin"}, UsageError, "does not say what is in it"),
        ({"target": "b.fvecs", "dtype": "int8"}, UsageError, "fvecs cannot store int8"),
        ({"target": "b.hdf5"}, UsageError, "a dataset needs more than vectors"),
        ({"target": "b.npy", "part": "base"}, UsageError, "has no parts"),
        ({"target": "b.npy", "part": "truth"}, UsageError, "is .bin or .ibin"),
        ({"target": "b.npy", "part": "distances"}, DatasetError, "holds float32"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path: Path, fields: Any, kind: type[Exception], message: str) -> None:
    source = save(tmp_path / "a.npy", np.ones((3, 2), np.float32))
    with pytest.raises(kind, match=message):
        convert_files(ConvertRequest(source=source, **{**fields, "target": tmp_path / fields["target"]}))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_nothing_is_overwritten_unless_forced(tmp_path: Path) -> None:
    source = save(tmp_path / "a.npy", np.ones((3, 2), np.float32))
    (tmp_path / "b.fvecs").write_bytes(b"mine")
    with pytest.raises(DatasetError, match="exists already") as caught:
        convert_files(ConvertRequest(source=source, target=tmp_path / "b.fvecs"))
    assert "--force" in caught.value.remedy
    assert (tmp_path / "b.fvecs").read_bytes() == b"mine"
    here(source, tmp_path / "b.fvecs", force=True)
    np.testing.assert_array_equal(open_vectors(tmp_path / "b.fvecs").rows.stored(), np.ones((3, 2)))
    # A refusal half way leaves what was there.
    with pytest.raises(DatasetError, match="row 2"):
        here(save(tmp_path / "c.npy", np.array([[1], [2], [1e-9 + 1]])), tmp_path / "b.fvecs", force=True)
    np.testing.assert_array_equal(open_vectors(tmp_path / "b.fvecs").rows.stored(), np.ones((3, 2)))


@pytest.mark.fault(28)
def test_leftovers_of_dead_processes_go(tmp_path: Path) -> None:
    source = save(tmp_path / "a.npy", np.ones((3, 2), np.float32))
    dead = tmp_path / ".b.999999999.tmp.fbin"
    alive = tmp_path / f".b.{os.getppid()}.tmp.fbin"
    for path in (dead, alive):
        path.write_bytes(b"half")
    here(source, tmp_path / "b.fbin")
    assert not dead.exists()
    assert alive.exists()


# Parts of datasets


@pytest.fixture
def dataset(tmp_path: Path, arrays: Callable[..., DatasetArrays]) -> Path:
    made = arrays("euclidean")
    learn = QuerySetArrays(made.queries.test, made.queries.neighbors, made.queries.distances, learn=made.base[:3])
    write_hdf5(tmp_path / "set.hdf5", DatasetArrays(made.base, "euclidean", made.queries, {"ood": learn}))
    return tmp_path / "set.hdf5"


def test_each_part_of_a_dataset(dataset: Path, tmp_path: Path) -> None:
    with Dataset(dataset) as open_set:
        expected = {
            "base": open_set.base(),
            "queries": open_set.queries(),
            "neighbors": open_set.neighbors(),
            "distances": open_set.distances(),
        }
        learn = open_set.learn("ood")
    for part, values in expected.items():
        for ending in (".npy", ".parquet", ".ibin" if part == "neighbors" else ".fvecs"):
            here(dataset, tmp_path / f"{part}{ending}", part=part)
            np.testing.assert_array_equal(open_vectors(tmp_path / f"{part}{ending}").rows.stored(), values)
    here(dataset, tmp_path / "learn.fbin", part="learn", query_set="ood")
    np.testing.assert_array_equal(open_vectors(tmp_path / "learn.fbin").rows.stored(), learn)
    here(dataset, tmp_path / "truth.bin", part="truth", limit=5)
    truth = read_truth(tmp_path / "truth.bin")
    assert truth.distances is not None
    np.testing.assert_array_equal(truth.neighbors.stored(), expected["neighbors"][:5])
    np.testing.assert_array_equal(truth.distances.stored(), expected["distances"][:5])
    for part, ending in (("neighbors", "ivecs"), ("distances", "fvecs")):
        here(tmp_path / "truth.bin", tmp_path / f"again.{ending}", part=part)
        np.testing.assert_array_equal(open_vectors(tmp_path / f"again.{ending}").rows.stored(), expected[part][:5])


def test_parts_that_are_not_there(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="several parts"):
        here(dataset, tmp_path / "b.npy")
    with pytest.raises(DatasetError, match="has no learn"):
        here(dataset, tmp_path / "b.npy", part="learn")
    with pytest.raises(UnknownNameError, match="did you mean ood"):
        here(dataset, tmp_path / "b.npy", part="queries", query_set="odd")


def test_a_source_by_name_or_path(dataset: Path, tmp_path: Path) -> None:
    assert find_source("set", tmp_path) == dataset
    assert find_source(str(dataset)) == dataset
    with pytest.raises(DatasetError, match="no such file"):
        find_source(str(tmp_path / "none.fvecs"))
    with pytest.raises(DatasetError, match="no such file"):
        find_source("none.fvecs")
    with pytest.raises(UnknownNameError):
        find_source("sett", tmp_path)


# Datasets of parts


def test_a_dataset_there_and_back(dataset: Path, tmp_path: Path) -> None:
    for part, ending in (("base", "fvecs"), ("queries", "fbin"), ("neighbors", "ivecs")):
        here(dataset, tmp_path / f"{part}.{ending}", part=part)
    parts = Parts(
        base=tmp_path / "base.fvecs",
        queries=tmp_path / "queries.fbin",
        truth=tmp_path / "neighbors.ivecs",
        learn=tmp_path / "queries.fbin",
        metric="euclidean",
    )
    made = convert_files(ConvertRequest(source=None, target=tmp_path / "again.hdf5", parts=parts))
    assert (made.shape, made.dtype) == ((60, 8), "float32")
    with h5py.File(dataset) as old, h5py.File(tmp_path / "again.hdf5") as new:
        for name in ("train", "test", "neighbors"):
            np.testing.assert_array_equal(new[name][:], old[name][:])
        np.testing.assert_allclose(new["distances"][:], old["distances"][:], rtol=1e-6)
        np.testing.assert_array_equal(new["learn"][:], old["test"][:])
    with pytest.raises(UsageError, match="is no dataset"):
        convert_files(ConvertRequest(source=None, target=tmp_path / "x.npy", parts=parts))


def test_packed_bits_there_and_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    base, queries = rng.random((50, 20)) < 0.5, rng.random((4, 20)) < 0.5
    every = (base[None] != queries[:, None]).sum(axis=2)
    ids = np.argsort(every, axis=1, kind="stable")[:, :7]
    truth = QuerySetArrays(np.packbits(queries, axis=1), ids, np.take_along_axis(every, ids, axis=1))
    write_hdf5(tmp_path / "set.hdf5", DatasetArrays(np.packbits(base, axis=1), "hamming", truth, dim=20))
    notes = here(tmp_path / "set.hdf5", tmp_path / "base.u8bin", part="base")["notes"]
    assert notes == ["rows are packed bits, 20 of them; to read them again, give --dimension 20"]
    np.testing.assert_array_equal(open_vectors(tmp_path / "base.u8bin").rows.stored(), np.packbits(base, axis=1))


def test_sets_there_and_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(SEED)
    sets = Sets.from_rows([rng.choice(30, rng.integers(0, 9), replace=False) for _ in range(40)], 30)
    truth = QuerySetArrays(sets[:2], np.array([[0], [1]]), np.zeros((2, 1)))
    write_hdf5(tmp_path / "set.hdf5", DatasetArrays(sets, "jaccard", truth))
    here(tmp_path / "set.hdf5", tmp_path / "base.spmat", part="base", limit=33)
    file = open_vectors(tmp_path / "base.spmat")
    assert file.as_sets is not None
    found = file.as_sets().whole()
    np.testing.assert_array_equal(found.elements, sets[:33].elements)
    np.testing.assert_array_equal(found.indptr, sets[:33].indptr)
    assert found.dim == 30
    with pytest.raises(UsageError, match="sets are not rows of one length"):
        here(tmp_path / "set.hdf5", tmp_path / "base.npy", part="base")
    assert inspect(tmp_path / "set.hdf5", "x").n == 40
