"""Progress on disk: the lists found so far, and how many rows of the base each query has seen.

One npz file without pickled objects, written beside its name, synced and renamed, so that a kill leaves the
old one or the new one. It carries what it was computed from and is refused for anything else.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.ground_truth.job import Job
from annbench.datasets.ground_truth.rows import RowSource
from annbench.distances.sets import Sets
from annbench.errors import DatasetError

FORMAT = 2
_SAMPLED_ROWS = 64


@dataclass(frozen=True)
class Progress:
    """Lists over the rows [0, rows_done[i]) of the base, per query i; updated in place."""

    neighbors: NDArray[np.int64]
    distances: NDArray[np.float64]
    ties: NDArray[np.int64]
    rows_done: NDArray[np.int64]

    def part(self, queries: slice | NDArray[np.int64]) -> Progress:
        """A copy of what is known of these queries."""
        return Progress(**{name: array[queries].copy() for name, array in vars(self).items()})


def fresh(queries: int, k: int) -> Progress:
    """Nothing found yet."""
    return Progress(
        neighbors=np.full((queries, k), -1, np.int64),
        distances=np.full((queries, k), np.inf, np.float64),
        ties=np.zeros(queries, np.int64),
        rows_done=np.zeros(queries, np.int64),
    )


def describe_inputs(job: Job) -> dict[str, str | int]:
    """What a checkpoint depends on: shapes, dtypes, k, metric, the part of the base, the caller's fingerprint, and a
    hash of sampled rows."""
    base, queries = job.base, job.queries
    return {
        "format": FORMAT,
        "n": base.shape[0],
        "queries": queries.shape[0],
        "dim": base.shape[1],
        "k": job.k,
        "metric": job.metric,
        "part": job.part,
        "base_dtype": _dtype_name(base),
        "query_dtype": _dtype_name(queries),
        "fingerprint": job.fingerprint,
        "sample_sha256": _sample_sha256(base, queries),
    }


def _dtype_name(source: RowSource) -> str:
    return "sets" if isinstance(source, Sets) else np.dtype(source.dtype).str


def _sample_sha256(*sources: RowSource) -> str:
    digest = hashlib.sha256()
    for source in sources:
        n = source.shape[0]
        for row in sorted({i * (n - 1) // (_SAMPLED_ROWS - 1) for i in range(_SAMPLED_ROWS)} if n else ()):
            digest.update(bytes_of(source[row : row + 1]))
    return digest.hexdigest()


def bytes_of(rows: Any) -> bytes:
    """Rows of any layout as bytes, for a hash."""
    if isinstance(rows, Sets):
        return rows.sizes.tobytes() + rows.elements.tobytes()
    return np.ascontiguousarray(rows).tobytes()


def save(path: Path, progress: Progress, inputs: dict[str, str | int]) -> None:
    """Replaces the checkpoint at `path`, atomically."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        np.savez(file, inputs=np.array(json.dumps(inputs, sort_keys=True)), **vars(progress))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load(path: Path, inputs: dict[str, str | int]) -> Progress | None:
    """The checkpoint at `path`, or None when there is none.

    Raises `DatasetError` when the file is damaged or was computed from other inputs.
    """
    remedy = "delete it to start again, or give another checkpoint path"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            theirs = json.loads(str(stored["inputs"]))
            names = ("neighbors", "distances", "ties", "rows_done")
            progress = Progress(**{name: stored[name] for name in names})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(f"is not a readable checkpoint ({error})", where=str(path), remedy=remedy) from error
    if theirs != inputs:
        differing = sorted(key for key in inputs if not isinstance(theirs, dict) or theirs.get(key) != inputs[key])
        raise DatasetError(
            f"is a checkpoint of other inputs: {', '.join(differing)} differ", where=str(path), remedy=remedy
        )
    _check_shapes(progress, inputs, path, remedy)
    return progress


def _check_shapes(progress: Progress, inputs: dict[str, str | int], path: Path, remedy: str) -> None:
    expected = fresh(int(inputs["queries"]), int(inputs["k"]))
    for name, array in vars(expected).items():
        stored = getattr(progress, name)
        if stored.shape != array.shape or stored.dtype != array.dtype:
            raise DatasetError(f"has a damaged {name}", where=str(path), remedy=remedy)
    if np.any((progress.rows_done < 0) | (progress.rows_done > int(inputs["n"]))):
        raise DatasetError("has a damaged rows_done", where=str(path), remedy=remedy)
