"""Writes files of ann-benchmarks' layout in a child process, since the distances need the vectors.

Started as `python -m annbench.results.ann_benchmarks_writer` by `annbench.results.ann_benchmarks`: one request line on
stdin, one line as the answer.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from annbench.datasets.child import end_with_parent, error_line
from annbench.datasets.dataset import Dataset
from annbench.distances.registry import distance_of
from annbench.errors import AnnbenchError, ResultError
from annbench.metrics.ids import sort_out
from annbench.results.container import read_arrays

BLOCK_BYTES = 1 << 26  # of float64 vectors held at once


class Writer:
    """Writes the points of one query set of one dataset."""

    def __init__(self, dataset: Dataset, query_set: str) -> None:
        self.dataset, self.queries = dataset, dataset.queries(query_set)
        self.distance = distance_of(dataset.info.metric)
        # Its Hamming distance is a mean over the bits, ours a count.
        self.scale = 1 / dataset.info.dim if dataset.info.metric == "hamming" else 1.0

    def write(self, result: Path, target: Path, attributes: Mapping[str, Any]) -> None:
        """One point; an existing file is replaced. Raises ResultError for a damaged result, OSError for the disk."""
        arrays = read_arrays(result)
        found = sort_out(arrays["ids"].astype(np.int64), self.dataset.info.n)
        # What is no neighbour moves to the end of its row, where that project has what was not found.
        order = np.argsort(~found.valid, axis=1, kind="stable")
        valid = np.take_along_axis(found.valid, order, axis=1)
        ids = np.where(valid, np.take_along_axis(found.ids, order, axis=1), -1)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            with h5py.File(temporary, "w") as file:
                file.attrs.update(attributes)
                file.attrs["candidates"] = float(valid.sum(axis=1).mean())
                file.create_dataset("times", data=_times(arrays), dtype=np.float32)
                file.create_dataset("neighbors", data=ids, dtype=np.int32)
                file.create_dataset("distances", data=self._distances(ids, valid), dtype=np.float32)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _distances(self, ids: NDArray[np.int64], valid: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Distances (q, k) of the valid ids to their queries, +inf for the rest."""
        result = np.full(ids.shape, np.inf)
        step = max(1, BLOCK_BYTES // (8 * max(ids.shape[1] * self.dataset.info.dim, 1)))
        for start in range(0, len(ids), step):
            block = slice(start, start + step)
            mask = valid[block]
            if not mask.any():
                continue
            distinct, inverse = np.unique(ids[block][mask], return_inverse=True)
            queries = self.queries[block][np.nonzero(mask)[0]]
            result[block][mask] = self.distance.rowwise(queries, self.dataset.base_rows(distinct)[inverse])
        return result * self.scale


def _times(arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Seconds of each query (q,) in the fastest pass; in a batch, an equal share each."""
    best = int(arrays["pass_ns"].argmin())
    if "latencies_ns" in arrays:
        return np.asarray(arrays["latencies_ns"][best] / 1e9)
    count = len(arrays["ids"])
    return np.full(count, arrays["pass_ns"][best] / 1e9 / count)


def _write_all(request: Mapping[str, Any]) -> int:
    with Dataset(Path(request["dataset"])) as dataset:
        writer = Writer(dataset, request["query_set"])
        for point in request["points"]:
            target = Path(point["target"])
            try:
                writer.write(Path(point["result"]), target, point["attributes"])
            except OSError as error:
                raise ResultError(
                    f"cannot write: {error.strerror or error}", where=str(target), remedy="choose another folder"
                ) from error
    return len(request["points"])


def _main() -> None:
    request = json.loads(sys.stdin.readline())
    end_with_parent()
    try:
        line: dict[str, Any] = {"result": _write_all(request)}
    except AnnbenchError as error:
        line = error_line(error)
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _main()
