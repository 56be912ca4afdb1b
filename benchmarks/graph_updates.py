"""What a graph finds after all of its vectors were replaced several times, and how fast that goes.

`python benchmarks/graph_updates.py FILE.hdf5 [--rows 20000] [--times 5] [--portion 1000] [--ef 32 64] [--threads 1]`.
FILE has `train` and `test` as ann-benchmarks writes them; vectors are compared by cosine. The rows that come in are
those behind the first `--rows`, then rows that went before. Beside it stands a graph built anew of the same vectors.
Recall depends on neither the machine nor how busy it is; the speeds do.
"""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import Any

import h5py
import numpy as np
from interleaved import table
from numpy.typing import NDArray

from annbench import Index

K = 10
QUERIES = 1000
SLOTS: dict[str, Any] = {
    "transform": {"kind": "pca", "dim": 192, "rotate": True},
    "codec": {"kind": "uniform", "bits": 4},
    "structure": {"kind": "graph"},
    "rerank": "float16",
}


def recall(index: Index, x: NDArray[np.float32], queries: NDArray[np.float32], ef: int) -> float:
    """Of the vectors in the index, whose ids are rows of `x`."""
    ids = np.sort(index.ids)
    unit = x[ids] / np.linalg.norm(x[ids], axis=1, keepdims=True)
    nearest = ids[np.argpartition(-(queries @ unit.T), K, axis=1)[:, :K]]
    found = index.search(queries, K, ef_search=ef)[0]
    return float(np.mean([len(np.intersect1d(*pair)) / K for pair in zip(found, nearest, strict=True)]))


def main() -> None:
    """Build, replace, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--portion", type=int, default=1000)
    parser.add_argument("--ef", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    with h5py.File(given.file) as file:
        x, queries = file["train"][:], file["test"][:QUERIES]
    random = np.random.default_rng(0)
    index = Index.build(x[: given.rows], "cosine", seed=0, threads=given.threads, **SLOTS)
    before = [recall(index, x, queries, ef) for ef in given.ef]
    outside = list(range(given.rows, len(x)))
    adding = removing = 0.0
    for _ in range(given.times * given.rows // given.portion):
        gone = random.choice(np.sort(index.ids), given.portion, replace=False)
        start = perf_counter()
        index.remove(gone, threads=given.threads)
        removing += perf_counter() - start
        ids, outside = np.array(outside[: given.portion]), [*outside[given.portion :], *gone.tolist()]
        start = perf_counter()
        index.add(x[ids], ids=ids, threads=given.threads)
        adding += perf_counter() - start
    after = [recall(index, x, queries, ef) for ef in given.ef]
    here = np.sort(index.ids)
    anew = Index.build(x[here], "cosine", ids=here, seed=0, threads=given.threads, **SLOTS)
    fresh = [recall(anew, x, queries, ef) for ef in given.ef]
    rows = [
        [str(ef), *(f"{found:.4f}" for found in row)] for ef, *row in zip(given.ef, before, after, fresh, strict=True)
    ]
    print(table(["ef_search", "before", "after", "built anew"], rows))
    changes = given.times * given.rows
    print(f"{changes:,} replacements: {changes / adding:,.0f} added and {changes / removing:,.0f} removed a second")


if __name__ == "__main__":
    main()
