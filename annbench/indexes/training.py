"""What building an index needs beside its parts: faiss, threads, and rows to learn from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """BLAS and OpenMP use `threads` threads inside, in the whole process."""
    import faiss
    from threadpoolctl import threadpool_limits

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        with threadpool_limits(limits=threads):
            yield
    finally:
        faiss.omp_set_num_threads(before)


def usable_cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0))


def sample_places(n: int, rows: int, seed: int) -> NDArray[np.int64] | slice:
    """Which of n rows are learned from: at most `rows`, in their order, without replacement; all as a slice."""
    if n <= rows:
        return slice(0, n)
    return np.sort(np.random.default_rng(seed).choice(n, rows, replace=False))
