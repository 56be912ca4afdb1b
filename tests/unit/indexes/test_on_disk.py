"""Indexes of which parts stay in their file."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_bytes import put, reseal, sections
from index_data import LEGAL, PCA, SEED, SPECS, K, N, Q, X

from annbench.errors import IndexFileError, UnknownNameError, UsageError
from annbench.indexes.index import Index
from annbench.indexes.spec import METRICS
from annbench.runner.memory import PeakMeter

BLOCK = 4096
ONE_BLOCK = BLOCK + 256
GRAPH: dict[str, Any] = {"transform": PCA, "codec": "uniform", "structure": "graph", "rerank": "float16"}
BUDGETS = (0, ONE_BLOCK, 40_000, 1 << 24)


def saved(path: Path, metric: str = "cosine", x: np.ndarray = X, **slots: Any) -> Index:
    index = Index.build(x, metric, seed=SEED, threads=1, **slots)
    index.save(path)
    return index


def same(a: Index, b: Index, **how: Any) -> bool:
    found, expected = a.search(Q, K, **how), b.search(Q, K, **how)
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


def overwrite(path: Path, change: Callable[[bytearray], None]) -> None:
    """In place: who has the file open sees it."""
    content = bytearray(path.read_bytes())
    change(content)
    with path.open("r+b") as file:
        file.write(content)


def open_descriptors(path: Path) -> int:
    links = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    return links.count(str(path)) + links.count(f"{path} (deleted)")


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("rerank", ["float16", "float32", "uniform"])
def test_answers_along_a_graph_are_those_of_the_index_in_memory(rerank: str, metric: str, tmp_path: Path) -> None:
    index = saved(tmp_path / "index", metric, **{**GRAPH, "rerank": rerank})
    for parts in ("rerank", "links", ("links", "rerank")):
        for budget in BUDGETS:
            on_disk = Index.load(tmp_path / "index", on_disk=parts, cache_bytes=budget)
            assert same(on_disk, index, ef_search=50, rerank_k=30)
            assert same(on_disk, index, ef_search=20, rerank_k=300, threads=2)
            assert all(np.array_equal(a, b) for a, b in zip(on_disk.search(Q[7]), index.search(Q[7]), strict=True))
            assert on_disk.nbytes_by_part["cache"] <= budget


@pytest.mark.parametrize(("name", "metric"), [(name, metric) for name, metric in LEGAL if "rerank" in SPECS[name][0]])
def test_answers_of_every_codec_are_those_of_the_index_in_memory(name: str, metric: str, tmp_path: Path) -> None:
    index = saved(tmp_path / "index", metric, **SPECS[name][0])
    for budget in BUDGETS:
        on_disk = Index.load(tmp_path / "index", on_disk="rerank", cache_bytes=budget)
        assert same(on_disk, index, nprobe=3, rerank_k=100)
        assert all(
            np.array_equal(a, b)
            for a, b in zip(on_disk.search(Q[7], threads=2), index.search(Q[7], threads=2), strict=True)
        )


@pytest.mark.parametrize(
    "codec", ["float32", {"kind": "uniform", "bits": 6, "scan_bits": 1}, {"kind": "product", "groups": 24}]
)
def test_links_on_disk_under_any_codec(codec: Any, tmp_path: Path) -> None:
    index = saved(tmp_path / "index", codec=codec, structure="graph")
    on_disk = Index.load(tmp_path / "index", on_disk="links", cache_bytes=50_000)
    assert same(on_disk, index, ef_search=40)
    assert np.array_equal(on_disk.native.links, index.native.links)  # type: ignore[arg-type]


def test_filters_and_patience(tmp_path: Path) -> None:
    index = saved(tmp_path / "index", **GRAPH)
    on_disk = Index.load(tmp_path / "index", on_disk=("rerank", "links"), cache_bytes=40_000)
    for count in (N // 2, N // 50):
        passing = np.arange(count)
        assert same(on_disk, index, allowed=passing)
        assert set(on_disk.search(Q, K, allowed=passing)[0].ravel()) <= {-1, *passing.tolist()}
    assert same(on_disk, index, ef_search=100, patience=10)


def test_what_is_where(tmp_path: Path) -> None:
    index = saved(tmp_path / "index", **GRAPH)
    on_disk = Index.load(tmp_path / "index", on_disk=["links", "rerank"], cache_bytes=20_000)
    degree = on_disk.native.degree
    assert on_disk.disk_nbytes_by_part == {"rerank": 2 * X.size, "links": 4 * degree * N}
    assert index.disk_nbytes_by_part == {}
    parts, whole = on_disk.nbytes_by_part, index.nbytes_by_part
    assert parts["rerank"] == 4 * N  # a number a vector beside the halves
    assert parts["graph"] < 1000 < whole["graph"]
    assert ONE_BLOCK < parts["cache"] <= 20_000
    assert parts["checksums"] < sum(on_disk.disk_nbytes_by_part.values()) / 500
    assert on_disk.nbytes == sum(parts.values()) < index.nbytes / 2
    assert "on disk, for searches only: rerank 192 kB, links" in repr(on_disk)
    assert "on disk" not in repr(index)
    assert (len(on_disk), on_disk.spec) == (N, index.spec)
    assert np.array_equal(on_disk.ids, index.ids)


def test_a_cache_that_holds_all_reads_everything_once(tmp_path: Path) -> None:
    saved(tmp_path / "index", **GRAPH)
    on_disk = Index.load(tmp_path / "index", on_disk=("rerank", "links"), cache_bytes=1 << 24)
    total = sum(on_disk.disk_nbytes_by_part.values())
    for _ in range(2):
        on_disk.search(Q, K, ef_search=N, rerank_k=N)
    counts = on_disk.native.counts
    assert counts["bytes_read"] <= total
    assert counts["bytes_read"] >= 2 * X.size
    assert counts["cache_hits"] > 10 * counts["cache_misses"] > 0
    on_disk.native.reset_counts()
    on_disk.search(Q, K, ef_search=N, rerank_k=N)
    assert on_disk.native.counts["bytes_read"] == on_disk.native.counts["cache_misses"] == 0


def test_parts_that_cannot_be(tmp_path: Path) -> None:
    saved(tmp_path / "flat")
    saved(tmp_path / "graph", **GRAPH)
    with pytest.raises(UnknownNameError, match="did you mean links"):
        Index.load(tmp_path / "graph", on_disk="link")
    with pytest.raises(UsageError, match="has no rerank"):
        Index.load(tmp_path / "flat", on_disk="rerank")
    with pytest.raises(UsageError, match="has no graph"):
        Index.load(tmp_path / "flat", on_disk=("links",))
    for nonsense in (-1, 1.5, True, 1 << 63):
        with pytest.raises(UsageError, match="cache_bytes"):
            Index.load(tmp_path / "graph", on_disk="links", cache_bytes=nonsense)  # type: ignore[arg-type]


def test_it_is_for_searches_only(tmp_path: Path) -> None:
    index = saved(tmp_path / "index", **GRAPH)
    on_disk = Index.load(tmp_path / "index", on_disk="links")
    changes: list[Callable[[], object]] = [
        lambda: on_disk.add(X[:1]),
        lambda: on_disk.remove([3]),
        on_disk.compact,
        lambda: on_disk.save(tmp_path / "again"),
    ]
    for change in changes:
        with pytest.raises(UsageError, match="links on disk, and is for searches only; load its file without on_disk"):
            change()
    assert same(on_disk, index)
    assert not (tmp_path / "again").exists()


@pytest.mark.fault(36)
def test_a_file_that_is_replaced_or_deleted_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index = saved(path, **GRAPH)
    on_disk = Index.load(path, on_disk=("rerank", "links"), cache_bytes=ONE_BLOCK)
    other = saved(path, x=X[::-1][:500], **GRAPH)
    assert same(on_disk, index)
    assert same(Index.load(path, on_disk="rerank"), other)
    path.unlink()
    assert same(on_disk, index)


@pytest.mark.fault(36)
@pytest.mark.parametrize("part", ["rerank", "links"])
def test_a_file_that_is_altered_or_cut_short_is_an_error(part: str, tmp_path: Path) -> None:
    path = tmp_path / "index"
    index = saved(path, **GRAPH)
    whole = path.read_bytes()
    section = sections(whole)[{"rerank": "rerank0", "links": "links"}[part]]

    def alter(content: bytearray) -> None:
        content[section.offset : section.offset + section.bytes] = b"\x7f" * section.bytes

    for budget in (0, ONE_BLOCK):
        on_disk = Index.load(path, on_disk=part, cache_bytes=budget)
        overwrite(path, alter)
        for query in (Q, Q[0]):
            with pytest.raises(IndexFileError, match="altered after it was loaded") as raised:
                on_disk.search(query, K)
            assert str(path) in str(raised.value)
        os.truncate(path, section.offset + 100)
        for query in (Q, Q[0]):
            with pytest.raises(IndexFileError, match="ended at byte"):
                on_disk.search(query, K, threads=2)
        with path.open("r+b") as file:
            file.write(whole)
        assert same(on_disk, index)  # what was read in between is not kept


@pytest.mark.fault(1, 2)
def test_what_stays_on_disk_is_checked_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "index"
    saved(path, x=X[:60], **{**GRAPH, "transform": "identity"})
    whole = path.read_bytes()
    random = np.random.default_rng(SEED)
    parts = [sections(whole)[name] for name in ("rerank0", "links")]
    for place in [*(part.offset for part in parts), *random.integers(0, len(whole), 150)]:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        with pytest.raises(IndexFileError, match=str(path)):
            Index.load(path, on_disk=("rerank", "links"))
    for end in random.integers(0, len(whole), 50):
        path.write_bytes(whole[:end])
        with pytest.raises(IndexFileError, match=str(path)):
            Index.load(path, on_disk=("rerank", "links"))


@pytest.mark.fault(3, 5)
def test_forged_links_are_refused_as_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "index"
    degree = saved(path, x=X[:60], **GRAPH).native.degree
    whole = path.read_bytes()
    forgeries: list[tuple[int, int]] = [(0, 60), (4 * degree * 59, 2**32 - 2), (4 * degree * 7, 2**32 - 1)]
    for at, link in forgeries:  # the last ends a row that goes on
        forged = bytearray(whole)
        put(forged, "links", at, link, "<I")
        path.write_bytes(reseal(forged))
        messages = []
        for on_disk in ((), "links"):
            with pytest.raises(IndexFileError, match=f"node {at // (4 * degree)} has a link to") as raised:
                Index.load(path, on_disk=on_disk)
            messages.append(str(raised.value))
        assert messages[0] == messages[1]


@pytest.mark.fault(34)
def test_searches_of_several_threads(tmp_path: Path) -> None:
    index = saved(tmp_path / "index", **GRAPH)
    expected = index.search(Q, K, ef_search=60)[0]
    on_disk = Index.load(tmp_path / "index", on_disk=("rerank", "links"), cache_bytes=30_000)
    with ThreadPoolExecutor(4) as pool:
        for ids, _ in pool.map(lambda _: on_disk.search(Q, K, ef_search=60, threads=2), range(24)):
            assert np.array_equal(ids, expected)


def test_the_file_is_closed_with_the_index(tmp_path: Path) -> None:
    path = tmp_path / "index"
    saved(path, **GRAPH)
    assert open_descriptors(path) == 0
    on_disk = Index.load(path, on_disk="rerank")
    assert open_descriptors(path) == 1
    del on_disk
    assert open_descriptors(path) == 0
    with pytest.raises(UsageError):
        Index.load(path, on_disk=("rerank", "links"), cache_bytes=-1)
    assert open_descriptors(path) == 0


def test_loading_takes_no_memory_for_what_stays_on_disk(tmp_path: Path) -> None:
    wide = np.random.default_rng(1).normal(size=(10_000, 1024)).astype(np.float32)
    codes: dict[str, Any] = {"codec": {"kind": "uniform", "bits": 1}, "rerank": "float32"}
    saved(tmp_path / "index", x=wide, **codes)
    peak = PeakMeter()
    on_disk = Index.load(tmp_path / "index", on_disk="rerank", cache_bytes=1 << 20)
    on_disk.search(wide[:200], K)
    taken = peak.peak_bytes()
    assert on_disk.disk_nbytes_by_part["rerank"] == wide.nbytes
    if taken is not None:
        assert taken < wide.nbytes / 3, "40 MB of vectors were read into memory"
