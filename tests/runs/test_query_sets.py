"""Query sets of a dataset in a real run; and distances that are served by a reduction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from annbench.cli.main import main
from annbench.config.load import load_config
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.datasets.ground_truth import exact_neighbors
from annbench.datasets.library import find_dataset
from annbench.distances import Metric
from annbench.errors import ConfigError, UnknownNameError
from annbench.results.store import ResultStore
from annbench.runner.execute import Observer
from annbench.runner.plan import PlannedBuild, make_plan

if TYPE_CHECKING:
    from conftest import Bench

HNSW = "  - algorithm: hnswlib\n    build: {M: 4, ef_construction: 20}\n    search: {ef: [5, 10]}\n"


def truth(base: Any, queries: Any, metric: Metric, k: int = 20) -> QuerySetArrays:
    found = exact_neighbors(base, queries, k, metric)
    return QuerySetArrays(queries, found.neighbors, found.distances)


@pytest.fixture(scope="module")
def two_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 × 12 with 25 queries like the base, and 15 far off."""
    random = np.random.default_rng(7)
    base = random.standard_normal((400, 12), dtype=np.float32)
    queries = random.standard_normal((25, 12), dtype=np.float32)
    far = random.standard_normal((15, 12), dtype=np.float32) + np.float32(4)
    path = tmp_path_factory.mktemp("data") / "two.hdf5"
    sets = {"ood": truth(base, far, "euclidean")}
    write_hdf5(path, DatasetArrays(base, "euclidean", truth(base, queries, "euclidean"), sets))
    return path


@pytest.fixture
def over(bench: Bench, two_sets: Path) -> Bench:
    bench.dataset = two_sets
    return bench


class Builds(Observer):
    """Notes what was built."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def building(self, build: PlannedBuild, reused: bool) -> None:
        self.labels.append(build.label)


def test_one_index_answers_every_query_set(over: Bench) -> None:
    config = over.config(HNSW, extra="query_set: [test, ood]")
    plan = over.plan(config)
    assert len(plan.builds) == 1
    assert len(plan.points) == 4
    builds = Builds()
    outcome = over.run(config, builds)
    assert (outcome.measured, outcome.failed) == (4, 0)
    assert builds.labels == ["hnswlib M=4 ef_construction=20"]
    records = list(over.store.records())
    assert {(r.key.query_set, r.key.queries) for r in records} == {("test", 25), ("ood", 15)}
    assert len({r.block_id for r in records}) == 1
    assert sorted(r.order for r in records) == [0, 1, 2, 3]
    assert len({r.build.index_crc32c for r in records if r.build}) == 1
    # Every set was scored with its own truth, and with its own queries.
    assert all(r.recall is not None and r.recall.recall_at_k > 0.3 for r in records)


def test_a_later_query_set_is_measured_alone_and_each_record_reproduces_its_point(over: Bench, tmp_path: Path) -> None:
    over.run(over.config(HNSW))
    assert over.run(over.config(HNSW, extra="query_set: [ood, test]")).measured == 2
    for record in over.store.records():
        path = tmp_path / "again.yaml"
        path.write_text(record.config_yaml)
        (point,) = make_plan(load_config(path), lambda name: find_dataset(name, over.folder / "data")).points
        assert point.key == record.key


def test_a_query_set_that_is_not_there_is_named(over: Bench) -> None:
    with pytest.raises(UnknownNameError, match="ood") as caught:
        over.plan(over.config(HNSW, extra="query_set: [test, odd]"))
    assert caught.value.where.startswith("trial.yaml:")
    with pytest.raises(ConfigError, match="named twice"):
        over.plan(over.config(HNSW, extra="query_set: [ood, ood]"))


def test_an_adapter_that_cannot_save_is_built_once_for_all_sets(over: Bench, misbehaving: Any) -> None:
    over.run(over.config(misbehaving("CannotSave"), extra="query_set: [test, ood]"))
    records = list(over.store.records())
    assert {r.key.query_set for r in records} == {"test", "ood"}
    assert all(r.status == "ok" and r.build is not None and r.build.rebuilt_in_worker for r in records)


def test_the_command_line_chooses_query_sets(
    over: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = over.config(HNSW)
    results = ["--results", str(over.store.folder)]
    assert exit_code("run", str(config), "--queries", "ood", "--queries", "test", *results) == 0
    shown = capsys.readouterr().out
    assert "queries ood" in shown
    assert "Other queries: two · ood against test" in shown
    assert exit_code("plan", str(config), "--queries", "ood", "--json", *results) == 0
    total = json.loads(capsys.readouterr().out)["total"]
    assert (total["points"], total["stored"]) == (2, 2)
    assert exit_code("report", str(over.store.folder), "--queries", "ood", "--json", "--format", "md") == 0
    only = json.loads(capsys.readouterr().out)
    assert {answer["query_set"] for answer in only["answers"]} == {"ood"}
    assert only["query_sets"] == []
    assert exit_code("report", str(over.store.folder), "--json", "--format", "md") == 0
    assert json.loads(capsys.readouterr().out)["query_sets"][0]["other_set"] == "ood"
    assert exit_code("report", str(over.store.folder), "--queries", "odd") == 2


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


@pytest.mark.parametrize("metric", ["snr", "poincare"])
def test_an_exhaustive_search_over_reduced_vectors_finds_everything(metric: Metric, tmp_path: Path) -> None:
    """From generated vectors through dataset, truth, plan, workers and scoring: recall 1 by the original distance."""
    random = np.random.default_rng(11)
    base, queries = (random.standard_normal((n, 10)).astype(np.float32) for n in (600, 20))
    if metric == "poincare":
        base, queries = (v / np.linalg.norm(v, axis=1, keepdims=True) * np.float32(0.98) for v in (base, queries))
        base *= random.random((600, 1)).astype(np.float32) ** np.float32(0.2)
    path = tmp_path / f"{metric}.hdf5"
    write_hdf5(path, DatasetArrays(base, metric, truth(base, queries, metric)))
    config = {
        "dataset": str(path), "k": 10, "measure": {"modes": ["single", "batch"], "passes": 1, "build_threads": 1},
        "algorithms": [{"algorithm": "bruteforce"}],
    }  # fmt: skip
    (tmp_path / "trial.yaml").write_text(yaml.safe_dump(config))
    store = tmp_path / "results"
    arguments = ("run", str(tmp_path / "trial.yaml"), "--results", str(store), "--data-dir", str(tmp_path / "data"))
    assert exit_code(*arguments, "--json") == 0
    records = list(ResultStore(store).records())
    assert len(records) == 2
    for record in records:
        assert record.dataset.metric == metric
        assert record.recall is not None
        assert record.recall.recall_at_k == 1.0
