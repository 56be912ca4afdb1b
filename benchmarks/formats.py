"""How fast each format of vectors is read from a warm cache, against plain numpy.fromfile of as many bytes.

`python benchmarks/formats.py` writes 400,000 × 128 float32 in every format, and reads each to the end in turn, block by
block, as every command does, with all checks; `--json out.json` also writes the seconds. MB are 10⁶ bytes of vectors.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from annbench.datasets.dataset import Dataset
from annbench.datasets.formats import open_vectors, vector_format
from annbench.datasets.formats.hdf5_write import DatasetArrays, QuerySetArrays, write_hdf5

TARGET_MB = 500.0  # for Parquet and fvecs
Matrix = NDArray[Any]


def write_all(folder: Path, values: Matrix) -> dict[str, Path]:
    """The files by what they are called in the table."""
    found = {}
    for ending in ("npy", "fbin", "fvecs", "bvecs", "u8bin"):
        path = folder / f"a.{ending}"
        stored = values if ending in ("npy", "fbin", "fvecs") else bytes_of(values)
        vector_format(path).write(path, stored.shape, stored.dtype, [(0, stored)])
        found[ending] = path
    flat = pa.array(values.ravel())
    offsets = pa.array(np.arange(0, values.size + 1, values.shape[1], dtype=np.int32))
    lists = pa.table({"id": np.arange(len(values)), "emb": pa.ListArray.from_arrays(offsets, flat)})
    fixed = pa.table({"emb": pa.FixedSizeListArray.from_arrays(flat, values.shape[1])})
    for name, table, settings in (
        ("parquet, pyarrow's defaults", lists, {}),
        ("parquet, row groups of 65,536", lists, {"row_group_size": 65_536}),
        ("parquet, fixed lists, plain", fixed, {"use_dictionary": False, "compression": "none"}),
    ):
        found[name] = folder / f"{len(found)}.parquet"
        pq.write_table(table, found[name], **settings)
    truth = QuerySetArrays(values[:1], np.zeros((1, 1), np.int32), np.zeros((1, 1)))
    found["hdf5"] = folder / "a.hdf5"
    write_hdf5(found["hdf5"], DatasetArrays(values, "euclidean", truth))
    return found


def bytes_of(values: Matrix) -> Matrix:
    """As many bytes, as rows of four times as many uint8."""
    return values.view(np.uint8)


def read_blocks(path: Path) -> int:
    """Read every row; returns the bytes of vectors."""
    if path.suffix == ".hdf5":
        with Dataset(path) as dataset:
            return sum(touched(block) for _, block in dataset.base_raw.blocks())
    return sum(touched(block) for _, block in open_vectors(path).rows.blocks())


def touched(block: Matrix) -> int:
    """Copies the block, so that what is only mapped is read; returns its bytes."""
    return int(np.array(block, order="C").nbytes)


def measure(files: dict[str, Path], raw: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds by file, interleaved: each round reads all of them, starting with another one."""
    calls: dict[str, Callable[[], object]] = {"numpy.fromfile": lambda: np.fromfile(raw, np.float32)}
    calls |= {name: lambda path=path: read_blocks(path) for name, path in files.items()}
    names = list(calls)
    for name in names:  # into the cache
        calls[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds):
        turn = index % len(names)
        for name in names[turn:] + names[:turn]:
            began = time.perf_counter()
            calls[name]()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the readers of vector files.")
    parser.add_argument("--n", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the seconds here")
    options = parser.parse_args()
    values = np.random.default_rng(options.seed).standard_normal((options.n, options.dim), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        values.tofile(raw)
        files = write_all(Path(folder), values)
        seconds = measure(files, raw, options.rounds)
    megabytes = values.nbytes / 1e6
    print(f"{options.n:,} × {options.dim} float32, {megabytes:,.0f} MB, {options.rounds} rounds; MB/s, median (range)")
    for name, taken in seconds.items():
        rates = [megabytes / value for value in taken]
        target = f"   target ≥ {TARGET_MB:.0f}" if name.startswith(("parquet", "fvecs")) else ""
        print(f"  {name:32} {statistics.median(rates):7,.0f} ({min(rates):,.0f} … {max(rates):,.0f}){target}")
    if options.json:
        options.json.write_text(
            json.dumps({"options": vars(options) | {"json": None}, "seconds": seconds}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
