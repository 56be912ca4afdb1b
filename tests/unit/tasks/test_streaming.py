"""The truth while an index changes: by definition, with ids that were deleted, replaced, and inserted again."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from annbench.datasets import stream_truth
from annbench.datasets.dataset import Dataset
from annbench.datasets.runbook import Delete, Insert, Replace, Runbook, Search, made_runbook
from annbench.datasets.stream_truth import Live
from annbench.errors import UsageError
from annbench.tasks import streaming
from annbench.tasks.base import Asked
from annbench.tasks.registry import load_task

K = 3
STEPS = (
    Insert(start=0, end=30),
    Search(),
    Delete(start=5, end=15),
    Replace(tags_start=0, tags_end=5, ids_start=40, ids_end=45),
    Search(),
    Insert(start=5, end=15),
    Delete(start=0, end=4),
    Delete(start=6, end=30),  # two are left, fewer than k
    Search(),
)


@pytest.fixture(params=["euclidean", "angular", "ip"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    rng = np.random.default_rng(3)
    path = tmp_path / "d.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = request.param
        file["train"] = rng.standard_normal((50, 8), dtype=np.float32)
        file["test"] = rng.standard_normal((6, 8), dtype=np.float32)
        file["neighbors"], file["distances"] = np.zeros((6, 1), np.int32), np.zeros((6, 1), np.float32)
    return Dataset(path)


@pytest.fixture
def runbook() -> Runbook:
    return made_runbook("d", STEPS)


def states(runbook: Runbook) -> list[dict[int, int]]:
    """id → row at every search, by definition."""
    live: dict[int, int] = {}
    found = []
    for step in runbook.steps:
        match step:
            case Insert():
                live |= {row: row for row in range(step.start, step.end)}
            case Delete():
                live = {i: row for i, row in live.items() if not step.start <= i < step.end}
            case Replace():
                live |= {step.tags_start + i: step.ids_start + i for i in range(step.touched)}
            case Search():
                found.append(dict(live))
    return found


def exact(dataset: Dataset, state: dict[int, int]) -> np.ndarray:
    base, queries = dataset.base().astype(np.float64), dataset.queries().astype(np.float64)
    ids = np.array(sorted(state))
    vectors = base[[state[i] for i in ids]]
    if dataset.info.metric == "euclidean":
        distances = np.linalg.norm(vectors[None] - queries[:, None], axis=2)
    else:
        distances = -(queries @ vectors.T)
        if dataset.info.metric == "cosine":
            distances /= np.linalg.norm(vectors, axis=1)
    nearest = ids[np.argsort(distances, axis=1, kind="stable")[:, :K]]
    return np.pad(nearest, ((0, 0), (0, K - nearest.shape[1])), constant_values=-1)


def test_live_is_what_the_steps_say(runbook: Runbook) -> None:
    live, expected = Live(runbook), iter(states(runbook))
    for step in runbook.steps:
        live.apply(step)
        if isinstance(step, Search):
            assert dict(zip(live.ids.tolist(), live.rows(live.ids).tolist(), strict=True)) == next(expected)


def test_exact_ids_have_recall_one_at_every_step(dataset: Dataset, runbook: Runbook) -> None:
    ids = np.stack([exact(dataset, state) for state in states(runbook)])
    judge = load_task("streaming").scorer(dataset, Asked("test", None, K, runbook))
    steps = judge.score(ids).steps
    assert [step.recall_at_k for step in steps] == [1.0, 1.0, 1.0]
    assert [step.recall_ids_at_k for step in steps] == [1.0, 1.0, 1.0]
    assert [step.missing_ids for step in steps] == [0, 0, 6]  # of the third, of which there are two


def test_ids_that_have_left_are_no_answers(dataset: Dataset, runbook: Runbook) -> None:
    ids = np.stack([exact(dataset, state) for state in states(runbook)])
    ids[1, :, 0] = 7  # deleted by then
    ids[2, 0, 0] = 1 << 40
    steps = load_task("streaming").scorer(dataset, Asked("test", None, K, runbook)).score(ids).steps
    assert [step.out_of_range_ids for step in steps] == [0, 6, 1]
    assert steps[1].recall_at_k == pytest.approx(2 / 3)


def test_the_truth_is_computed_once(
    dataset: Dataset, runbook: Runbook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*arguments: object) -> np.ndarray:
        calls.append(1)
        return stream_truth.nearest_rows(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(streaming, "nearest_rows", counted)
    ids = np.stack([exact(dataset, state) for state in states(runbook)])
    asked = Asked("test", None, K, runbook, tmp_path / "truths")
    first = load_task("streaming").scorer(dataset, asked).score(ids)
    assert len(calls) == 3
    assert load_task("streaming").scorer(dataset, asked).score(ids) == first
    assert len(calls) == 3
    for path in (tmp_path / "truths").iterdir():  # a damaged one is no truth
        path.write_bytes(path.read_bytes()[:40])
    assert load_task("streaming").scorer(dataset, asked).score(ids) == first
    assert len(calls) == 6


def test_there_must_be_a_runbook(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="no runbook"):
        load_task("streaming").scorer(dataset, Asked("test", None, K))
