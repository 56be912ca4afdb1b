"""Two sides made of figures that a reader can follow, for the tests of comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from annbench.compare.side import Side
from annbench.compare.taken import Place, Series, Setting, Taken, Times

N = 1000
WORKERS = 30


def taken(
    label: str | None = None,
    *,
    algorithm: str = "hnswlib",
    ef: int = 20,
    build: Mapping[str, Any] | None = None,
    recall: float | None = 0.95,
    seconds: float | None = 1e-3,
    worker: int = 0,
    build_index: int = 0,
    block: str | None = None,
    machine: str = "here",
    threads: int = 1,
    queries: int = 100,
    dataset: str = "set",
    sha: str = "0" * 64,
    ids: str | None = None,
    index_bytes: int | None = 500_000,
    index_crc: str | None = "c0ffee00",
    isa: str = "avx2",
    counters: Mapping[str, int] | None = None,
    status: Any = "ok",
    version: str = "1.0",
) -> Taken:
    """One measurement; `seconds` a query, None for a measurement without a believable time."""
    place = Place(worker, build_index, f"block{worker}" if block is None else block, machine)
    ok = status == "ok"
    return Taken(
        setting=Setting(dataset, sha, "test", "knn", 10, "single", threads, queries),
        series=Series(algorithm, label),
        build={"M": 16} if build is None else build,
        search={"ef": ef},
        n=N,
        isa=isa,
        versions={"hnswlib": version},
        status=status,
        detail="" if ok else "SIGSEGV",
        recall=recall if ok else None,
        ids_crc32c=(ids or f"ids{ef}{recall}") if ok else None,
        index_bytes=index_bytes,
        index_crc32c=index_crc,
        counters=counters or {},
        times=Times(place, seconds, 2e6 * seconds, 4.0) if seconds and ok else None,
        digest=f"{label}{algorithm}{ef}{build}{build_index}{worker}{machine}{threads}{queries}",
    )


def side(name: str, parts: Iterable[Taken]) -> Side:
    """A side of these measurements."""
    return Side(name, tuple(parts))


# ef → recall and seconds: brackets of 0.90 and 0.95 are narrow, 0.99 is passed in one long step.
CURVE = {10: (0.88, 1.0e-3), 20: (0.93, 1.5e-3), 40: (0.96, 2.5e-3), 80: (0.995, 4.0e-3)}


def frontier(
    label: str,
    *,
    factor: float = 1.0,
    workers: int = WORKERS,
    noise: float = 0.005,
    seed: int = 0,
    block: str = "block",
    curve: Mapping[int, tuple[float, float]] = CURVE,
    **options: Any,
) -> list[Taken]:
    """An interleaved run of CURVE, times multiplied by `factor`; blocks are shared by equal `block`."""
    rng = np.random.default_rng(seed)
    return [
        taken(
            label, ef=ef, recall=recall, seconds=seconds * factor * float(np.exp(rng.normal(0, noise))),
            worker=worker, block=f"{block}{worker}", **options,
        )
        for worker in range(workers)
        for ef, (recall, seconds) in curve.items()
    ]  # fmt: skip


def pair(base: Sequence[Taken], new: Sequence[Taken]) -> tuple[Side, Side]:
    """Two sides called as on a command line."""
    return side("results:old", base), side("results:new", new)
