"""Small datasets in files, examined in this process or by the command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annbench.datasets.dataset import Dataset
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.distances.registry import distance_of
from annbench.doctor.examination import Examination
from annbench.doctor.examine import ExamineRequest
from annbench.doctor.model import Diagnosis, Finding

N, DIM, QUERIES, K = 1200, 12, 200, 30


def drawn(rows: int, seed: int, dim: int = DIM) -> Any:
    """Vectors of one distribution: normal, wider in some directions, off centre."""
    x = np.random.default_rng(seed).standard_normal((rows, dim)) * np.linspace(0.5, 2, dim) + 0.3
    return x.astype(np.float32)


def truth_of(base: Any, queries: Any, metric: Any = "euclidean", k: int = K) -> Any:
    """Ids and distances (q, k) by sorting everything. Rows without a distance come last; queries without one have 0."""
    distance = distance_of(metric)
    with np.errstate(all="ignore"):
        everything = np.array([distance.rowwise(queries[np.repeat(i, len(base))], base) for i in range(len(queries))])
    everything = np.where(np.isfinite(everything), everything, np.inf)
    everything[np.isinf(everything).all(axis=1)] = 0
    order = np.argsort(everything, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(everything, order, axis=1)


def with_truth(base: Any, queries: Any, metric: Any = "euclidean", k: int = K, **more: Any) -> QuerySetArrays:
    """A query set with its truth."""
    return QuerySetArrays(queries, *truth_of(base, queries, metric, k), **more)


class Lab:
    """What the tests plant faults with, and how they look for them."""

    drawn = staticmethod(drawn)
    truth_of = staticmethod(truth_of)
    with_truth = staticmethod(with_truth)

    def __init__(self, folder: Path) -> None:
        self.path = folder / "mine.hdf5"

    def write(self, base: Any = None, queries: Any = None, metric: Any = "euclidean", **more: Any) -> Path:
        """A file of `base` and `queries` (arrays, or a whole query set)."""
        base = drawn(N, 1) if base is None else base
        queries = drawn(QUERIES, 2) if queries is None else queries
        if not isinstance(queries, QuerySetArrays):
            queries = with_truth(base, queries, metric)
        write_hdf5(self.path, DatasetArrays(base, metric, queries, **more))
        return self.path

    def examine(self, *arguments: Any, request: dict[str, Any] | None = None, **more: Any) -> Diagnosis:
        """The diagnosis of a file, or of what `write` makes of the arguments; in this process."""
        path = arguments[0] if arguments and isinstance(arguments[0], Path) else self.write(*arguments, **more)
        asked = ExamineRequest(path=path, name="mine", **{"threads": 1, "sample": 400, **(request or {})})
        with Dataset(path) as dataset:
            return Examination(dataset, asked, lambda phase, done: None).run()

    @staticmethod
    def bad(diagnosis: Diagnosis) -> set[tuple[str, str]]:
        """(severity, code) of everything that is not ok."""
        return {(one.severity, one.code) for one in diagnosis.findings if one.severity != "ok"}

    @staticmethod
    def finding(diagnosis: Diagnosis, code: str, subject: str = "") -> Finding:
        """The one with this code."""
        found = [one for one in diagnosis.findings if one.code == code and subject in ("", one.subject)]
        assert len(found) == 1, f"{code}: {[(one.subject, one.severity) for one in found]}"
        return found[0]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Everything, for one file."""
    return Lab(tmp_path)
