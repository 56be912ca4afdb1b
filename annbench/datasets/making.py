"""The work of `annbench data add`, done in its child process: read, split, compute the truth, write, check,
install.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from annbench.datasets.add import AddRequest
from annbench.datasets.checks import check_vectors
from annbench.datasets.child import end_with_parent, error_line
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5
from annbench.datasets.formats.npy import read_checked
from annbench.datasets.info import DatasetInfo, Metric
from annbench.datasets.inspect import inspect
from annbench.errors import EXIT_INTERRUPTED, AnnbenchError, DatasetError

MAX_HELD_OUT = 1000
PARTIAL = ".partial"  # in the data folder: locks, and truth that is not complete yet
_BLOCK_BYTES = 16 << 20

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Split:
    """Base and queries; `held_out_rows` are the queries' rows in the original matrix, if they come from
    it.
    """

    base: NDArray[Any]
    queries: NDArray[Any]
    held_out_rows: NDArray[np.int64] | None


def make(request: AddRequest, progress: Progress) -> tuple[DatasetInfo, list[str]]:
    """Make the dataset of `request` and install it; returns its description and remarks.

    Raises DatasetError.
    """
    request.folder.mkdir(parents=True, exist_ok=True)
    with _alone(request):
        if request.target.exists() and not request.force:
            raise DatasetError(f"{request.name} exists already", where=str(request.target), remedy="give --force")
        for stale in request.folder.glob(f".{request.name}.*.tmp.hdf5"):
            stale.unlink(missing_ok=True)
        temporary = request.folder / f".{request.name}.{os.getpid()}.tmp.hdf5"
        try:
            notes = (_import if request.imports_hdf5 else _assemble)(request, temporary, progress)
            progress("check", 0.0)
            info = inspect(temporary, request.name)
            if request.metric not in (None, info.metric):
                raise DatasetError(
                    f"is a {info.metric} dataset",
                    where=str(request.base),
                    remedy=f"leave out --metric {request.metric}",
                )
            _install(temporary, request.target)
        finally:
            temporary.unlink(missing_ok=True)
        for leftover in _checkpoints(request):
            leftover.unlink(missing_ok=True)
        return info.model_copy(update={"path": str(request.target.absolute())}), notes


def load_vectors(path: Path) -> tuple[NDArray[Any], list[str]]:
    """The matrix of a .npy file in native byte order, C order and a dtype that datasets have, with remarks.

    It stays a memory map where nothing has to be converted. Raises DatasetError, naming the first bad row.
    """
    vectors = read_checked(path)
    notes = []
    dtype = np.dtype(np.float32) if vectors.dtype.itemsize == 8 else vectors.dtype.newbyteorder("=")
    if vectors.dtype.itemsize == 8:
        notes.append(f"{path.name}: float64 was converted to float32")
    if dtype != vectors.dtype or not vectors.flags.c_contiguous:
        with np.errstate(over="ignore"):
            vectors = np.ascontiguousarray(vectors, dtype=dtype)
    check_vectors(_blocks(vectors), str(path))
    return vectors, notes


def hold_out(vectors: NDArray[Any], count: int | None, seed: int, where: str) -> Split:
    """Take `count` random rows out of the matrix as queries. Raises DatasetError if nothing would be left."""
    n = len(vectors)
    count = min(MAX_HELD_OUT, n // 10) if count is None else count
    if not 0 < count < n:
        raise DatasetError(
            f"has {n} vectors, from which {count} cannot be held out",
            where=where,
            remedy="give --queries, or --held-out",
        )
    rows = np.sort(np.random.default_rng(seed).choice(n, count, replace=False))
    kept = np.ones(n, dtype=bool)
    kept[rows] = False
    return Split(vectors[kept], vectors[rows], rows)


def count_copies(base: NDArray[Any], queries: NDArray[Any]) -> int:
    """How many base rows are byte for byte one of the queries."""
    wanted = {row.tobytes() for row in np.asarray(queries, dtype=base.dtype)}
    return sum(row.tobytes() in wanted for _, block in _blocks(base) for row in block)


def _assemble(request: AddRequest, temporary: Path, progress: Progress) -> list[str]:
    from annbench.datasets.ground_truth import exact_neighbors

    assert request.metric is not None
    progress("read", 0.0)
    vectors, notes = load_vectors(request.base)
    split = _split(request, vectors, notes)
    k = min(request.k, len(split.base))
    if k < request.k:
        notes.append(f"the base has {k} vectors: k is {k}, not {request.k}")
    if request.metric == "cosine":
        notes += _about_zero_rows(split)
    fingerprint = _fingerprint(split, request.metric, k)
    checkpoint = request.folder / PARTIAL / f"{request.name}+{fingerprint[:16]}.truth"
    truth = exact_neighbors(
        split.base,
        split.queries,
        k,
        request.metric,
        threads=request.threads,
        memory_limit_bytes=request.memory_bytes,
        checkpoint=checkpoint,
        fingerprint=fingerprint,
        progress=lambda done: progress("truth", done),
    )
    tied = int((truth.ties_beyond_k > 0).sum())
    if tied:
        notes.append(f"{tied} queries have further neighbours as near as the last of their {k}")
    progress("write", 0.0)
    _write(temporary, _arrays(request, split, truth.neighbors, truth.distances))
    return notes


def _split(request: AddRequest, vectors: NDArray[Any], notes: list[str]) -> Split:
    if request.queries is None:
        split = hold_out(vectors, request.held_out, request.seed, str(request.base))
        notes.append(f"{len(split.queries)} rows were held out as queries (seed {request.seed})")
    else:
        queries, more = load_vectors(request.queries)
        notes += more
        if queries.shape[1] != vectors.shape[1]:
            raise DatasetError(
                f"has {queries.shape[1]} dimensions, and the base has {vectors.shape[1]}",
                where=str(request.queries),
                remedy="queries and base must come from the same space",
            )
        split = Split(vectors, queries, None)
    copies = count_copies(split.base, split.queries)
    if copies:
        notes.append(f"{copies} base vectors are exact copies of a query; they stay, and make recall look easier")
    return split


def _about_zero_rows(split: Split) -> list[str]:
    found = {
        what: np.concatenate([start + np.flatnonzero(~block.any(axis=1)) for start, block in _blocks(vectors)])
        for what, vectors in (("base", split.base), ("queries", split.queries))
    }
    return [
        f"{len(rows)} zero vectors in the {what}, at cosine distance 1 from everything; rows: "
        + ", ".join(map(str, rows[:10]))
        + (", …" if len(rows) > 10 else "")
        for what, rows in found.items()
        if len(rows)
    ]


def _arrays(
    request: AddRequest, split: Split, neighbors: NDArray[Any], distances: NDArray[np.floating[Any]]
) -> DatasetArrays:
    assert request.metric is not None
    provenance: dict[str, str | int | float] = {
        "made_by": "annbench data add",
        "base_file": request.base.name,
    }
    if split.held_out_rows is not None:
        provenance["held_out_seed"] = request.seed
    else:
        assert request.queries is not None
        provenance["queries_file"] = request.queries.name
    return DatasetArrays(
        base=split.base,
        metric=request.metric,
        queries=QuerySetArrays(split.queries, neighbors, distances),
        held_out_rows=split.held_out_rows,
        provenance=provenance,
    )


def _import(request: AddRequest, temporary: Path, progress: Progress) -> list[str]:
    """Copy a whole dataset; it is checked afterwards, as the copy that will be used."""
    progress("write", 0.0)
    if not request.base.is_file():
        raise DatasetError("no such file", where=str(request.base), remedy="check the path")
    # Checked before it is copied, so that a refusal names the file that was given.
    inspect(request.base, request.name)
    with _writing(temporary):
        shutil.copyfile(request.base, temporary)
    return []


def _write(temporary: Path, arrays: DatasetArrays) -> None:
    with _writing(temporary):
        write_hdf5(temporary, arrays)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # h5py raises RuntimeError when closing fails
        raise DatasetError(
            f"cannot be written: {error}",
            where=str(path.parent),
            remedy="free disk space, or give another --data-dir",
        ) from error


def _install(temporary: Path, target: Path) -> None:
    """Make the finished file visible under its name, durably."""
    for path in (temporary, target.parent):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path == temporary:
            os.replace(temporary, target)


@contextmanager
def _alone(request: AddRequest) -> Iterator[None]:
    """One process at a time makes one name; the lock of a dead one is free."""
    partial = request.folder / PARTIAL
    partial.mkdir(exist_ok=True)
    lock = FileLock(partial / f"{request.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DatasetError(
            f"{request.name} is being added by another process",
            where=str(request.folder),
            remedy="wait for it",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _checkpoints(request: AddRequest) -> list[Path]:
    """Every checkpoint of this name; `+` occurs in no name, so no other name's is among them."""
    return list((request.folder / PARTIAL).glob(f"{request.name}+*"))


def _fingerprint(split: Split, metric: Metric, k: int) -> str:
    """Identifies what the truth is computed from."""
    digest = hashlib.sha256(f"{metric} {k} {split.base.dtype} {split.base.shape} {split.queries.shape}".encode())
    for vectors in (split.base, split.queries):
        for _, block in _blocks(vectors):
            digest.update(np.ascontiguousarray(block).tobytes())
    return digest.hexdigest()


def _blocks(vectors: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    step = max(1, _BLOCK_BYTES // (8 * vectors.shape[1]))
    for start in range(0, len(vectors), step):
        yield start, vectors[start : start + step]


def _main() -> None:
    request = AddRequest.model_validate_json(sys.stdin.readline())
    end_with_parent()

    def say(line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    try:
        info, notes = make(request, lambda phase, done: say({"progress": {"phase": phase, "fraction": done}}))
        say({"result": {"info": info.model_dump(mode="json"), "notes": notes}})
    except AnnbenchError as error:
        say(error_line(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except MemoryError:
        say(
            error_line(
                DatasetError(
                    "does not fit in memory",
                    where=str(request.base),
                    remedy="use fewer vectors, float16 or int8",
                )
            )
        )


if __name__ == "__main__":
    _main()
