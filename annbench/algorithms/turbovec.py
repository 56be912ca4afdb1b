"""turbovec, https://github.com/RyanCodrai/turbovec: TurboQuant (Zandieh et al., arXiv 2504.19874) with a correction for
each vector's length, scanned exhaustively: one bit of a dimension first, the others for what passes.

Cosine scales the base to unit length and compares by inner product; the length of a query does not change the ranking.
Where dimensions are no multiple of 8, base and queries get zeros behind them, which change no inner product.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from annbench.algorithms.base import Algorithm, Cost, Ids, Params, PointContext, Trial, Vectors, normalised, padded
from annbench.algorithms.peer import Peer
from annbench.datasets.info import Metric

FILE = "index.tv"
THREADS = "RAYON_NUM_THREADS"
DIM_STEP, MOST_DIM = 8, 16_384
FACTOR_BYTES = 4  # of each vector, beside its codes
LARGE_VALUES = "coordinates of 10¹⁶ and more are refused, queries' too"
SEED = "nothing but the rows that calibrate it is random: without them every seed gives the same index"


class TurbovecBuild(Params):
    """`bit_width` of TurboQuantIndex, and how many rows, drawn under `seed`, `calibrate` gets: its authors say that
    about 1,024 are enough. 0 leaves the index uncalibrated.
    """

    bit_width: Literal[2, 4] = 4
    calibration_rows: int = Field(default=1024, ge=0)
    seed: int = Field(default=1, ge=0)


class Turbovec(Peer):
    """turbovec.TurboQuantIndex."""

    BuildParams = TurbovecBuild
    metrics = frozenset({"cosine", "ip"})
    distributions = ("turbovec",)
    modules = ("turbovec",)
    seed_parameter = "seed"
    # Its faster kernels are chosen at run time.
    processor_flags = frozenset({"sse4_2"})
    known_limits = (
        f"takes multiples of {DIM_STEP} dimensions, {MOST_DIM:,} at most: others get zeros behind them, queries in the "
        "timed call",
        "its threads are those of the process, counted when the library is first used: the harness sets them for every "
        "worker, a program of one's own sets RAYON_NUM_THREADS",
        LARGE_VALUES,
        SEED,
    )
    trials = (
        Trial({"bit_width": 4}, recall=0.8, exceptions={"ends_of_float32": LARGE_VALUES}),
        Trial(
            {"bit_width": 2, "calibration_rows": 0},
            recall=0.5,
            exceptions={"ends_of_float32": LARGE_VALUES, "same_bytes": SEED},
        ),
    )

    @classmethod
    def check(cls, context: PointContext, build: TurbovecBuild, search: Any) -> str | None:
        """The library has a limit."""
        return f"dim={context.dim} exceeds the {MOST_DIM:,} that turbovec takes" if context.dim > MOST_DIM else None

    @classmethod
    def estimate(cls, context: PointContext, build: TurbovecBuild, search: Any) -> Cost:
        """Codes and a factor of each vector; one bit of every dimension is scanned."""
        n, dim = context.n, _filled(context.dim)
        return Cost(
            index_bytes=n * (dim * build.bit_width / 8 + FACTOR_BYTES),
            build_operations=float(n) * dim * dim,
            search_operations=dim * dim + n * dim / 8,
        )

    def build(self, base: Vectors, metric: Metric, params: TurbovecBuild, threads: int) -> None:
        """Calibrate on a sample, add everything, and lay it out for searching."""
        self.require_processor()
        os.environ.setdefault(THREADS, str(threads))
        import turbovec

        vectors = _with_zeros(normalised(base) if metric == "cosine" else base)
        index = turbovec.TurboQuantIndex(vectors.shape[1], params.bit_width)
        rows = np.random.default_rng(params.seed).choice(
            len(vectors), min(params.calibration_rows, len(vectors)), replace=False
        )
        sample = vectors[np.sort(rows)]
        if len(sample) > 1 and np.ptp(sample, axis=0).any():  # what is the same everywhere, it refuses
            index.calibrate(sample)
        index.add(vectors)
        self._open(index)

    def search(self, query: Vectors, k: int) -> Ids:
        """One query as a batch of one: the library has no other way."""
        ids: Ids = self._index.search(_with_zeros(query[None]), min(k, self._n))[1][0]
        return ids if k <= self._n else padded(ids, k)

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries in one call."""
        if not len(queries):
            return Algorithm.search_batch(self, queries, k)
        ids: Ids = self._index.search(_with_zeros(queries), min(k, self._n))[1]
        return ids if k <= self._n else padded(ids, k)

    def save(self, folder: Path) -> None:
        """Write the library's own file."""
        self._index.write(str(folder / FILE))

    def load(self, folder: Path, metric: Metric, dim: int, params: TurbovecBuild) -> None:
        """Read the library's own file."""
        os.environ.setdefault(THREADS, "1")
        import turbovec

        self._open(turbovec.TurboQuantIndex.load(str(folder / FILE)))

    def _open(self, index: Any) -> None:
        index.prepare()
        self._index = index
        self._n = len(index)


def _filled(dim: int) -> int:
    return -(-dim // DIM_STEP) * DIM_STEP


def _with_zeros(rows: Vectors) -> Vectors:
    dim = rows.shape[1]
    if dim % DIM_STEP == 0:
        return np.ascontiguousarray(rows)
    filled = np.zeros((len(rows), _filled(dim)), dtype=np.float32)
    filled[:, :dim] = rows
    return filled
