"""Index files of other libraries, damaged between build and load: the worker may die, the run may not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from annbench.results.schema import BuildSummary
from annbench.runner.execute import Observer
from annbench.runner.plan import PlannedBuild

HNSWLIB = "  - algorithm: hnswlib\n    build: {{M: {M}, ef_construction: 40}}\n    search: {{ef: 10}}\n"
FAISS = "  - algorithm: faiss-hnsw\n    build: {{M: {M}, efConstruction: 40}}\n    search: {{efSearch: 10}}\n"
SOUND = "  - algorithm: bruteforce\n"

Damage = Callable[[bytes], bytes]


def cut(share: float) -> Damage:
    return lambda good: good[: int(len(good) * share)]


def at(position: int, patch: bytes) -> Damage:
    return lambda good: good[:position] + patch + good[position + len(patch) :]


# By the M that tells the builds of one run apart: what is done to the file, and what the record must say.
DAMAGES: dict[int, tuple[str, Damage, str]] = {
    # hnswlib keeps in its first bytes where a vector and its label begin, and believes them
    4: (HNSWLIB, at(0, (2**40 + 7).to_bytes(8, "little")), "SIGSEGV"),
    5: (HNSWLIB, at(32, (2**40 + 7).to_bytes(8, "little")), "SIGSEGV"),
    6: (HNSWLIB, at(8, (2**48).to_bytes(8, "little")), "Not enough memory"),
    7: (HNSWLIB, cut(0.5), "corrupted"),
    8: (FAISS, cut(0.5), "read error"),
    9: (FAISS, at(0, b"\x07\0\0\0"), "not recognized"),
    10: (FAISS, at(32, b"\x07"), "invalid bool"),
}


class Damages(Observer):
    """Damages the file of each index, once it is complete."""

    def __init__(self, builds: Callable[[], list[Path]], damages: dict[int, Damage]) -> None:
        self.builds, self.damages = builds, dict(damages)

    def built(self, build: PlannedBuild, summary: BuildSummary) -> None:
        damage = self.damages.pop(build.params.get("M"), None)
        if damage is None:
            return
        (path,) = (p for folder in self.builds() for p in folder.rglob("index.*") if p.is_file())
        path.write_bytes(damage(path.read_bytes()))


@pytest.mark.fault(7)
def test_a_damaged_index_costs_its_own_points_only(bench) -> None:
    entries = "".join(entry.format(M=M) for M, (entry, _, _) in DAMAGES.items())
    observer = Damages(bench.store.builds, {M: damage for M, (_, damage, _) in DAMAGES.items()})
    outcome = bench.run(bench.config(entries + SOUND), observer)
    assert observer.damages == {}
    assert outcome.statuses == {"crashed": len(DAMAGES), "ok": 1}
    failed = {record.key.build["M"]: record for record in bench.records().values() if record.status != "ok"}
    for M, (_, _, said) in DAMAGES.items():
        assert said in failed[M].status_detail
        assert failed[M].failed_phase in ("load", "search")
        assert failed[M].verdict == "invalid"


@pytest.mark.fault(7)
def test_an_index_that_is_damaged_is_built_anew_when_its_points_are_retried(bench) -> None:
    config = bench.config(HNSWLIB.format(M=8))
    assert bench.run(config, Damages(bench.store.builds, {8: cut(0)})).statuses == {"crashed": 1}
    assert bench.run(config, retry_failed=True).statuses == {"ok": 1}


@pytest.mark.fault(7)
def test_a_file_that_the_library_reads_for_ever_is_stopped(bench) -> None:
    """Four bytes in faiss' table of levels: the library walks on far beyond its index."""
    config = bench.config(FAISS.format(M=8), extra="limits: {point: 3s, memory: 700MiB}")
    outcome = bench.run(config, Damages(bench.store.builds, {8: at(125, b"\xff\xff\xff\xff")}))
    assert outcome.failed == 1
    assert set(outcome.statuses) <= {"timeout", "oom", "crashed"}
