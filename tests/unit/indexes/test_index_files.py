"""Index files that are damaged, or something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from index_data import SEED, X

import annbench
from annbench.errors import AnnbenchError, IndexFileError
from annbench.indexes.index import Index


@pytest.mark.fault(1, 2)
def test_a_damaged_file_is_refused_whatever_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "index"
    Index.build(X[:30], codec="uniform", structure={"kind": "ivf", "nlist": 3}, rerank="uniform", threads=1).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng(SEED)
    for end in random.integers(0, len(whole), 150):
        path.write_bytes(whole[:end])
        with pytest.raises(IndexFileError, match=str(path)):
            Index.load(path)
    for place, bit in zip(random.integers(0, len(whole), 300), random.integers(0, 8, 300), strict=True):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        with pytest.raises(IndexFileError, match=str(path)):
            Index.load(path)


@pytest.mark.fault(6)
def test_files_that_are_something_else(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"hello " * 100), ("npy", X.tobytes())):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(IndexFileError, match=name):
            Index.load(tmp_path / name)
    with pytest.raises(IndexFileError, match="absent"):
        Index.load(tmp_path / "absent")
    with pytest.raises(IndexFileError):
        Index.load(tmp_path)
    with pytest.raises(IndexFileError, match="nowhere"):
        Index.build(X[:9]).save(tmp_path / "nowhere" / "index")


@pytest.mark.fault(3)
@pytest.mark.parametrize(
    "description",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"metric": "cosine"}',
        "[" * 100_000,
        '{"metric": 3}',
        "{'a'",
        '{"metric":"ip","spec":{}}',
    ],
)
def test_a_description_of_something_else(description: str, tmp_path: Path) -> None:
    from annbench._native import ComposedIndex

    index = ComposedIndex(metric="euclidean", dim_in=8, dim=8, codec="uniform", bits=4, description=description)
    index.save(str(tmp_path / "index"))
    with pytest.raises(IndexFileError, match="description"):
        Index.load(tmp_path / "index")


def test_a_description_of_other_dimensions(tmp_path: Path) -> None:
    from annbench._native import ComposedIndex

    text = Index.build(X[:9, :7]).native.description
    index = ComposedIndex(metric="euclidean", dim_in=8, dim=8, codec="uniform", bits=4, description=text)
    index.save(str(tmp_path / "index"))
    with pytest.raises(IndexFileError, match="speaks of 7 dimensions"):
        Index.load(tmp_path / "index")


def test_errors_are_of_annbench() -> None:
    with pytest.raises(AnnbenchError):
        Index.build(X, codec="nothing")
    with pytest.raises(AttributeError, match="has no attribute 'Indexx'"):
        _ = annbench.Indexx
    assert "Index" in dir(annbench)


def test_as_many_groups_as_dimensions_come_back(tmp_path: Path) -> None:
    wide = np.random.default_rng(SEED).standard_normal((50, 40), dtype=np.float32)
    index = Index.build(wide, codec={"kind": "product", "groups": 40})
    index.save(tmp_path / "index")
    assert np.array_equal(Index.load(tmp_path / "index").search(wide, 3)[0], index.search(wide, 3)[0])
