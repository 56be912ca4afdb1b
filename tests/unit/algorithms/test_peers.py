"""Adapters of optional libraries: what is refused before the library is touched, and what only their own data shows.

The conformance suite holds them to the contract where their libraries are installed; here is what it cannot ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annbench.algorithms import peer, registry
from annbench.algorithms.base import Algorithm, PointContext
from annbench.algorithms.peer import Peer
from annbench.algorithms.pyglass import Pyglass
from annbench.algorithms.rabitqlib.hnsw import RabitqlibHnsw
from annbench.algorithms.rabitqlib.ivf import RabitqlibIvf
from annbench.algorithms.rabitqlib.symqg import RabitqlibSymqg
from annbench.algorithms.scann import Scann
from annbench.algorithms.svs import SvsVamana
from annbench.algorithms.turbovec import Turbovec
from annbench.errors import MissingLibraryError, UnsupportedError
from annbench.processor import Processor, processor
from annbench.testing.examples import example, judge

PEERS = [Pyglass, RabitqlibHnsw, RabitqlibIvf, RabitqlibSymqg, Scann, SvsVamana, Turbovec]
BUILDS: dict[type[Algorithm], dict[str, Any]] = {Scann: {"tree": {"num_leaves": 4}}}
CPUINFO = (
    "processor\t: 0\nvendor_id\t: {vendor}\nmodel name\t: Any CPU\nflags\t\t: fpu sse2 {flags}\n\n"
    "processor\t: 1\nflags\t: fpu\n"
)


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    processor.cache_clear()
    yield
    processor.cache_clear()


def on(monkeypatch: pytest.MonkeyPatch, vendor: str, *flags: str) -> None:
    known = Processor(vendor, "Any CPU", frozenset(flags))
    monkeypatch.setattr(peer, "processor", lambda: known)
    monkeypatch.setattr("annbench.algorithms.svs.processor", lambda: known)


def installed(cls: type[Algorithm]) -> None:
    try:
        cls.import_library()
    except MissingLibraryError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("name", "build", "search", "reason"),
    [
        ("pyglass", {}, {"ef": 9}, "ef=9 is below k=10"),
        ("pyglass", {"refine_quant": "FP32"}, {}, None),
        ("pyglass", {"index_type": "NSG"}, {}, None),
        ("rabitqlib-symqg", {}, {"ef": 9}, "ef=9 is below k=10"),
        ("rabitqlib-symqg", {"max_degree": 1024}, {}, "max_degree=1024 is not below n=1000"),
        ("rabitqlib-ivf", {"num_clusters": 16}, {"nprobe": 17}, "nprobe=17 exceeds num_clusters=16"),
        ("rabitqlib-ivf", {"num_clusters": 1001}, {}, "num_clusters=1001 exceeds n=1000"),
        ("rabitqlib-hnsw", {}, {"ef": 9}, "ef=9 is below k=10"),
        ("scann", {"tree": {"num_leaves": 10}}, {"leaves_to_search": 11}, "leaves_to_search=11 exceeds num_leaves=10"),
        (
            "scann",
            {"tree": {"num_leaves": 10, "soar_lambda": 1.5}},
            {"leaves_to_search": 1},
            "soar_lambda needs metric",
        ),
        ("svs-vamana", {}, {"search_window_size": 9}, "search_window_size=9 is below k=10"),
        (
            "svs-vamana",
            {},
            {"search_window_size": 20, "search_buffer_capacity": 19},
            "search_buffer_capacity=19 is below search_window_size=20",
        ),
        ("svs-vamana", {"storage": "LVQ"}, {"search_window_size": 10}, "storage LVQ needs primary"),
        (
            "svs-vamana",
            {"storage": "LVQ", "primary": 8, "residual": 4},
            {"search_window_size": 10},
            "primary=8 with residual=4 is not compiled",
        ),
        ("svs-vamana", {"leanvec_dims": 50}, {"search_window_size": 10}, "leanvec_dims without storage LeanVec"),
        (
            "svs-vamana",
            {"storage": "LeanVec", "leanvec_dims": 101},
            {"search_window_size": 10},
            "leanvec_dims=101 exceeds dim=100",
        ),
    ],
)
def test_points_that_make_no_sense(name: str, build: Any, search: Any, reason: str | None) -> None:
    cls = next(cls for cls in PEERS if registry.ALGORITHMS[name].endswith(f":{cls.__name__}"))
    context = PointContext(n=1000, dim=100, k=10, metric="euclidean")
    said = cls.check(context, cls.BuildParams.model_validate(build), cls.SearchParams.model_validate(search))
    assert said is None if reason is None else said is not None and said.startswith(reason)


def test_small_dimensions_are_refused_by_name() -> None:
    context = PointContext(n=1000, dim=63, k=10, metric="euclidean")
    for cls in (RabitqlibHnsw, RabitqlibIvf, RabitqlibSymqg):
        reason = cls.check(
            context,
            cls.BuildParams(),
            cls.SearchParams.model_validate({"nprobe": 1} if cls is RabitqlibIvf else {"ef": 10}),
        )
        assert reason == "dim=63 is below the 64 that rabitqlib needs"


def test_the_processor_as_linux_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(vendor="GenuineIntel", flags="avx avx2 fma"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert processor(path) == Processor("GenuineIntel", "Any CPU", frozenset({"fpu", "sse2", "avx", "avx2", "fma"}))
    assert processor(tmp_path / "absent") is None
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert processor(tmp_path / "another") is None


@pytest.mark.parametrize("cls", PEERS)
def test_a_processor_without_the_instructions_is_refused_before_the_library_is_imported(
    cls: type[Peer], monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, "GenuineIntel", "sse2", "avx")
    monkeypatch.setattr(cls, "modules", ("annbench_would_end_the_process",))
    cls.import_library()
    params = cls.BuildParams.model_validate(BUILDS.get(cls, {}))
    with pytest.raises(UnsupportedError, match=r"needs a processor with .*(fma|sse4_2).*, which this one lacks"):
        cls().build(np.ones((100, 100), dtype=np.float32), "euclidean", params, 1)


@pytest.mark.parametrize("storage", [{"storage": "LVQ", "primary": 8}, {"storage": "LeanVec", "leanvec_dims": 8}])
def test_lvq_and_leanvec_are_refused_where_they_would_end_the_process(
    storage: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(SvsVamana)
    on(monkeypatch, "AuthenticAMD", "avx2", "fma")
    with pytest.raises(UnsupportedError, match="on Intel processors only, this one is AuthenticAMD"):
        SvsVamana().build(example("dense").base, "euclidean", SvsVamana.BuildParams.model_validate(storage), 1)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_nsg_over_scalar_codes_finds_its_neighbours(metric: Any) -> None:
    installed(Pyglass)
    data, adapter = example("dense", 300, 34, 20), Pyglass()
    build = Pyglass.BuildParams.model_validate({"index_type": "NSG", "L": 64, "quantizer": "SQ8", "optimize": True})
    adapter.build(data.base, metric, build, 1)
    adapter.configure(Pyglass.SearchParams.model_validate({"ef": 100}), 1)
    assert judge(adapter.search_batch(data.queries, 10), metric, data.queries, data.base).recall > 0.9


def test_soar_and_anisotropic_codes_find_their_neighbours() -> None:
    installed(Scann)
    data, adapter = example("dense"), Scann()
    tree = {"num_leaves": 12, "soar_lambda": 1.5, "overretrieve_factor": 2.0}
    build = {"tree": tree, "score_ah": {"anisotropic_quantization_threshold": 0.2}, "reorder": {"quantize": "INT8"}}
    adapter.build(data.base, "ip", Scann.BuildParams.model_validate(build), 1)
    for threads in (1, 2):
        adapter.configure(Scann.SearchParams(leaves_to_search=12, pre_reorder_num_neighbors=200), threads)
        found = judge(adapter.search_batch(data.queries, 10), "ip", data.queries, data.base)
        assert found.recall > 0.9
        assert found.duplicates == 0


def test_scann_reads_no_pickle(tmp_path: Path) -> None:
    installed(Scann)
    (tmp_path / "scann_docids.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UnsupportedError, match="a pickle is never read"):
        Scann().load(tmp_path, "euclidean", 4, Scann.BuildParams.model_validate(BUILDS[Scann]))


@pytest.mark.parametrize("nbits", [1, 9, 32])
def test_every_width_of_rabitq_codes_keeps_its_promise(nbits: int) -> None:
    installed(RabitqlibIvf)
    data, adapter = example("dense", 1200, 98, 60), RabitqlibIvf()
    adapter.build(data.base, "euclidean", RabitqlibIvf.BuildParams(num_clusters=8, nbits=nbits), 2)
    adapter.configure(RabitqlibIvf.SearchParams(nprobe=8), 2)
    found = judge(adapter.search_batch(data.queries, 10), "euclidean", data.queries, data.base)
    assert found.recall > {1: 0.4, 9: 0.97, 32: 0.97}[nbits]
