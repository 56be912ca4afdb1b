"""An index of ten million vectors on little memory, built from a file and resumable: `make bench-large`.

`python benchmarks/graph_large.py [--rows 10000000] [--folder build/bench-large] [--chunk 250000] [--hours 2]
[--memory-gib 4]`. Vectors are drawn (96 dimensions, the variance of direction i is 1/i) and written as uint8; nothing
of that file is mapped, so that what is resident is the index and a chunk. The first chunk is built, the others are
added one by one, and the index is saved after each: whoever is stopped, by the clock or otherwise, goes on there when
started again. At the end, or at what there is when the hours are over, recall and rates are taken by the whole index
and with its rerank and links on disk.

What was reached is in FOLDER/state.json, and printed as a table; the exit code is 1 if more memory was resident than
allowed. Exact neighbours are those among the vectors that are in.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
from core_sets import K, recall
from interleaved import pin_to_one_core, table, write_json
from numpy.typing import NDArray
from scaling_sets import with_spectrum

from annbench import Index
from annbench.datasets.ground_truth.exact import exact_neighbors

DIM = 96
DECAY = 1.0
QUERIES = 1000
THREADS = 2
EFFORTS = (32, 64, 128, 256, 512, 1000, 2000)
DISK_CACHE = 256 << 20
SLOTS: dict[str, Any] = {
    "transform": {"kind": "fast-rotation", "center": True},
    "codec": {"kind": "uniform", "bits": 4, "fit": "rabitq-fast"},
    "structure": {"kind": "graph", "degree": 24},
    "rerank": {"kind": "uniform", "bits": 8},
}


class Folder:
    """What a run has reached, on disk."""

    def __init__(self, path: Path, rows: int, chunk: int) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path, self.rows, self.chunk = path, rows, chunk
        self.vectors, self.index = path / f"vectors-{rows}.u8", path / f"graph-{rows}.index"
        self._file = path / "state.json"
        self.state: dict[str, Any] = {"rows": rows, "chunks": [], "peak_bytes": 0}
        if self._file.exists():
            found = json.loads(self._file.read_text())
            self.state = found if found["rows"] == rows else self.state

    def note(self, **what: Any) -> None:
        """At once or not at all."""
        self.state |= what
        self.state["peak_bytes"] = max(self.state["peak_bytes"], peak_bytes())
        write_json(self._file, self.state)

    def read(self, first: int, count: int) -> NDArray[np.uint8]:
        """Rows of the file, read and not mapped."""
        flat = np.fromfile(self.vectors, dtype=np.uint8, count=count * DIM, offset=first * DIM)
        return flat.reshape(-1, DIM)


def peak_bytes() -> int:
    """The most that was resident of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def as_bytes(rows: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Four standard deviations of the widest direction fill a byte."""
    return np.clip(np.rint(rows * 32 + 128), 0, 255).astype(np.uint8)


def drawn(rows: int, seed: int) -> NDArray[np.uint8]:
    """Vectors under the stated spectrum, in axes that are the same for every seed."""
    base, _ = with_spectrum(rows, 1, dim=DIM, decay=DECAY, rows_seed=seed)
    return as_bytes(base)


def write_vectors(folder: Folder) -> None:
    """The whole file, from where an earlier run left it."""
    there = folder.vectors.stat().st_size // (folder.chunk * DIM) if folder.vectors.exists() else 0
    with folder.vectors.open("r+b" if there else "wb") as file:
        file.truncate(there * folder.chunk * DIM)
        file.seek(0, os.SEEK_END)
        for part in range(there, -(-folder.rows // folder.chunk)):
            count = min(folder.chunk, folder.rows - part * folder.chunk)
            file.write(drawn(count, 100 + part).tobytes())


def build(folder: Folder, until: float) -> Index:
    """The index as far as the time allows; saved after every chunk."""
    index = Index.load(folder.index) if folder.index.exists() else None
    if index is not None:
        index.reserve(folder.rows)
    while index is None or len(index) < folder.rows:
        start, processor = time.perf_counter(), time.process_time()
        done = 0 if index is None else len(index)
        rows = folder.read(done, min(folder.chunk, folder.rows - done))
        if index is None:
            index = Index.build(rows, "euclidean", seed=0, threads=THREADS, **SLOTS)
            index.reserve(folder.rows)
        else:
            index.add(rows, threads=THREADS)
        taken = {"rows": len(index), "seconds": time.perf_counter() - start,
                 "processor_seconds": time.process_time() - processor}  # fmt: skip
        index.save(folder.index)
        folder.note(chunks=[*folder.state["chunks"], taken])
        print(f"{len(index):,} vectors, {len(rows) / taken['seconds']:,.0f} a second, "
              f"{peak_bytes() / 2**30:.2f} GiB at most", flush=True)  # fmt: skip
        if time.monotonic() > until:
            break
    return index


def truth(folder: Folder, n: int, queries: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Of the first n vectors, chunk by chunk."""
    nearest = np.empty((len(queries), 0), dtype=np.int64)
    distances = np.empty((len(queries), 0))
    for first in range(0, n, folder.chunk):
        found = exact_neighbors(
            folder.read(first, min(folder.chunk, n - first)), queries, K, "euclidean", threads=THREADS
        )
        nearest = np.concatenate([nearest, found.neighbors + first], axis=1)
        distances = np.concatenate([distances, found.distances], axis=1)
        order = np.argsort(distances, axis=1, kind="stable")[:, :K]
        nearest, distances = (np.take_along_axis(both, order, axis=1) for both in (nearest, distances))
    return nearest


def searched(index: Index, queries: NDArray[np.float32], nearest: NDArray[np.int64]) -> list[dict[str, float]]:
    """Recall and rate at every effort, in a batch."""
    found = []
    for effort in EFFORTS:
        index.search(queries[:100], K, ef_search=effort)
        start = time.perf_counter()
        ids = index.search(queries, K, ef_search=effort)[0]
        seconds = time.perf_counter() - start
        found.append({"ef_search": effort, "recall": recall(ids, nearest), "qps": len(queries) / seconds})
    return found


def main() -> None:
    """Write, build, measure, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=Path("build/bench-large"))
    parser.add_argument("--chunk", type=int, default=250_000)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--memory-gib", type=float, default=4.0)
    given = parser.parse_args()
    until = time.monotonic() + 3600 * given.hours
    folder = Folder(given.folder, given.rows, given.chunk)
    write_vectors(folder)
    index = build(folder, until)
    asked = drawn(QUERIES, 99)
    nearest = truth(folder, len(index), asked)
    queries = asked.astype(np.float32)
    print(index)
    pin_to_one_core()
    in_memory = searched(index, queries, nearest)
    per_vector = index.nbytes / len(index)
    del index
    on_disk = searched(Index.load(folder.index, on_disk=("rerank", "links"), cache_bytes=DISK_CACHE), queries, nearest)
    folder.note(in_memory=in_memory, on_disk=on_disk, bytes_per_vector=per_vector)
    state = folder.state
    reached = state["chunks"][-1]["rows"]
    print(f"{reached:,} of {given.rows:,} vectors in {sum(c['seconds'] for c in state['chunks']):,.0f} s, "
          f"{per_vector:,.0f} bytes each, {state['peak_bytes'] / 2**30:.2f} GiB resident at most")  # fmt: skip
    on_disk_too = f"QPS, rerank and links on disk, {DISK_CACHE >> 20} MiB cache"
    print(table(["ef_search", "recall@10", "QPS in memory", on_disk_too],
                [[str(a["ef_search"]), f"{a['recall']:.3f}", f"{a['qps']:,.0f}", f"{b['qps']:,.0f}"]
                 for a, b in zip(in_memory, on_disk, strict=True)]))  # fmt: skip
    if state["peak_bytes"] > given.memory_gib * 2**30:
        raise SystemExit(f"more than {given.memory_gib:g} GiB were resident")


if __name__ == "__main__":
    main()
