"""The composed adapter as a config meets it: parameters that are one point however they are written, and reasons."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from annbench.algorithms.base import PointContext
from annbench.algorithms.composed import Composed, ComposedBuild, ComposedSearch
from annbench.errors import UnsupportedError
from annbench.runner.describe import describe_entry

CONTEXT = PointContext(n=20_000, dim=64, k=10, metric="cosine")
LISTS = {"kind": "ivf", "nlist": 100}


def build(**fields: Any) -> ComposedBuild:
    return ComposedBuild.model_validate_json(json.dumps(fields))


def test_two_spellings_are_one_point() -> None:
    plain = build(codec="uniform", rerank="float16")
    full = build(codec={"kind": "uniform", "bits": 4, "rescale": True}, rerank={"kind": "float16"})
    assert plain == full
    assert plain.codec == {"kind": "uniform", "bits": 4, "fit": "rabitq"}
    assert ComposedBuild.model_validate_json(plain.model_dump_json()) == plain


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"preset": "lvqq"}, "unknown preset 'lvqq'; did you mean lvq"),
        ({"codec": {"kind": "uniform", "bits": 11}}, "bits = 11"),
        ({"codec": {"kind": "unifrom"}}, "did you mean uniform"),
        ({"transform": {"kind": "pca"}}, "pca: needs dim; add dim"),
        ({"structure": 5}, "got 5; write"),
        ({"transfrom": "identity"}, "Extra inputs"),
    ],
)
def test_mistakes_are_told_when_a_config_is_read(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        build(**fields)


@pytest.mark.parametrize(
    ("fields", "search", "reason"),
    [
        ({"structure": LISTS}, {"nprobe": 101}, "nprobe=101 exceeds nlist=100"),
        ({"codec": "float16"}, {"nprobe": 2}, "nprobe=2 exceeds nlist=1"),
        ({"rerank": "float16"}, {"rerank_k": 9}, "rerank_k=9 is below k=10"),
        ({"codec": "float16"}, {"rerank_k": 20}, "rerank_k=20 has no effect: there is no rerank"),
        ({"transform": {"kind": "pca", "dim": 65}}, {}, "transform pca: dim 65 exceeds the 64 dimensions"),
        ({"structure": {"kind": "ivf", "nlist": 20_001}}, {}, "nlist 20001 exceeds the 20000 vectors"),
        ({"structure": LISTS, "rerank": "float16"}, {"nprobe": 100, "rerank_k": 10}, None),
        ({}, {}, None),
        ({"preset": "rabitq", "rerank": "uniform"}, {"rerank_k": 40}, None),
        ({"preset": "leanvec"}, {"ef_search": 40, "rerank_k": 30}, None),
        ({"preset": "graph-lvq", "structure": {"kind": "graph", "degree": 48}}, {"ef_search": 40}, None),
        ({"preset": "graph-f16"}, {"rerank_k": 30}, "rerank_k=30 has no effect: there is no rerank"),
        (
            {"preset": "leanvec-ood"},
            {},
            "preset leanvec-ood: its map is fitted to training queries, and there are none",
        ),
        ({"preset": "leanvec-ood", "learn": "ood"}, {"ef_search": 40}, None),
        ({"codec": "float16"}, {"on_disk": "rerank"}, "on_disk=rerank is not possible: there is no rerank"),
        ({"preset": "rabitq", "rerank": "float16"}, {"on_disk": "rerank+links"}, "there is no graph"),
        ({"preset": "rabitq", "rerank": "float16"}, {"cache_mb": 4.0}, "cache_mb=4.0 has no effect"),
        ({"preset": "rabitq", "rerank": "float16"}, {"on_disk": "rerank", "cache_mb": 4.0}, None),
        ({"preset": "leanvec-ood", "transform": {"kind": "pca", "dim": 32}}, {}, None),
    ],
)
def test_points_that_make_no_sense_have_a_reason(
    fields: dict[str, Any], search: dict[str, Any], reason: str | None
) -> None:
    found = Composed.check(CONTEXT, build(**fields), ComposedSearch(**search))
    assert found is None if reason is None else found is not None and reason in found


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "ip"])
def test_slack_is_of_distances(metric: str) -> None:
    found = Composed.check(replace(CONTEXT, metric=metric), build(structure="graph"), ComposedSearch(slack=0.05))
    assert (found is None) == (metric != "ip")
    assert found is None or found.startswith("slack=0.05 is of distances")


def test_a_config_is_answered_with_its_parameters() -> None:
    entry = {
        "algorithm": "composed",
        "base_dir": ".",
        "build": {"preset": "leanvec-ood", "learn": "ood"},
        "searches": [{"ef_search": 40}],
        "context": {"n": 20_000, "dim": 64, "k": 10, "metric": "cosine"},
    }
    answer = describe_entry(entry)
    assert answer["build"]["preset"] == "leanvec-ood"
    assert answer["searches"][0]["cost"]["index_bytes"] > 20_000 * 64 * 2
    entry["build"] = {"preset": "leanvec-ood"}
    assert "training queries" in describe_entry(entry)["error"]
    entry["build"] = {"codec": {"kind": "uniform", "bits": 4, "residual_bits": 3}}
    assert "residual_bits = 3" in describe_entry(entry)["error"]


def test_the_estimated_size_is_near_the_saved_one(tmp_path: Any) -> None:
    base = np.random.default_rng(1).normal(size=(3000, 64)).astype(np.float32)
    context = PointContext(n=3000, dim=64, k=10, metric="euclidean")
    for fields in (
        {},
        {"transform": {"kind": "pca", "dim": 32}, "codec": "uniform", "structure": LISTS, "rerank": "float16"},
        {"codec": {"kind": "uniform", "bits": 4, "residual_bits": 8, "fit": "min-max"}},
        {"codec": {"kind": "uniform", "bits": 2}},
        {"codec": {"kind": "uniform", "scan_bits": 1}, "structure": LISTS},
        {"codec": {"kind": "product", "groups": 16}, "structure": {**LISTS, "assignments": 2}},
    ):
        params = build(**fields)
        adapter = Composed()
        adapter.build(base, "euclidean", params, 1)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        adapter.save(folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
        assert Composed.estimate(context, params, ComposedSearch()).index_bytes == pytest.approx(size, rel=0.3), fields
        assert 0 < adapter.table_bytes() < size


def test_training_queries_change_what_is_learned() -> None:
    random = np.random.default_rng(2)
    base = random.normal(size=(2000, 32)).astype(np.float32)
    queries = (random.normal(size=(400, 32)) * np.linspace(0.05, 2, 32)).astype(np.float32)
    params = build(transform={"kind": "leanvec-ood", "dim": 8}, learn="ood")
    assert Composed.learn_set(params) == "ood"
    answers = []
    for learn in (queries, None):
        adapter = Composed()
        if learn is not None:
            adapter.learn(learn)
        adapter.build(base, "ip", params, 1)
        adapter.configure(ComposedSearch(), 1)
        true = np.argsort(-(queries @ base.T), axis=1)[:, :10]
        found = adapter.search_batch(queries, 10)
        answers.append(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, true, strict=True)]))
    assert answers[0] > answers[1] + 0.1


def test_a_graph_counts_the_last_pass() -> None:
    adapter = Composed()
    params = ComposedBuild(structure={"kind": "graph"})
    vectors = np.random.default_rng(1).standard_normal((500, 8)).astype(np.float32)
    adapter.build(vectors, "euclidean", params, 1)
    adapter.configure(ComposedSearch(ef_search=10), 1)
    passes = []
    for _ in range(2):
        adapter.reset_counters()
        adapter.search_batch(vectors[:20], 5)
        passes.append(adapter.counters())
    assert passes[0] == passes[1]
    assert 20 * 10 <= passes[0]["hops"] < passes[0]["distances"]


def test_points_on_disk_answer_as_in_memory_and_count_what_they_read(tmp_path: Any) -> None:
    vectors = np.random.default_rng(1).standard_normal((3000, 32)).astype(np.float32)
    params = build(codec="uniform", structure={"kind": "graph"}, rerank="float16")
    built = Composed()
    built.build(vectors, "cosine", params, 1)
    built.save(tmp_path)
    with pytest.raises(UnsupportedError, match="not saved"):
        built.configure(ComposedSearch(on_disk="rerank"), 1)
    adapter = Composed()
    adapter.load(tmp_path, "cosine", 32, params)
    read: dict[str, int] = {}
    for search in (
        ComposedSearch(),
        ComposedSearch(on_disk="rerank", cache_mb=0.01),
        ComposedSearch(on_disk="rerank+links", cache_mb=10.0),
        ComposedSearch(),
    ):
        adapter.configure(search, 1)
        for _ in range(2):
            adapter.reset_counters()
            found = adapter.search_batch(vectors[:50], 10)
        assert np.array_equal(found, built_answer(built, vectors[:50]))
        assert np.array_equal(adapter.search(vectors[7], 10), found[7])
        read[f"{search.on_disk} {search.cache_mb}"] = adapter.counters().get("bytes_read", 0)
        assert ("cache_hits" in adapter.counters()) == (search.on_disk is not None)
    assert read["rerank 0.01"] > 50 * 10 * 64
    assert read["rerank+links 10.0"] == read["None None"] == 0  # all that the last pass needs is in the cache


def built_answer(adapter: Composed, queries: np.ndarray) -> np.ndarray:
    """Of the index in memory."""
    adapter.configure(ComposedSearch(), 1)
    return adapter.search_batch(queries, 10)
