"""Index files that were altered by somebody who put the checksums right."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
from index_bytes import BYTE_ORDER, BYTES, DTYPE, HEADER, OFFSET, RANK, SHAPE, VERSION, put, put_entry, reseal, sections
from index_data import DIM, LISTS, SEED, SPECS, Q, X, everything

from annbench.errors import AnnbenchError, IndexFileError
from annbench.indexes.index import Index

FLIPS = 60
SLOTS: dict[str, Any] = {"codec": "uniform", "structure": {**LISTS, "nlist": 3}, "rerank": "uniform"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("forged") / "index"
    # The last of these ids takes 8 bytes, so that all do, and one may be forged into what is none.
    Index.build(X[:30], "cosine", ids=[*range(29), 1 << 32], seed=SEED, threads=1, **SLOTS).save(path)
    return path.read_bytes()


def test_the_tests_read_the_format(whole: bytes, tmp_path: Path) -> None:
    assert reseal(bytearray(whole)) == whole
    assert sections(whole)["ids"].bytes == 30 * 8
    Index.build(X[:30]).save(tmp_path / "index")
    assert sections((tmp_path / "index").read_bytes())["ids"].bytes == 30 * 4
    assert sections(whole)["settings"].offset == HEADER


Change = Callable[[bytearray], None]
FORGERIES: dict[str, list[Change]] = {
    "n = 2^63": [lambda f: put_entry(f, "ids", SHAPE, 1 << 63)],
    "n wraps to the bytes it has": [lambda f: put_entry(f, "ids", SHAPE, (1 << 61) + 30)],
    "more than the file": [
        lambda f: put_entry(f, "ids", SHAPE, 1 << 40),
        lambda f: put_entry(f, "ids", BYTES, 8 << 40),
    ],
    "ids of another kind": [lambda f: put_entry(f, "ids", DTYPE, 4, "<I")],
    "ids of half the bytes": [lambda f: put_entry(f, "ids", DTYPE, 3, "<I")],
    "a rank that is none": [lambda f: put_entry(f, "ids", RANK, 9, "<I")],
    "elsewhere": [lambda f: put_entry(f, "ids", OFFSET, 0)],
    "beyond the end": [lambda f: put_entry(f, "codes0", OFFSET, (1 << 64) - 64)],
    "no metric": [lambda f: put(f, "settings", 0, 3)],
    "dim_in = 0": [lambda f: put(f, "settings", 8, 0)],
    "dim = 0": [lambda f: put(f, "settings", 16, 0)],
    "dim = 2^62": [lambda f: put(f, "settings", 16, 1 << 62)],
    "dim_in × dim wraps": [lambda f: put(f, "settings", 8, 1 << 33), lambda f: put(f, "settings", 16, 1 << 33)],
    "other dim": [lambda f: put(f, "settings", 8, DIM + 1), lambda f: put(f, "settings", 16, DIM + 1)],
    "no codec": [lambda f: put(f, "settings", 48, 99)],
    "another codec": [lambda f: put(f, "settings", 48, 0)],
    "bits that are none": [lambda f: put(f, "settings", 56, 5)],
    "other re-ranking": [lambda f: put(f, "settings", 104, 3)],
    "other assignments": [lambda f: put(f, "settings", 120, 16)],
    "no assignments": [lambda f: put(f, "settings", 120, 0)],
    "a list larger than all": [lambda f: put(f, "list_sizes", 0, 1 << 31)],
    "lists that wrap together": [lambda f: put(f, "list_sizes", 0, -30), lambda f: put(f, "list_sizes", 8, 60)],
    "a list less": [lambda f: put_entry(f, "list_sizes", SHAPE, 2)],
    "an id that is none": [lambda f: put(f, "ids", 80, -1)],
    "a centroid that is no number": [lambda f: put(f, "centroids", 4, 0x7FC00000, "<I")],
    "a length of another kind": [lambda f: put(f, "settings", 128, 0x7F800000)],
}


@pytest.mark.fault(4, 5)
@pytest.mark.parametrize("name", FORGERIES)
def test_sizes_and_numbers_that_cannot_be_are_refused(name: str, whole: bytes, tmp_path: Path) -> None:
    file = bytearray(whole)
    for change in FORGERIES[name]:
        change(file)
    assert file != whole
    path = tmp_path / "index"
    path.write_bytes(reseal(file))
    with pytest.raises(IndexFileError, match="build the index") as refused:
        Index.load(path)
    assert refused.value.where.startswith(str(path))


@pytest.mark.fault(6)
@pytest.mark.parametrize("what", ["version", "byte order"])
def test_files_of_other_writers_are_named(what: str, whole: bytes, tmp_path: Path) -> None:
    file = bytearray(whole)
    if what == "version":
        struct.pack_into("<I", file, VERSION, 2)
        reseal(file)
    else:  # every number of the prelude the other way round, and its checksum that of the bytes
        for at, size in ((BYTE_ORDER, 4), (VERSION, 4), (16, 4), (20, 4), (24, 8)):
            file[at : at + size] = file[at : at + size][::-1]
        file[32:36] = bytes(4)
        file[32:36] = google_crc32c.value(bytes(file[:HEADER])).to_bytes(4, "big")
    (tmp_path / "index").write_bytes(file)
    with pytest.raises(IndexFileError, match=r"format 2.*rebuild" if what == "version" else r"byte order.*rebuild"):
        Index.load(tmp_path / "index")


def used(index: Index, known: set[int]) -> None:
    """Searches and changes it in every way. Errors other than annbench's are for the test to see."""
    for q in (Q[0], Q[:5]):
        try:
            found, distances = everything(index, q, 40)
        except AnnbenchError:  # a map may lead beyond float32
            continue
        assert set(found.ravel().tolist()) <= known
        assert found.shape == distances.shape
    try:
        index.add(X[:3])
        index.remove(index.ids[:2])
        everything(index, Q[:5], 40)
    except AnnbenchError:
        pass
    assert repr(index).startswith("annbench.Index: ")


