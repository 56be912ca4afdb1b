"""The checks of values: what is refused, and that the message says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annbench.datasets.checks import check_dataset, check_vectors
from annbench.datasets.dataset import Dataset
from annbench.distances.registry import true_distances
from annbench.errors import DatasetError

File = Callable[..., Path]


def checked(path: Path) -> Any:
    with Dataset(path) as dataset:
        return check_dataset(dataset)


def test_true_distances_are_the_textbook_ones() -> None:
    rng = np.random.default_rng(5)
    queries, vectors = rng.standard_normal((3, 6)), rng.standard_normal((3, 4, 6))
    vectors[1, 2] = 0
    for i in range(3):
        for j in range(4):
            q, x = queries[i], vectors[i, j]
            dot = sum(a * b for a, b in zip(q, x, strict=True))
            lengths = math.hypot(*q) * math.hypot(*x)
            expected = {
                "euclidean": math.dist(q, x),
                "ip": -dot,
                "cosine": 1 - dot / lengths if lengths else 1.0,
            }
            for metric, value in expected.items():
                found = true_distances(metric, queries, vectors)[i, j]  # type: ignore[arg-type]
                assert found == pytest.approx(value, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "ip"])
def test_a_sound_dataset_passes(ann_benchmarks_file: File, metric: str) -> None:
    facts = checked(ann_benchmarks_file(metric))
    assert facts.zero_rows == 0
    assert not facts.unit_norm


def test_truth_in_float32_passes_near_zero_distances(ann_benchmarks_file: File) -> None:
    """‖x‖² + ‖q‖² − 2x·q in float32, as ann-benchmarks computes it, is rough for near duplicates."""
    rng = np.random.default_rng(3)
    base = (rng.standard_normal((60, 8)) + 100).astype(np.float32)
    queries = base[:7] + rng.standard_normal((7, 8)).astype(np.float32) * np.float32(1e-3)
    products = (base**2).sum(1)[None] + (queries**2).sum(1)[:, None] - 2 * queries @ base.T
    rough = np.sqrt(np.maximum(products, 0))
    order = np.argsort(rough, axis=1)[:, :10]
    checked(
        ann_benchmarks_file(
            train=base, test=queries, neighbors=order, distances=np.take_along_axis(rough, order, axis=1)
        )
    )


WRONG: list[tuple[str, Callable[[Any, Any], Any], str]] = [
    ("euclidean", lambda d, _: d**2, "square roots"),
    ("cosine", lambda d, _: np.sort(1 - d, axis=1), "make it again"),
    ("euclidean", lambda d, _: d + 0.01, "make it again"),
    ("ip", lambda d, _: d * 1.01, "make it again"),
]


@pytest.mark.parametrize(("metric", "change", "remedy"), WRONG)
def test_distances_of_something_else_are_found(
    ann_benchmarks_file: File, arrays: Any, metric: str, change: Callable[[Any, Any], Any], remedy: str
) -> None:
    made = arrays(metric)
    wrong = change(made.queries.distances, made)
    with pytest.raises(DatasetError, match=r"stored distance .* and by .* it is") as caught:
        checked(ann_benchmarks_file(metric, distances=wrong))
    assert remedy in caught.value.remedy
    # Both values are shown.
    assert f"{made.queries.distances[0, 0]:.6g}" in caught.value.message
    assert f"{wrong[0, 0]:.6g}" in caught.value.message


def test_a_wrong_metric_is_named(ann_benchmarks_file: File) -> None:
    with pytest.raises(DatasetError, match="cosine distances: correct the attribute"):
        checked(ann_benchmarks_file("cosine", distance="euclidean"))


def test_similarities_are_not_distances(ann_benchmarks_file: File, arrays: Any) -> None:
    with pytest.raises(DatasetError, match="not sorted"):
        checked(ann_benchmarks_file("ip", distances=-arrays("ip").queries.distances))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("part", ["train", "test"])
def test_the_first_row_without_a_distance_is_named(
    ann_benchmarks_file: File, arrays: Any, part: str, bad: float
) -> None:
    made = arrays()
    vectors = (made.base if part == "train" else made.queries.test).copy()
    vectors[[4, 6], 3] = bad
    with pytest.raises(DatasetError, match=f"{part}: row 4"):
        checked(ann_benchmarks_file(**{part: vectors}))


def test_a_bad_row_is_counted_across_blocks() -> None:
    vectors = np.ones((10, 2), np.float32)
    vectors[7, 1] = np.nan
    with pytest.raises(DatasetError, match=r"row 7.*nan in column 1"):
        check_vectors([(0, vectors[:5]), (5, vectors[5:])], "x")


def test_subnormals_are_fine(ann_benchmarks_file: File, arrays: Any) -> None:
    base = arrays().base.copy()
    base[:, 0] = np.float32(1e-42)
    facts = check_vectors([(0, base)], "train")
    assert facts.zero_rows == 0


def test_zero_rows_and_unit_norm() -> None:
    unit = np.eye(4, dtype=np.float16)
    assert check_vectors([(0, unit)], "x").unit_norm
    with_zero = np.vstack([unit, np.zeros((2, 4), np.float16)])
    facts = check_vectors([(0, with_zero)], "x")
    assert (facts.zero_rows, facts.unit_norm) == (2, False)


def test_zero_vectors_have_cosine_distance_one(ann_benchmarks_file: File) -> None:
    base = np.zeros((20, 4), np.float32)
    base[:10] = np.random.default_rng(0).standard_normal((10, 4))
    query = base[:1] * -2
    true = true_distances("cosine", query.astype(float), base[None].astype(float))
    order = np.argsort(true, axis=1)
    path = ann_benchmarks_file(
        "cosine", train=base, test=query, neighbors=order, distances=np.take_along_axis(true, order, axis=1)
    )
    assert checked(path).zero_rows == 10


@pytest.mark.parametrize("bad", [-1, 60])
def test_ids_out_of_range_are_named(ann_benchmarks_file: File, arrays: Any, bad: int) -> None:
    ids = arrays().queries.neighbors.copy()
    ids[5, 2] = bad
    with pytest.raises(DatasetError, match=rf"neighbors: row 5: holds id {bad}, and train has rows 0 to 59"):
        checked(ann_benchmarks_file(neighbors=ids))


def test_a_repeated_neighbour_is_named(ann_benchmarks_file: File, arrays: Any) -> None:
    ids = arrays().queries.neighbors.copy()
    ids[3, 2] = ids[3, 9]
    with pytest.raises(DatasetError, match="row 3: lists the same neighbour twice"):
        checked(ann_benchmarks_file(neighbors=ids))


def test_distances_that_are_not_numbers(ann_benchmarks_file: File, arrays: Any) -> None:
    distances = arrays().queries.distances.copy()
    distances[2, 1] = np.nan
    with pytest.raises(DatasetError, match="distances: row 2: holds nan"):
        checked(ann_benchmarks_file(distances=distances))
