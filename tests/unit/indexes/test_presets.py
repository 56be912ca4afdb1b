"""Published methods as specs: legal for any data, told from one another, and described as they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from annbench.errors import UnknownNameError, UsageError
from annbench.indexes.index import Index
from annbench.indexes.presets import FULL_LINES, PRESETS, default_spec, find_preset, reduced_dim
from annbench.indexes.spec import METRICS

ASKED_FOR = {"pca-rag", "lvq", "rabitq", "bbq", "adanns-ivf", "adanns-opq", "squash-osq"}
GRAPHS = {"leanvec", "leanvec-ood", "graph-lvq", "graph-f16"}
BEBR = {"bebr", "bebr-ivf", "bebr-graph"}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", [*PRESETS, None])
def test_every_preset_fits_any_data(name: str | None, metric: str) -> None:
    make = default_spec if name is None else find_preset(name).make
    for n in (1, 2, 31, 100, 9_999, 10_001, 1_000_000):
        for dim in (1, 2, 3, 7, 16, 100, 384, 769, 3072):
            spec = make(n, dim, metric)
            if name == "squash-osq" and metric == "ip":
                with pytest.raises(UsageError, match="metric euclidean or cosine"):
                    spec.check(n, dim, metric, queries=True)
            elif name in BEBR and metric == "ip":
                with pytest.raises(UsageError, match="trained for cosine and euclidean"):
                    spec.check(n, dim, metric, queries=True)
            else:
                spec.check(n, dim, metric, queries=True)
            assert spec.bytes_per_vector(dim) > 0


def test_the_presets_that_are_asked_for_are_there_and_differ() -> None:
    assert set(PRESETS) >= ASKED_FOR | GRAPHS | BEBR
    specs = [str(preset.make(100_000, 768, "cosine").fields()) for preset in PRESETS.values()]
    assert len(set(specs)) == len(specs)
    for preset in PRESETS.values():
        assert all(len(text) > 40 for text in (preset.paper, preset.claims, preset.ours))
        assert preset.name in (Index.__doc__ or "")


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_graphs_are_walked_by_codes_that_are_read_once_a_step(name: str) -> None:
    spec = find_preset(name).make(100_000, 768, "cosine")
    assert spec.has_graph
    # A second level would be read with the first at every step (native/structures/graph_walk.hpp).
    assert not getattr(spec.codec, "residual_bits", 0)
    assert spec.codec.code_bytes(spec.coded_dim(768)) <= 2 * 768 + 4


def test_a_preset_that_learns_from_queries_wants_them() -> None:
    preset = find_preset("leanvec-ood")
    with pytest.raises(UsageError, match=r"preset leanvec-ood: .* training queries.*give `queries`.*preset leanvec"):
        preset.spec(1000, 64, "cosine", {}, queries=False)
    assert preset.spec(1000, 64, "cosine", {}, queries=True) == preset.make(1000, 64, "cosine")
    # Another transform needs none.
    pca = preset.spec(1000, 64, "cosine", {"transform": {"kind": "pca", "dim": 32}, "rerank": None}, queries=False)
    assert (pca.transform.kind, pca.rerank.kind) == ("pca", "float16")
    with pytest.raises(UsageError, match="training queries"):
        preset.spec(1000, 64, "cosine", {"transform": {"kind": "leanvec-ood", "dim": 32}}, queries=False)
    assert not any(one.needs_queries for name, one in PRESETS.items() if name != "leanvec-ood")


def test_pca_rag_is_as_small_as_its_paper_says() -> None:
    spec = find_preset("pca-rag").make(100_000, 3072, "cosine")
    # 27.9 for the dimensions alone: what else an index has is not in this estimate.
    assert 4 * 3072 / spec.bytes_per_vector(3072) == pytest.approx(28.6, rel=0.06)


def test_reduced_dimensions_fill_cache_lines() -> None:
    assert [reduced_dim(dim) for dim in (96, 240, 300, 384, 768, 784, 1536)] == [96, 240, 240, 240, 368, 368, 752]
    assert all((dim * 4 // 8 + 8) % 64 == 0 for dim in FULL_LINES)


def test_an_unknown_preset_lists_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean rabitq"):
        find_preset("rabit")


def test_the_page_is_current() -> None:
    spec = importlib.util.spec_from_file_location("presets_page", Path(__file__).with_name("presets_page.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), (
        "renew it: python tests/unit/indexes/presets_page.py"
    )