@pytest.mark.fault(3)
@pytest.mark.parametrize("name", SPECS)
def test_flips_that_look_sound_are_refused_or_harmless(name: str, tmp_path: Path) -> None:
    slots: dict[str, Any] = dict(SPECS[name][0])
    if isinstance(slots.get("structure"), dict):
        slots["structure"] = {**slots["structure"], "nlist": 4}
    path = tmp_path / "index"
    Index.build(X[:40], seed=SEED, threads=1, **slots).save(path)
    whole = path.read_bytes()
    random = np.random.default_rng([SEED, len(name)])
    # Half of them where numbers decide about sizes and the rest about values.
    decisive = [place for part in ("settings", "description", "list_sizes") for place in _places(whole, part)]
    decisive += range(64 + 88 * len(sections(whole)))
    accepted = 0
    for attempt in range(FLIPS):
        file = bytearray(whole)
        place = int(random.choice(decisive)) if attempt % 2 else int(random.integers(HEADER, len(whole)))
        file[place] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(reseal(file))
        try:
            index = Index.load(path)
        except IndexFileError:
            continue
        accepted += 1
        used(index, {-1, *range(40), *index.ids.tolist()})
    assert 0 < accepted < FLIPS


def _places(file: bytes, name: str) -> range:
    section = sections(file)[name]
    return range(section.offset, section.offset + section.bytes)


@pytest.mark.fault(5)
def test_more_assignments_than_there_are_make_no_negative_size(whole: bytes, tmp_path: Path) -> None:
    file = bytearray(whole)
    put(file, "settings", 120, 2)
    (tmp_path / "index").write_bytes(reseal(file))
    index = Index.load(tmp_path / "index")
    index.remove(index.ids[:20])
    assert len(index) == 0
    index.remove(index.ids)
    assert (index.search(Q[0])[0] == -1).all()
