"""A process that is killed, a disk that is full, memory that runs out, threads that do not wait for each other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from index_data import DIM, LISTS, PCA, SEED, SPECS, N, Q, X, everything

from annbench.errors import AnnbenchError, UsageError
from annbench.indexes.index import Index
from annbench.isa import available_isas

SLOTS: dict[str, Any] = {"transform": PCA, "codec": "uniform", "structure": LISTS, "rerank": "float16"}


IMPORTS = """
import os, sys, numpy as np
from annbench.errors import AnnbenchError
from annbench.indexes.index import Index
"""


def child(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process that is not harmed by what is done to this one's memory, disk or life."""
    return subprocess.run(
        [sys.executable, "-c", IMPORTS + code, *map(str, arguments)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


KILLED_WHILE_SAVING = """
import random, signal, time
folder, rounds = sys.argv[1], int(sys.argv[2])
names = [os.path.join(folder, name) for name in ("one", "other")]
whole = [open(name, "rb").read() for name in names]
indexes = [Index.load(name) for name in names]
path = os.path.join(folder, "index")
indexes[0].save(path)
random.seed(7)
torn = 0
for _ in range(rounds):
    pid = os.fork()
    if pid == 0:
        while True:
            for index in indexes:
                index.save(path)
    time.sleep(random.uniform(0, 0.02))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert open(path, "rb").read() in whole, "neither the one nor the other"
    torn += any(name.endswith(".partial") for name in os.listdir(folder))
    Index.load(path)
print(torn)
"""


@pytest.mark.fault(26)
def test_a_save_that_is_killed_leaves_the_one_file_or_the_other(tmp_path: Path) -> None:
    Index.build(X, **SLOTS).save(tmp_path / "one")
    Index.build(X[:500], codec="float32").save(tmp_path / "other")
    done = child(KILLED_WHILE_SAVING, tmp_path, 40)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0, "no kill met a save"


FULL_DISK = """
import resource, signal
folder = sys.argv[1]
path = os.path.join(folder, "index")
index = Index.load(path)
before = open(path, "rb").read()
index.add(np.ones((50, index.dim), np.float32))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for room in range(0, len(before), len(before) // 20):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        index.save(path)
    except AnnbenchError as error:
        assert type(error).__name__ == "IndexFileError" and "make room" in str(error), error
    else:
        raise AssertionError(room)
    assert open(path, "rb").read() == before and os.listdir(folder) == ["index"], room
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.save(path)
assert len(Index.load(path)) == len(index)
"""


@pytest.mark.fault(27)
def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    Index.build(X[:500], **SLOTS).save(tmp_path / "index")
    done = child(FULL_DISK, tmp_path)
    assert done.returncode == 0, done.stderr


# Memory for the answers alone, for the vectors to add, for the codes of a file: more than the process may have.
NO_MEMORY = """
import resource
path, big, large = sys.argv[1:4]
index = Index.load(path)
queries = np.load(large)[:9, : index.dim].copy()
known = [part.tolist() for part in index.search(queries)]
vectors = np.load(large, mmap_mode="r")[:, : index.dim]
index.remove(index.add(queries[:1]))  # libraries are loaded when they are first needed
queries_of_all = np.zeros((4, index.dim), np.float32)
used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (used + (24 << 20), resource.RLIM_INFINITY))
for what in (
    lambda: index.search(queries[0], 100_000_000),
    lambda: index.search(queries_of_all, 100_000_000),
    lambda: index.add(vectors),
    lambda: Index.load(big),
):
    try:
        what()
    except MemoryError:
        pass
    else:
        raise AssertionError("there was memory")
    assert [part.tolist() for part in index.search(queries)] == known
assert len(index) == 500
index.add(queries)
assert len(index) == 509
"""


@pytest.mark.fault(35)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space as Linux has them")
def test_without_memory_an_index_stays_as_it_was(tmp_path: Path) -> None:
    # No maps and no lists: the matrix products of libraries end the process where they find no memory.
    Index.build(X[:500], codec="uniform", rerank="float16").save(tmp_path / "index")
    np.save(tmp_path / "x.npy", np.tile(X, (150, 1)))  # 55 MiB
    Index.build(np.load(tmp_path / "x.npy"), codec="float32").save(tmp_path / "big")
    done = child(NO_MEMORY, tmp_path / "index", tmp_path / "big", tmp_path / "x.npy")
    assert done.returncode == 0, done.stderr


@pytest.mark.fault(35)
def test_what_fails_in_a_later_block_takes_the_earlier_ones_back(monkeypatch: pytest.MonkeyPatch) -> None:
    # One direction of next to no variance, which whitening amplifies, and one vector that is far out in it.
    x = X[:500].copy()
    x[:, 0] = 1e-12 * x[:, 0]
    index = Index.build(x, transform={"kind": "whitening", "dim": DIM})
    known = [part.tolist() for part in index.search(x[:20])]
    x[400, 0] = 1e18
    monkeypatch.setattr("annbench.indexes.vectors.BLOCK_BYTES", 4 * DIM * 100)
    with pytest.raises(UsageError, match="x: row 400: is mapped beyond float32"):
        index.add(x)
    assert len(index) == 500
    x[400, 0] = 0
    assert [part.tolist() for part in index.search(x[:20])] == known
    assert index.add(x[:300]).tolist() == list(range(500, 800))


@pytest.mark.fault(15)
def test_vectors_that_a_codec_cannot_hold_are_told() -> None:
    index = Index.build(X[:100], codec="float16", rerank="float16")
    with pytest.raises(UsageError, match=r"does not fit into float16 rows .* build it again"):
        index.add(X[:100] * 1e6)
    assert len(index) == 100


@pytest.mark.fault(34)
def test_adding_removing_searching_loading_and_saving_at_once(tmp_path: Path) -> None:
    index = Index.build(X[:500], seed=SEED, **SLOTS)
    index.save(tmp_path / "index")
    known = everything(index, Q)
    added: list[list[int]] = []
    failed: list[BaseException] = []

    def often(action: object, times: int) -> threading.Thread:
        def run() -> None:
            try:
                for _ in range(times):
                    action()  # type: ignore[operator]
            except BaseException as error:
                failed.append(error)

        return threading.Thread(target=run)

    def load_and_search() -> None:
        again = Index.load(tmp_path / "index")
        assert all(np.array_equal(a, b) for a, b in zip(everything(again, Q), known, strict=True))

    def add_and_remove() -> None:
        added.append(index.add(X[:7]).tolist())
        index.remove(index.add(X[7:9]))

    def search() -> None:
        ids, distances = everything(index, Q, threads=2)
        assert (ids >= 0).all()
        assert (np.diff(distances, axis=1) >= 0).all()

    threads = [
        *(often(add_and_remove, 30) for _ in range(3)),
        *(often(search, 20) for _ in range(2)),
        often(load_and_search, 20),
        often(lambda: index.save(tmp_path / "meanwhile"), 10),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    ids = [i for some in added for i in some]
    assert len(ids) == 3 * 30 * 7 == len(set(ids))
    assert sorted(index.ids.tolist()) == sorted([*range(500), *ids])
    assert 500 <= len(Index.load(tmp_path / "meanwhile")) <= 500 + len(ids) + 6


@pytest.mark.fault(34)
def test_a_forked_process_searches_with_threads_of_its_own(tmp_path: Path) -> None:
    Index.build(X, **SLOTS).save(tmp_path / "index")
    np.save(tmp_path / "q.npy", Q)
    code = """
index, q = Index.load(sys.argv[1]), np.load(sys.argv[2])
known = index.search(q, threads=3)[0].tolist()
pid = os.fork()
assert index.search(q, threads=3)[0].tolist() == known
if pid:
    assert os.waitpid(pid, 0)[1] == 0
"""
    done = child(code, tmp_path / "index", tmp_path / "q.npy")
    assert done.returncode == 0, done.stderr


@pytest.mark.fault(33)
def test_every_isa_answers_alike_and_one_that_is_none_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X[:300])
    names = ["float32", "float16", "uniform 4", "planes 2", "two levels", "uniform 8 lists"]
    specs = tmp_path / "specs.json"
    specs.write_text(json.dumps([SPECS[name][0] for name in names]))
    code = """
import json
x = np.load(sys.argv[1])
for slots in json.load(open(sys.argv[2])):
    index = Index.build(x, seed=5, threads=1, **slots)
    print(index.search(x[:20], 5, nprobe=20)[0].tolist())
"""
    answers = [child(code, tmp_path / "x.npy", specs, ANNBENCH_ISA=name) for name in available_isas()]
    assert all(done.returncode == 0 for done in answers), answers[0].stderr
    for done in answers:
        for name, mine, expected in zip(names, done.stdout.splitlines(), answers[0].stdout.splitlines(), strict=True):
            found, known = np.array(json.loads(mine)), np.array(json.loads(expected))
            assert (found == known).mean() > 0.98, name
    Index.build(X[:9]).save(tmp_path / "index")
    code = """
for action in (lambda: Index.build(np.ones((3, 4), np.float32)), lambda: Index.load(sys.argv[1])):
    try:
        action()
    except AnnbenchError as error:
        print(error)
"""
    refused = child(code, tmp_path / "index", ANNBENCH_ISA="avx3")
    assert refused.returncode == 0, refused.stderr
    assert refused.stdout.count("ANNBENCH_ISA: unknown instruction set 'avx3'; available: scalar") == 2


@pytest.mark.fault(18, 19)
def test_numbers_that_are_too_large_are_told_or_mean_all(tmp_path: Path) -> None:
    index = Index.build(X[:100], structure={"kind": "ivf", "nlist": 4}, codec="uniform", rerank="uniform")
    for k in (1 << 32, 1 << 33, 1 << 70):
        for queries in (Q[0], Q):
            with pytest.raises(UsageError, match="k: got"):
                index.search(queries, k)
    for queries in (Q[0], Q):
        known = index.search(queries, 5, nprobe=4, rerank_k=100)[0]
        for large in (1 << 31, 1 << 40, 1 << 70):
            assert np.array_equal(index.search(queries, 5, nprobe=large, rerank_k=large)[0], known)
    with pytest.raises(UsageError, match="x: has dim 1,048,577"):
        Index.build(np.zeros((1, (1 << 20) + 1), np.int8))
    Index.build(np.ones((1, 1 << 20), np.int8)).save(tmp_path / "wide")
    assert Index.load(tmp_path / "wide").dim == 1 << 20


def test_the_last_id_can_be_used_and_none_comes_after_it() -> None:
    last = (1 << 63) - 1
    index = Index.build(X[:3], ids=[last - 1, 1, 2])
    assert index.add(X[3:4]).tolist() == [last]
    for x in (X[4:5], X[4:6]):
        with pytest.raises(UsageError, match=f"are left above {last}"):
            index.add(x)
    assert index.add(X[:0]).tolist() == []
    assert index.add(X[4:5], ids=[7]).tolist() == [7]
    assert index.search(X[3], 1)[0].tolist() == [last]


@pytest.mark.parametrize("name", ["a\0b", "\udcff"])
def test_what_cannot_be_a_file_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for action in (Index.load, Index.build(X[:9]).save):
        with pytest.raises(AnnbenchError, match="is no file name"):
            action(name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(15)
def test_a_query_that_a_map_makes_too_large_is_told() -> None:
    x = X[:500].copy()
    x[:, 0] = 1e-12 * x[:, 0]
    index = Index.build(x, transform={"kind": "whitening", "dim": DIM})
    far = x[:3].copy()
    far[1, 0] = 1e18
    for queries in (far, far[1]):
        with pytest.raises(UsageError, match="q: a query is mapped beyond float32"):
            index.search(queries)
    assert len(index) == 500 < N
