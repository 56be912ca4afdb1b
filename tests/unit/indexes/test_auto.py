"""Preset auto: what it chooses from figures, what it chooses for vectors, and what it says."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_data import SEED
from numpy.typing import NDArray

from annbench.algorithms.base import PointContext
from annbench.algorithms.composed import Composed, ComposedBuild, ComposedSearch
from annbench.errors import IndexFileError, UnknownNameError, UnsupportedError, UsageError
from annbench.indexes.about import About
from annbench.indexes.auto import deciding
from annbench.indexes.auto.arranging import GROWTH, WORTH, Cost, choose_structure, suggested
from annbench.indexes.auto.ceilings import at_size
from annbench.indexes.auto.choosing import Candidate, Ceiling, Coding, candidates, choose_codes, enough, until_enough
from annbench.indexes.auto.deciding import LEAST_ROWS, decide
from annbench.indexes.auto.sample import Sample
from annbench.indexes.auto.wish import Auto, expected_spec, named
from annbench.indexes.codecs.uniform import Uniform
from annbench.indexes.index import Index
from annbench.indexes.presets import FLAT_ROWS
from annbench.indexes.reranks import NoRerank, UniformRerank
from annbench.indexes.spec import METRICS, make_spec
from annbench.indexes.structures import QUERY_LINKS, GraphStructure
from annbench.indexes.transforms.leanvec import LeanVecOod
from annbench.indexes.transforms.plain import FastRotation
from annbench.indexes.transforms.spectral import Pca
from annbench.indexes.vectors import unit_rows

N = 168_000
DIM = 384
FALLING = [0.98**i for i in range(DIM)]
FLAT = [1.0] * DIM
CODES = Coding(Candidate(Pca(dim=240, rotate=True), Uniform(bits=4, fit="rabitq-fast"), 240), UniformRerank(), 0.99)


def tried(spectrum: list[float], wish: Auto, **given: Any) -> list[Candidate]:
    return candidates(spectrum, sum(spectrum), N, DIM, wish, given, reduce=[Pca])


def ceiling(one: Candidate, alone: float, short: float, fine: float | None = None) -> Ceiling:
    return Ceiling(one, 30, alone, short, fine)


def drawn(n: int, dim: int, rank: int, seed: int) -> NDArray[np.float32]:
    """Rows of `rank` dimensions, within `dim`; all directions alike where that is all."""
    random = np.random.default_rng(seed)
    maps = np.eye(dim) if rank == dim else np.random.default_rng(SEED).normal(size=(rank, dim))
    return np.asarray(random.normal(size=(n, rank)) @ maps, dtype=np.float32)


def test_what_is_tried_fills_cache_lines_and_grows() -> None:
    found = tried(FALLING, Auto())
    sizes = [one.code_bytes for one in found]
    assert [(one.dim, one.codec.bits) for one in found[:3]] == [(112, 4), (56, 8), (240, 4)]  # type: ignore[attr-defined]
    assert all(size % 64 == 0 for size in sizes)
    assert sizes == sorted(sizes)
    assert isinstance(found[-1].transform, FastRotation)
    assert all(one.share is None or 0.5 <= one.share <= 1 for one in found)
    # Where every direction matters, most of them are kept.
    assert min(one.dim for one in tried(FLAT, Auto())) >= DIM // 2


def test_maps_count_where_few_vectors_share_them() -> None:
    few = candidates(FALLING, sum(FALLING), 300, DIM, Auto(), {}, reduce=[Pca])
    assert isinstance(few[0].transform, FastRotation)


def test_slots_that_are_given_stay() -> None:
    pca = Pca(dim=100)
    assert {one.transform for one in tried(FALLING, Auto(), transform=pca)} == {pca}
    codec = make_spec(codec={"kind": "uniform", "bits": 5}).codec
    assert {one.codec for one in tried(FALLING, Auto(), codec=codec)} == {codec}


def test_the_smallest_that_serves_is_taken_and_no_larger_is_measured() -> None:
    recalls = {112: 0.9, 56: 0.7, 240: 0.99, 120: 0.96}
    measured: list[Candidate] = []

    def measure(one: Candidate) -> Ceiling:
        measured.append(one)
        return ceiling(one, recalls[one.dim] - 0.1, recalls[one.dim], recalls[one.dim] - 0.01)

    found = until_enough(tried(FALLING, Auto()), measure, N, DIM, Auto(), {})
    assert [one.dim for one in measured] == [112, 56, 240, 120]
    coding, why = choose_codes(found, N, DIM, Auto(), {})
    assert (coding.candidate.dim, coding.rerank.kind, coding.recall) == (240, "uniform", pytest.approx(0.98))
    assert "99.0%" in " ".join(why)
    assert sum("rejected" in line for line in why) == 3


@pytest.mark.parametrize(
    ("alone", "short", "fine", "kind"),
    [(0.98, 0.99, None, "none"), (0.9, 0.99, 0.98, "uniform"), (0.9, 0.99, 0.96, "float16")],
)
def test_the_finer_copy_is_the_smallest_that_serves(alone: float, short: float, fine: float | None, kind: str) -> None:
    one = tried(FALLING, Auto())[0]
    assert choose_codes([ceiling(one, alone, short, fine)], N, DIM, Auto(), {})[0].rerank.kind == kind


def test_of_equally_many_lines_the_one_that_needs_no_finer_copy_is_taken() -> None:
    first, second = tried(FALLING, Auto())[:2]
    assert first.code_bytes == second.code_bytes
    both = [ceiling(first, 0.9, 1.0, 0.99), ceiling(second, 0.99, 1.0)]
    assert choose_codes(both, N, DIM, Auto(), {})[0].candidate is second


def test_room_decides_what_fits() -> None:
    def chosen(room: float) -> Coding:
        wish = Auto(bytes_per_vector=room)
        found = [ceiling(one, 0.5 if one.codec.bits == 1 else 0.9, 0.99, 0.98) for one in tried(FALLING, wish)]  # type: ignore[attr-defined]
        return choose_codes(found, N, DIM, wish, {})[0]

    assert chosen(700).recall >= Auto().needed
    assert chosen(700).spec(make_spec().structure).bytes_per_vector(DIM) <= 700
    small = chosen(100)
    assert (small.rerank.kind, small.recall) == ("none", 0.9)
    with pytest.raises(UsageError, match=r"nothing takes 20 bytes .* allow 6\d"):
        chosen(20)


def test_nothing_that_serves_is_said() -> None:
    found = [ceiling(one, 0.3, 0.4) for one in tried(FALLING, Auto())]
    assert not any(enough(one, N, DIM, Auto(), {}) for one in found)
    assert "the best of it was taken" in choose_codes(found, N, DIM, Auto(), {})[1][-1]


def test_recall_falls_with_the_number_of_vectors_and_never_rises() -> None:
    sizes = [at_size((2048, 2500, 2560), (8192, 2400, 2560), n) for n in (8192, 20_000, 10**6, 10**9)]
    assert sizes[0] == 2400 / 2560
    assert all(larger < smaller - 0.01 for smaller, larger in pairwise(sizes))
    assert at_size((2048, 2400, 2560), (8192, 2500, 2560), 10**9) == pytest.approx(2500 / 2560, rel=1e-3)
    assert at_size((2048, 2560, 2560), (8192, 2560, 2560), 10**7) > 0.999


@pytest.mark.parametrize("n", [5_000, 1_000_000])
def test_a_structure_must_be_much_faster_to_replace_the_usual_one(n: int) -> None:
    usual = suggested(n)
    other = "graph" if usual == "flat" else "ivf"

    def chosen(times_as_fast: float) -> str:
        at_once = Cost(2048, 1e-4, 0.95)
        growth = (n / 2048) ** (GROWTH[usual] - GROWTH[other])
        costs = {usual: at_once, other: Cost(2048, 1e-4 * growth / times_as_fast, 0.95, "nprobe 4")}
        return choose_structure(CODES, costs, n, DIM, Auto())[0].kind

    assert [chosen(factor) for factor in (0.5, 1.0, WORTH * 0.99)] == [usual] * 3
    assert chosen(WORTH * 1.01) == other


def test_times_grow_as_they_were_said_to() -> None:
    assert Cost(1000, 3e-6, 1, fixed=1e-6).at("flat", 10_000) == pytest.approx(21e-6)
    assert Cost(1000, 3e-6, 1).at("ivf", 100_000) == pytest.approx(30e-6)
    assert Cost(1000, 3e-6, 1).at("graph", 500) == 3e-6


def test_without_room_for_links_there_is_no_graph() -> None:
    costs = {kind: Cost(2048, 1e-5, 0.95) for kind in ("flat", "ivf", "graph")}
    structure, why = choose_structure(CODES, costs, N, DIM, Auto(bytes_per_vector=600))
    assert structure.kind == "ivf"
    assert "no room" in why[0]


def test_names_and_wishes() -> None:
    assert named(None) == (None, None)
    assert named("lvq") == (None, "lvq")
    assert named("auto") == named({"kind": "auto"}) == (Auto(), "auto")
    for wrong, message in (({"kind": "lvq"}, "unknown preset"), ({"kind": "auto", "recal": 1}, "did you mean recall")):
        with pytest.raises(UnknownNameError, match=message):
            named(wrong)
    with pytest.raises(UsageError, match="less than 1"):
        named({"kind": "auto", "recall": 1.0})
    with pytest.raises(UnknownNameError, match="did you mean auto"):
        Index.build(np.eye(4, dtype=np.float32), preset="aut0")


def test_prefixes_of_one_spectrum_are_what_each_transform_would_fit() -> None:
    x, learn = drawn(600, 24, 20, 1), drawn(400, 24, 6, 2)
    sample = Sample(x, learn, "euclidean", SEED)
    for transform in (Pca(dim=5), Pca(dim=5, rotate=True), LeanVecOod(dim=5)):
        ours = sample.maps(transform)
        fitted = transform.fit(sample._learned_from, sample._learn, seed=SEED)
        products = [maps.queries(x) @ maps.base(x).T for maps in (ours, fitted)]
        np.testing.assert_allclose(*products, rtol=1e-2, atol=1e-2 * float(np.abs(products[1]).max()))


@pytest.mark.parametrize("metric", METRICS)
def test_tiny_and_equal_vectors(metric: str) -> None:
    equal = (np.ones((400, 7), np.float32), np.zeros((300, 3), np.float32))
    for x in (*(drawn(n, 6, 3, 1) for n in (0, 1, 2, 10)), drawn(300, 1, 1, 1), *equal):
        index = Index.build(x, metric, preset="auto", threads=1)
        assert len(index) == len(x)
        assert index.why
        if len(x):
            assert (index.search(x[0], k=1)[0] >= 0).all()
    small = Index.build(drawn(LEAST_ROWS - 1, 6, 3, 1), metric, preset="auto", threads=1)
    assert (small.spec.codec.kind, small.spec.structure.kind) == ("float32", "flat")
    tight = Index.build(x[:10], metric, preset={"kind": "auto", "bytes_per_vector": 15}, threads=1)
    assert tight.spec.codec.kind == "float16"
    with pytest.raises(UsageError, match="allow"):
        Index.build(x[:10], metric, preset={"kind": "auto", "bytes_per_vector": 5}, threads=1)


def test_what_vectors_are_like_decides() -> None:
    given: dict[str, Any] = {"structure": {"kind": "flat"}}
    low, full = (decide(drawn(1200, 256, rank, 1), "cosine", Auto(), given, None, seed=SEED, threads=1)
                 for rank in (16, 256))  # fmt: skip
    assert low[0].coded_dim(256) <= 112
    assert full[0].coded_dim(256) >= 240
    assert "rejected" in " ".join(full[1])
    again = decide(drawn(1200, 256, 16, 1), "cosine", Auto(), given, None, seed=SEED, threads=1)
    assert again == low
    # Queries of another kind are what matters, where they are given.
    learned = decide(drawn(2500, 256, 256, 1), "ip", Auto(), given, drawn(600, 256, 8, 5), seed=SEED, threads=1)
    assert learned[0].transform.kind == "leanvec-ood"
    assert learned[0].coded_dim(256) < full[0].coded_dim(256)


def test_the_bundled_set_is_found_and_told(tmp_path: Path) -> None:
    from annbench.bundled import bundled
    from annbench.datasets.dataset import Dataset

    with Dataset(bundled("datasets") / "wordnet-minilm-384-angular.hdf5") as data:
        base, queries = np.asarray(data.base())[:12_000], np.asarray(data.queries("test")[:200])
    index = Index.build(base, "cosine", preset="auto", seed=SEED, threads=1)
    units = unit_rows(base.astype(np.float32))
    truth = np.argsort(-(queries @ units.T), axis=1)[:, :10]
    found = index.search(queries, 10, nprobe=index.spec.nlist, ef_search=128)[0]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth, strict=True)]) >= 0.95
    index.save(tmp_path / "auto.index")
    again = Index.load(tmp_path / "auto.index")
    assert again.why == index.why
    assert "preset auto:\n    sample: " in repr(again)
    assert again.spec.codec.code_bytes(again.spec.coded_dim(384)) < 384
    wrong = About("cosine", index.spec, 384, "auto", why=index.why).json().replace('"why":["', '"why":[7,"')
    with pytest.raises(IndexFileError, match="7 is no sentence"):
        About.from_json(wrong, "x")


def test_the_adapter_chooses_when_it_sees_the_vectors_and_notes_it() -> None:
    plain, wished = (ComposedBuild.model_validate({"preset": value})
                     for value in ({"kind": "auto"}, {"kind": "auto", "recall": 0.9}))  # fmt: skip
    assert plain.preset == "auto"
    assert wished.preset == {"kind": "auto", "recall": 0.9}
    context = PointContext(n=1000, dim=16, k=10, metric="euclidean")
    assert plain.spec(1000, 16, "euclidean") == expected_spec(1000, 16, "euclidean", {})
    for search in (ComposedSearch(nprobe=900), ComposedSearch(ef_search=20), ComposedSearch(rerank_k=30)):
        assert Composed.check(context, plain, search) is None
    assert "below k=10" in (Composed.check(context, plain, ComposedSearch(rerank_k=3)) or "")
    adapter = Composed()
    adapter.build(drawn(1000, 16, 16, 1), "euclidean", plain, 1)
    assert adapter.build_notes()[0].startswith("preset auto has chosen transform: {kind: ")
    with pytest.raises(UnsupportedError, match="ef_search=20 has no effect: there is no graph, in what preset auto"):
        adapter.configure(ComposedSearch(ef_search=20), 1)
    adapter.configure(ComposedSearch(), 1)
    assert (adapter.search_batch(drawn(5, 16, 16, 2), 10) >= 0).all()
    other = Composed()
    other.build(drawn(100, 16, 16, 1), "euclidean", ComposedBuild(), 1)
    assert other.build_notes() == ()


def test_codes_alone_need_no_short_list() -> None:
    assert Coding(CODES.candidate, NoRerank(), 1.0).plain.default_rerank_factor == 0
    assert CODES.spec(make_spec().structure).codec != CODES.candidate.codec  # a scan looks at signs first


def test_a_graph_has_links_for_the_queries_that_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    # Without times, the number of vectors alone decides for a graph.
    monkeypatch.setattr(deciding.costs, "measure", lambda *_: {})
    rows, queries = drawn(FLAT_ROWS + 100, 8, 8, 1), drawn(600, 8, 3, 5)
    given: dict[str, Any] = {"codec": {"kind": "uniform", "bits": 8}, "transform": "fast-rotation", "rerank": "none"}
    (alone, _), (learned, why) = (
        decide(rows, "ip", Auto(), given, learn, seed=SEED, threads=1) for learn in (None, queries)
    )
    assert alone.structure == GraphStructure()
    assert learned.structure == GraphStructure(query_links=QUERY_LINKS)
    assert "training queries" in why[-1]
    asked = decide(rows, "ip", Auto(), {**given, "structure": "graph"}, queries, seed=SEED, threads=1)
    assert asked[0].structure == GraphStructure()
