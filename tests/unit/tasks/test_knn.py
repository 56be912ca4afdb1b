"""The knn task calls the adapter's own methods and scores against the stored truth of a dataset file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from annbench.algorithms.bruteforce import BruteForce
from annbench.datasets.dataset import Dataset
from annbench.errors import DatasetError, UnknownNameError
from annbench.tasks.base import Asked
from annbench.tasks.registry import load_task

K = 5


@pytest.fixture
def inner_product_file(tmp_path: Path) -> Path:
    """A small file of metric inner product with its exact truth."""
    rng = np.random.default_rng(8)
    base = rng.standard_normal((300, 7), np.float32)
    queries = rng.standard_normal((20, 7), np.float32)
    scores = -(queries.astype(float) @ base.astype(float).T)
    truth = np.argsort(scores, axis=1)[:, :10]
    path = tmp_path / "small.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = "ip"
        file["train"], file["test"] = base, queries
        file["neighbors"] = truth.astype(np.int32)
        file["distances"] = np.take_along_axis(scores, truth, axis=1).astype(np.float32)
    return path


def test_nothing_stands_between_the_loop_and_the_adapter() -> None:
    adapter, task = BruteForce(), load_task("knn")
    assert task.single(adapter) == adapter.search
    assert task.batch(adapter) == adapter.search_batch


@pytest.mark.parametrize("count", [None, 6])
def test_exact_search_scores_one_in_both_modes(inner_product_file: Path, count: int | None) -> None:
    task, adapter = load_task("knn"), BruteForce()
    with Dataset(inner_product_file) as dataset:
        queries = dataset.queries()[:count]
        adapter.build(dataset.base(), dataset.info.metric, adapter.BuildParams(), 1)
        adapter.configure(adapter.SearchParams(), 1)
        scorer = task.scorer(dataset, Asked("test", count, K))
        single = [task.single(adapter)(row, K) for row in queries]
        batch = task.batch(adapter)(queries, K)
        for outputs in (single, batch):
            summary = scorer.score(task.ids(outputs, len(queries), K))
            assert summary.recall_at_k == 1  # type: ignore[attr-defined]


def test_a_k_beyond_the_stored_truth_names_the_file(inner_product_file: Path) -> None:
    with (
        Dataset(inner_product_file) as dataset,
        pytest.raises(DatasetError, match=r"small\.hdf5.*10 neighbours"),
    ):
        load_task("knn").scorer(dataset, Asked("test", None, 11))


def test_unknown_tasks_are_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean knn"):
        load_task("kn")
