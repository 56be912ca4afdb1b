"""A build may ask for training queries: it gets a query set's learn part, as float32, and never what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.distances.registry import true_distances
from annbench.errors import UnknownNameError, UnsupportedError
from annbench.runner.session import build_and_save

ADAPTER = """
from annbench.algorithms.base import Algorithm, Params
import numpy as np

class Build(Params):
    learn: str | None = None

class Learner(Algorithm):
    BuildParams = Build
    metrics = frozenset({"euclidean"})
    queries = None

    @classmethod
    def learn_set(cls, params):
        return params.learn

    def learn(self, queries):
        self.queries = queries

    def build(self, base, metric, params, threads):
        self.base = base

    def save(self, folder):
        np.save(folder / "queries.npy", self.queries if self.queries is not None else np.empty(0))
"""
RANDOM = np.random.default_rng(3)
BASE = RANDOM.normal(size=(40, 4)).astype(np.float32)
LEARN = RANDOM.normal(size=(9, 4)).astype(np.float32)


def query_set(learn: np.ndarray | None) -> QuerySetArrays:
    queries = RANDOM.normal(size=(5, 4)).astype(np.float32)
    distances = true_distances("euclidean", queries, np.broadcast_to(BASE, (5, *BASE.shape)))
    order = np.argsort(distances, axis=1)[:, :10]
    return QuerySetArrays(queries, order, np.take_along_axis(distances, order, axis=1), learn=learn)


@pytest.fixture
def request_of(tmp_path: Path) -> Any:
    (tmp_path / "learner.py").write_text(ADAPTER)
    arrays = DatasetArrays(BASE, "euclidean", query_set(None), {"ood": query_set(LEARN)})
    write_hdf5(tmp_path / "set.hdf5", arrays)
    (tmp_path / "index").mkdir()

    def make(learn: str | None) -> dict[str, Any]:
        return {
            "algorithm": "learner.py:Learner",
            "base_dir": str(tmp_path),
            "build": {"learn": learn},
            "build_index": 0,
            "build_threads": 1,
            "folder": str(tmp_path / "index"),
            "dataset": str(tmp_path / "set.hdf5"),
        }

    return make


def test_the_learn_part_of_the_named_set_is_handed_over(request_of: Any, tmp_path: Path) -> None:
    build_and_save(request_of("ood"))
    assert np.array_equal(np.load(tmp_path / "index" / "queries.npy"), LEARN)


def test_nothing_is_handed_over_unasked(request_of: Any, tmp_path: Path) -> None:
    build_and_save(request_of(None))
    assert np.load(tmp_path / "index" / "queries.npy").size == 0


def test_a_set_without_them_and_a_set_that_is_not_there(request_of: Any) -> None:
    with pytest.raises(UnsupportedError, match="query set test has no training queries"):
        build_and_save(request_of("test"))
    with pytest.raises(UnknownNameError, match="did you mean ood"):
        build_and_save(request_of("oood"))
