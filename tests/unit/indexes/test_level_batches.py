"""Batches of queries over codes of levels, long enough to be scanned four queries at once: as each query alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annbench import Index
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.indexes.transforms.model_file import write_binarizer
from annbench.train.start import linear_start

# 16 bytes a code with 1 bit, so that even a third of them is a list long enough to be shared.
DIM_IN, DIM, N, K = 24, 128, 30_000, 10


def vectors(n: int, seed: int) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).standard_normal((n, DIM_IN), dtype=np.float32))


X, ASKED = vectors(N, 1), vectors(23, 2)


@pytest.mark.parametrize("structure", ["flat", {"kind": "ivf", "nlist": 3}])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_batch_finds_what_its_queries_find(steps: int, structure: Any, tmp_path: Path) -> None:
    write_binarizer(tmp_path / "of.safetensors", linear_start(X, DIM, steps, seed=0), {})
    transform = {"kind": "bebr", "model": str(tmp_path / "of.safetensors")}
    index = Index.build(X, "cosine", transform=transform, codec="levels", structure=structure, threads=1)
    for allowed in (None, np.arange(0, N, 3)):
        ids, distances = index.search(ASKED, K, nprobe=index.spec.nlist, allowed=allowed)
        for q, query in enumerate(ASKED):
            alone = index.search(query, K, nprobe=index.spec.nlist, allowed=allowed)
            assert np.array_equal(ids[q], np.ravel(alone[0]))
            assert np.array_equal(distances[q], np.ravel(alone[1]))
        assert allowed is None or (ids % 3 == 0).all()
