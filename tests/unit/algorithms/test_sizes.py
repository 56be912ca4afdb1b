"""What adapters tell of their size, and descriptions in parts of the dimension."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annbench.algorithms.base import Algorithm, Params, PointContext
from annbench.algorithms.composed import Composed, ComposedBuild
from annbench.algorithms.faiss.factory import FactoryBuild, FactorySearch, FaissFactory, described_for

DIM = 32


def sizes(folder: Path, adapter: Algorithm, build: Params, n: int) -> tuple[int, int]:
    """Bytes of the saved index of n vectors, and of its tables."""
    base = np.random.default_rng(5).standard_normal((n, DIM), dtype=np.float32)
    adapter.build(base, "euclidean", build, 1)
    folder = folder / str(n)
    folder.mkdir()
    adapter.save(folder)
    tables = adapter.table_bytes()
    assert tables is not None
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
    build = FactoryBuild(factory=factory)
    (small, fixed), (large, same) = (sizes(tmp_path, FaissFactory(), build, n) for n in (320, 960))
    assert fixed == same
    assert tables <= fixed <= tables + 2000
    assert large - small == pytest.approx(640 * bytes_per_vector)
    # Lists that are not empty take a few bytes more to write.
    assert small - fixed == pytest.approx(320 * bytes_per_vector, abs=64)


@pytest.mark.parametrize(
    "build",
    [
        {"transform": "random-rotation", "codec": {"kind": "uniform", "bits": 1}},
        {"transform": {"kind": "pca", "dim": 16}, "codec": "float16", "rerank": "float32"},
        {"transform": "identity", "codec": {"kind": "uniform", "bits": 4, "residual_bits": 8}},
        {"codec": {"kind": "product", "groups": 8}},
    ],
    ids=lambda build: str(build["codec"]),
)
def test_what_our_index_tells_is_what_its_file_does_not_grow_by(tmp_path: Path, build: dict[str, Any]) -> None:
    params = ComposedBuild.model_validate(build)
    (small, fixed), (large, same) = (sizes(tmp_path, Composed(), params, n) for n in (320, 960))
    assert fixed == same
    # Arrays in the file begin at multiples of 64 bytes.
    assert small - fixed == pytest.approx((large - small) / 2, abs=64)


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
