"""From files of vectors to a measured recall, for each form that vectors have: bits of both origins, and sets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

N, QUERIES, K, SEED = 300, 12, 10, 9


def annbench(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "annbench.cli.main", *arguments],
        cwd=folder, env={**os.environ, "COLUMNS": "99", "ANNBENCH_DATA_DIR": "data"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def nearest(every: Any) -> tuple[Any, Any]:
    order = np.argsort(every, axis=1, kind="stable")[:, :K]
    return order, np.take_along_axis(every, order, axis=1)


def bits_as_of_ann_benchmarks(folder: Path) -> Path:
    rng = np.random.default_rng(SEED)
    base, queries = rng.random((N, 44)) < 0.5, rng.random((QUERIES, 44)) < 0.5
    ids, means = nearest((base[None] != queries[:, None]).mean(axis=2))
    with h5py.File(folder / "bits.hdf5", "w") as file:
        file.attrs.update({"distance": "hamming", "point_type": "bit", "dimension": 44, "type": "dense"})
        file["train"], file["test"], file["neighbors"], file["distances"] = base, queries, ids, means.astype("f4")
    return folder / "bits.hdf5"


def packed_bits(folder: Path) -> Path:
    bits = np.random.default_rng(SEED).random((N, 44)) < 0.5
    np.save(folder / "bits.npy", np.packbits(bits, axis=1))
    annbench(folder, "data", "add", "packed", "--base", "bits.npy", "--metric", "hamming", "--dimension", "44")
    return folder / "data" / "packed.hdf5"


def sets_as_of_ann_benchmarks(folder: Path) -> Path:
    rng = np.random.default_rng(SEED)
    base, queries = (
        [sorted(rng.choice(60, rng.integers(2, 20), replace=False)) for _ in range(n)] for n in (N, QUERIES)
    )
    ids, found = nearest(np.array([[1 - len(set(a) & set(b)) / len(set(a) | set(b)) for b in base] for a in queries]))
    with h5py.File(folder / "sets.hdf5", "w") as file:
        file.attrs.update({"distance": "jaccard", "type": "sparse", "dimension": 60, "point_type": "bit"})
        for name, rows in (("train", base), ("test", queries)):
            file[name], file[f"size_{name}"] = np.concatenate(rows), [len(row) for row in rows]
        file["neighbors"], file["distances"] = ids, found
    return folder / "sets.hdf5"


@pytest.mark.parametrize(
    "makers", [(bits_as_of_ann_benchmarks, packed_bits), (sets_as_of_ann_benchmarks,)], ids=["bits", "sets"]
)
def test_exact_search_finds_everything(tmp_path: Path, makers: Any) -> None:
    """Ties included: a mean of bits read as a count, or a ratio in float64, decides them as the index does."""
    datasets = [str(make(tmp_path)) for make in makers]
    (tmp_path / "c.yaml").write_text(
        f"dataset: [{', '.join(datasets)}]\nk: {K}\nmeasure: {{modes: batch, passes: 2}}\n"
        "algorithms:\n  - algorithm: bruteforce\n"
    )
    annbench(tmp_path, "run", "c.yaml", "--results", "results")
    annbench(tmp_path, "results", "export", "all.csv", "--results", "results")
    points = pd.read_csv(tmp_path / "all.csv")
    assert len(points) == len(datasets)
    assert (points["recall_at_k"] == 1).all()
