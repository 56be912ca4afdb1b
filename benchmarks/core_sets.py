"""The real sets that the compressed core is measured on, cut to what a benchmark has time for, with exact neighbours.

`--data FOLDER` holds them as HDF5 files; what is not there is left out. The bundled set stands in for all of them where
none is.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import faiss
import h5py
import numpy as np
from numpy.typing import NDArray

from annbench.bundled import bundled

FILES = {
    "fashion": ("fashion-mnist-784-euclidean.hdf5", "euclidean"),
    "glove": ("glove6b-100-angular.hdf5", "cosine"),
    "minilm": ("minilm-debwn-384-angular.hdf5", "cosine"),
    "minilm-ood": ("minilm-debwn-384-ood-angular.hdf5", "cosine"),
}
BUNDLED = "wordnet-minilm-384-angular"
K = 10

Matrix = NDArray[np.float32]


@dataclass(frozen=True)
class CoreSet:
    """`base` (n, dim) and `queries` (q, dim), of unit length for cosine; `truth` (q, 10) ids; `learn`: for training."""

    name: str
    metric: str
    base: Matrix
    queries: Matrix
    learn: Matrix | None
    truth: NDArray[np.int64]

    @property
    def dim(self) -> int:
        return int(self.base.shape[1])

    def recall(self, ids: NDArray[np.integer]) -> float:
        """The share of the true neighbours among `ids` (q, 10)."""
        return recall(ids, self.truth)

    def reduced(self, dim: int) -> CoreSet:
        """The set's first `dim` principal components, as vectors in their own right."""
        pca = faiss.PCAMatrix(self.dim, dim)
        pca.train(self.base[:: max(1, len(self.base) // 50_000)])
        base, queries = (unit(pca.apply(rows)) for rows in (self.base, self.queries))
        return replace(
            self, name=f"{self.name}-{dim}", base=base, queries=queries, learn=None,
            truth=neighbors(base, queries, self.metric),
        )  # fmt: skip


def unit(rows: Matrix) -> Matrix:
    """Rows of length 1."""
    return np.ascontiguousarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30), np.float32)


def recall(ids: NDArray[np.integer], truth: NDArray[np.integer]) -> float:
    """The share of the true neighbours `truth` (q, 10) among `ids` (q, 10)."""
    both = [len(set(a) & set(b)) for a, b in zip(ids.tolist(), truth.tolist(), strict=True)]
    return sum(both) / (K * len(both))


def neighbors(base: Matrix, queries: Matrix, metric: str) -> NDArray[np.int64]:
    """Exact ids (q, 10)."""
    kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
    ids: NDArray[np.int64] = faiss.knn(queries, base, K, metric=kind)[1]
    return ids


def metric_of(path: Path) -> str:
    """As the file says; angular distances are those of cosine."""
    with h5py.File(path) as file:
        distance = str(file.attrs["distance"])
    return "cosine" if distance == "angular" else distance


def load_set(path: Path, name: str, metric: str, rows: int, queries: int) -> CoreSet:
    """The set of a file, with `rows` of its base (0: all of them) drawn under a fixed seed and its first queries."""
    with h5py.File(path) as file:
        base = np.asarray(file["train"][:], np.float32)
        asked = np.asarray(file["test"][:queries], np.float32)
        learn = np.asarray(file["learn"][:], np.float32) if "learn" in file else None
    if 0 < rows < len(base):
        base = base[np.sort(np.random.default_rng(1).choice(len(base), rows, replace=False))]
    if metric == "cosine":
        base, asked, learn = unit(base), unit(asked), None if learn is None else unit(learn)
    return CoreSet(name, metric, base, asked, learn, neighbors(base, asked, metric))


def add_options(parser: argparse.ArgumentParser, sets: list[str]) -> None:
    """`--data`, `--sets`, `--json`."""
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the HDF5 files")
    parser.add_argument("--sets", nargs="+", default=sets, choices=[*FILES, "bundled"])
    parser.add_argument("--json", type=Path, help="also write the figures there")


def load_sets(options: argparse.Namespace, rows: int, queries: int) -> list[CoreSet]:
    """Those of `--sets` that are there; the bundled one if none is."""
    found = [
        load_set(options.data / FILES[name][0], name, FILES[name][1], rows, queries)
        for name in options.sets
        if name != "bundled" and (options.data / FILES[name][0]).exists()
    ]
    if not found:
        found = [load_set(bundled("datasets") / f"{BUNDLED}.hdf5", "bundled", "cosine", rows, queries)]
    return found
