"""What faiss adapters tell of their size, and descriptions in parts of the dimension."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annbench.algorithms.base import PointContext
from annbench.algorithms.faiss.factory import FactoryBuild, FactorySearch, FaissFactory, described_for

DIM = 32


def sizes(folder: Path, factory: str, n: int) -> tuple[int, int]:
    """Bytes of the saved index of n vectors, and of its tables."""
    index = FaissFactory()
    base = np.random.default_rng(5).standard_normal((n, DIM), dtype=np.float32)
    index.build(base, "euclidean", FactoryBuild(factory=factory), 1)
    folder = folder / f"{factory}-{n}".replace("/", "_")
    folder.mkdir()
    index.save(folder)
    tables = index.table_bytes()
    return sum(path.stat().st_size for path in folder.iterdir()), tables


@pytest.mark.parametrize(
    ("factory", "tables", "bytes_per_vector"),
    [
        ("SQ8", 2 * 4 * DIM, DIM),
        ("RR,RaBitQ", 4 * DIM * DIM, DIM / 8 + 8),
        ("PCAR{dim/2},SQ4", 4 * DIM * DIM * 1.5, DIM / 4),  # the library also writes the directions that it drops
        ("IVF4,Flat", 4 * 4 * DIM, 4 * DIM + 8),
    ],
)
def test_the_saved_bytes_are_tables_and_what_grows_with_vectors(
    tmp_path: Path, factory: str, tables: float, bytes_per_vector: float
) -> None:
    (small, fixed), (large, same) = sizes(tmp_path, factory, 320), sizes(tmp_path, factory, 960)
    assert fixed == same
    assert tables <= fixed <= tables + 2000
    assert large - small == pytest.approx(640 * bytes_per_vector)
    # Lists that are not empty take a few bytes more to write.
    assert small - fixed == pytest.approx(320 * bytes_per_vector, abs=64)


def test_a_part_of_the_dimension_is_rounded_down() -> None:
    assert described_for(100, "OPQ{dim/8}_{dim/2},PQ{dim/8}x4fs") == "OPQ12_50,PQ12x4fs"
    assert described_for(384, "PQ{dim}x4fs,RFlat") == "PQ384x4fs,RFlat"
    assert described_for(384, "PQ{dim/0}x4fs") == "PQ{dim/0}x4fs"


def test_the_library_refuses_parts_that_do_not_fit() -> None:
    context = PointContext(n=1000, dim=100, k=10, metric="euclidean")
    problem = FaissFactory.check(context, FactoryBuild(factory="PQ{dim/8}x4fs"), FactorySearch())
    assert problem is not None
    assert "'PQ12x4fs'" in problem
    assert FaissFactory.check(context, FactoryBuild(factory="PQ{dim/4}x4fs"), FactorySearch()) is None
