"""benchmarks/graph.py without its measurements: which searches are tried, and which figures stand in the tables."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import graph
import graph_builds
import graph_grids
import graph_tables
from core_sets import CoreSet, K, neighbors

from annbench.algorithms.base import PointContext
from annbench.algorithms.registry import load_algorithm
from annbench.errors import MissingLibraryError


def curve(values: dict[int, float]) -> list[graph.Point]:
    """What explore() finds where `values` says what each value of the parameter reaches."""
    sweep = graph_grids.Sweep("ef", min(values), max(values))
    return graph.explore(sweep, 8, lambda search: graph.Point(search, values[search["ef"]], {}))


def test_a_curve_has_points_enough_where_recall_counts() -> None:
    points = curve({ef: 1 - 2 / ef for ef in range(10, 1000)})
    recalls = sorted(point.recall for point in points)
    inside = [recall for recall in recalls if graph_tables.LOW <= recall <= graph_tables.HIGH]
    assert len(inside) >= 8
    assert recalls[0] < graph_tables.LOW <= recalls[1]  # one below, to interpolate with
    assert all((1 - low) <= 2 * (1 - high) + 1e-9 for low, high in pairwise(inside))
    assert len(points) < 25


def test_a_curve_that_stops_rising_is_left() -> None:
    points = curve({ef: min(0.93, 1 - 2 / ef) for ef in range(10, 1000)})
    assert max(point.search["ef"] for point in points) < 200


def test_a_curve_of_few_values_has_those_there_are() -> None:
    found = curve({10: 0.97, 11: 0.98, 12: 0.999})
    assert sorted(point.search["ef"] for point in found) == [10, 11, 12]


def data_of(name: str, n: int, dim: int, metric: str) -> CoreSet:
    rows = np.broadcast_to(np.float32(0), (n, dim))
    learn = rows[:1] if name == "minilm-ood" else None
    return CoreSet(name, metric, rows, rows[:1], learn, np.zeros((1, K), np.int64))


SHAPES = [
    ("fashion", 60_000, 784, "euclidean"),
    ("glove", 331_479, 100, "cosine"),
    ("minilm", 168_197, 384, "cosine"),
    ("minilm-ood", 168_197, 384, "cosine"),
    ("bundled", 10_000, 384, "cosine"),
    ("words-of-a-stranger", 20_000, 300, "euclidean"),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape[0])
def test_every_build_is_one_that_its_adapter_takes(shape: tuple[str, int, int, str]) -> None:
    name, n, dim, metric = shape
    found = graph_grids.entries(data_of(*shape), quick=False)
    assert len({entry.name for entry in found}) == len(found)
    families = {entry.family: sum(other.family == entry.family for other in found) for entry in found}
    assert min(families.values()) >= 2
    assert len(families) == 9
    for entry in found:
        try:
            cls = load_algorithm(entry.algorithm, Path()).cls
        except MissingLibraryError:
            continue
        build = cls.BuildParams.model_validate(entry.build)
        for search in (sweep.search(sweep.least, others) for sweep in entry.sweeps for others in sweep.others):
            params = cls.SearchParams.model_validate(search)
            assert cls.check(PointContext(n, dim, K, metric), build, params) is None, entry.name  # type: ignore[arg-type]
        if entry.family == graph_grids.OURS:
            room = max(graph_grids.classes(name)) * 4 * dim
            assert graph_grids.bytes_per_vector(entry, dim) <= room


def test_an_index_is_built_once_and_what_fails_is_told(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    base, queries = (random.normal(size=(n, 16)).astype(np.float32) for n in (300, 20))
    stored = graph_builds.StoredSet(
        CoreSet("bundled", "euclidean", base, queries, None, neighbors(base, queries, "euclidean")), tmp_path
    )
    sweep = graph_grids.Sweep("ef", 10, 300)
    entry = graph_grids.Entry("hnswlib", "M 8", "hnswlib", {"M": 8}, sweep)
    built = graph_builds.ensure_built(entry, stored)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert graph_builds.ensure_built(entry, stored) == built
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert built.index_bytes == built.saved_bytes > 300 * 16 * 4
    worker, said = graph_builds.open_searching(built, stored)
    with worker:
        assert said["load_seconds"] > 0
        assert worker.ask("recall", search={"ef": 300})["recall"] == 1
        assert worker.ask("recall", search={"ef": 5}) == {"recall": None}  # below k: no point
        for mode in ("batch", "single"):
            assert worker.ask("seconds", search={"ef": 10}, mode=mode, queries=10)["seconds"] > 0
        with pytest.raises(graph_builds.FailedError, match="ValidationError"):
            worker.ask("recall", search={"eff": 10})
        assert worker.ask("recall", search={"ef": 300})["recall"] == 1  # it goes on
        worker._process.kill()
        with pytest.raises(graph_builds.LeftOutError, match="its process ended with -9"):
            worker.ask("recall", search={"ef": 300})
    for algorithm, build, words in (
        ("hnswlib", {"M": 1}, "ValidationError"),
        ("hnsw", {}, "unknown algorithm"),
    ):
        with pytest.raises(graph_builds.LeftOutError, match=words):
            graph_builds.ensure_built(graph_grids.Entry("hnswlib", "bad", algorithm, build, sweep), stored)
    assert len([path for path in stored.folder.iterdir() if path.is_dir()]) == 1


def index(family: str, size: float, *points: tuple[float, list[float]]) -> dict[str, Any]:
    """An index with points of a recall and queries a second by round, in a batch; one by one at half of them."""
    return {
        "family": family, "label": "x", "bytes_per_vector": size, "build_seconds": 4.0, "load_seconds": 0.5,
        "saved_bytes": 1e9,
        "points": [
            {"search": {"ef": 10 * (number + 1)}, "recall": recall, "costs": {},
             "seconds": {"batch": [1 / rate for rate in rates], "single": [2 / rate for rate in rates]}}
            for number, (recall, rates) in enumerate(points)
        ],
    }  # fmt: skip


def test_cells_are_at_equal_recall_within_bytes_and_never_extrapolated() -> None:
    ours = index("annbench", 600, (0.92, [4000, 4400]), (0.96, [2000, 2200]))
    large = index("annbench", 1100, (0.92, [40_000, 40_000]), (0.96, [20_000, 20_000]))
    peer = index("SymQG", 3000, (0.88, [3000, 3000]), (0.92, [2000, 2000]), (0.96, [1000, 1000]))
    measured = {"n": 1000, "dim": 384, "metric": "cosine", "queries": 10, "rounds": 2, "left_out": [
        {"name": f"scann {i}", "why": "not installed"} for i in (1, 2)], "indexes": [ours, large, peer]}  # fmt: skip
    text = graph_tables.tables({"sets": {"minilm": measured}})
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines() if row.startswith("| minilm")
    ]
    by_cell = {(row[1], row[2], row[3]): row[4:] for row in rows if row[1].startswith("≤")}
    assert by_cell["≤ 0.25", "batch", "0.95"][0] == "not reached"
    half = by_cell["≤ 0.5", "batch", "0.95"]
    assert half[1] == "x; ef 10…20"
    assert half[2] == "600"
    assert half[4] == "SymQG x; ef 20…30"
    assert half[6] == "2.10 (2.00 … 2.20)"
    assert half[7] == "none"
    assert by_cell["≤ 0.78", "batch", "0.95"][6] == "20.00 (20.00 … 20.00)"
    # Faster points than at 0.92 were not measured: that one counts, and says so.
    assert by_cell["≤ 0.5", "batch", "0.90"][0] == "≥4,200"
    assert by_cell["≤ 0.5", "batch", "0.99"][0] == by_cell["≤ 0.5", "batch", "0.99"][3] == "not reached"
    assert by_cell["≤ 0.5", "single", "0.95"][6] == "2.10 (2.00 … 2.20)"
    assert "- minilm: left out: scann 1; scann 2: not installed" in text


def test_searches_that_end_by_slack_stand_beside_those_that_do_not() -> None:
    points = index("annbench", 600, (0.88, [4000] * 2), (0.92, [2000] * 2), (0.96, [1000] * 2), (0.89, [6000] * 2),
                   (0.97, [3000] * 2))["points"]  # fmt: skip
    for number, point in enumerate(points):
        point["search"] = (
            {"rerank_k": 15, "slack": number / 100} if number > 2 else {"rerank_k": 15, "ef_search": number}
        )
    measured = {"n": 9, "dim": 384, "metric": "cosine", "queries": 1, "rounds": 2, "left_out": [],
                "indexes": [{**index("annbench", 600), "points": points}]}  # fmt: skip
    text = graph_tables.tables({"sets": {"minilm": measured}})
    row = next(line for line in text.splitlines() if "rerank_k 15, ef_search 1…2 |" in line and "0.95" in line)
    assert row.endswith("| rerank_k 15, slack 0.03…0.04 | " + row.rsplit("| ", 1)[1])
    assert float(row.rsplit("| ", 1)[1].split(" ")[0]) > 2
