"""What preset auto looks at: some of the vectors, queries, exact neighbours among them, and the spectrum of others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.indexes.auto.wish import K
from annbench.indexes.spec import IndexMetric
from annbench.indexes.training import sample_places
from annbench.indexes.transforms.base import Maps, Matrix, Transform, Wide, narrow
from annbench.indexes.transforms.leanvec import LeanVecOod, ridged, shrunk, sphering
from annbench.indexes.transforms.moments import mean_of, principal, second_moment
from annbench.indexes.transforms.spectral import Pca, rotated
from annbench.indexes.vectors import as_rows

ROWS = 8192
QUERIES = 256
LEARN_ROWS_PER_DIM = 8
LEAST_LEARN_ROWS = 4096
# Above, directions are learned from few rows: an eigendecomposition of all dimensions would take minutes.
WIDE_DIM = 1024
WIDE_ROWS = 1536
PART = 4  # every fourth row of the sample is the smaller sample, to tell how recall falls with the number of vectors
TIE = 1e-5  # of the largest square of a length: within rounding, nobody is farther


@dataclass(frozen=True)
class Spectrum:
    """`values` (m,), the variance along `directions` (m, dim), falling; `total` is that of all dimensions."""

    mean: Wide
    values: Wide
    directions: Wide
    total: float

    @classmethod
    def of(cls, rows: Matrix) -> Spectrum:
        """Of rows (m, dim), m >= 1; above WIDE_DIM dimensions, at most m directions."""
        mean = mean_of(rows)
        if rows.shape[1] <= WIDE_DIM:
            values, directions = principal(second_moment(rows, mean))
            return cls(mean, values, directions, float(values.sum()))
        centred = rows - mean.astype(np.float32)
        # Of the rows' inner products, which are fewer: both have the same eigenvalues but for zeros.
        values, sides = principal((centred @ centred.T).astype(np.float64) / len(rows))
        kept = values > 1e-7 * max(float(values[0]), float(np.finfo(np.float32).tiny))
        lengths = np.sqrt(values[kept] * len(rows))[:, None]
        return cls(mean, values[kept], sides[kept] @ centred / lengths, float(values.sum()))


class Sample:
    """`rows` (m, dim) to be coded, `queries` (q, dim), and what maps are fitted on; unit length for cosine.

    Training queries (`learn`, None for none) are halved: the queries are of one half, and maps learn from the other.
    """

    def __init__(self, vectors: NDArray[Any], learn: Matrix | None, metric: IndexMetric, seed: int) -> None:
        n, dim = vectors.shape
        unit = metric == "cosine"
        learn_rows = WIDE_ROWS if dim > WIDE_DIM else max(LEAST_LEARN_ROWS, LEARN_ROWS_PER_DIM * dim)
        held = 0 if learn is not None else min(QUERIES, n // 8)
        wanted = min(n, ROWS + held + learn_rows)
        chosen = sample_places(n, wanted, seed)
        places = np.arange(n) if isinstance(chosen, slice) else chosen
        places = places[np.random.default_rng(seed).permutation(wanted)]
        coded = min(ROWS, wanted - held)
        # In the order of the file, which is how one that is mapped into memory is read.
        drawn = np.sort(places)
        read = as_rows(vectors[drawn], unit=unit)
        row_of = np.searchsorted(drawn, places)
        self.n, self.dim, self.metric, self.seed = n, dim, metric, seed
        self.rows: Matrix = read[row_of[held : held + coded]]
        rest = row_of[held + coded :]
        # Other rows than those that are coded, where there are enough: what a map was fitted to it keeps too well.
        self._learned_from = read[rest] if len(rest) >= min(learn_rows, len(places) // 2) else self.rows
        self._learn = None
        self.queries_held = learn is None
        if learn is None:
            self.queries: Matrix = read[row_of[:held]]
        else:
            mixed = learn[np.random.default_rng(seed).permutation(len(learn))[: QUERIES + learn_rows]]
            half = max(1, min(QUERIES, len(learn) // 2))
            self.queries, self._learn = mixed[:half], mixed[half:]
        self._fitted: dict[str, Maps] = {}

    @property
    def told(self) -> str:
        """For people."""
        queries = f"{len(self.queries)} {'held out' if self.queries_held else 'training queries'}"
        return (
            f"sample: {len(self.rows):,} of {self.n:,} vectors, queries: {queries}; recalls are those expected over "
            f"{self.n:,}"
        )

    @cached_property
    def spectrum(self) -> Spectrum:
        """Of rows that are not among those that are coded, if there are enough."""
        return Spectrum.of(self._learned_from)

    @cached_property
    def distances(self) -> Matrix:
        """(q, m), growing with the distance of queries to rows: squares, or negative inner products."""
        if self.metric == "ip":
            return -(self.queries @ self.rows.T)
        mean = self.rows.mean(axis=0)
        rows, queries = self.rows - mean, self.queries - mean
        squares = np.einsum("nd,nd->n", rows, rows)
        return np.asarray(squares - 2 * (queries @ rows.T) + np.einsum("nd,nd->n", queries, queries)[:, None])

    @cached_property
    def tie(self) -> float:
        """What distances may differ by and count as equal."""
        sides = (self.rows, self.queries) if self.metric == "ip" else (self.rows - self.rows.mean(axis=0),)
        return TIE * float(max(np.einsum("nd,nd->n", side, side).max(initial=0) for side in sides))

    def near(self, step: int) -> NDArray[np.bool_]:
        """(q, m): which rows are as near as the K-th nearest of every `step`-th one."""
        some = self.distances[:, ::step]
        last = min(K, some.shape[1]) - 1
        return np.asarray(self.distances <= np.partition(some, last, axis=1)[:, last : last + 1] + self.tie)

    def near_among(self, count: int) -> NDArray[np.bool_]:
        """(q, count): which of the first rows are the K nearest of them."""
        some = self.distances[:, :count]
        last = min(K, some.shape[1]) - 1
        return np.asarray(some <= np.partition(some, last, axis=1)[:, last : last + 1] + self.tie)

    def maps(self, transform: Transform) -> Maps:
        """Of `transform`, fitted. Directions are learned once, and those of fewer dimensions are the first of them."""
        if isinstance(transform, Pca) and transform.center and transform.dim <= len(self.spectrum.values):
            return self._first(self.spectrum.directions, self.spectrum.directions, transform.dim, transform.rotate)
        if isinstance(transform, LeanVecOod) and transform == LeanVecOod(dim=transform.dim, rotate=transform.rotate):
            query_map, base_map = self._sphered
            if transform.dim <= len(base_map):
                return self._first(query_map, base_map, transform.dim, transform.rotate)
        return transform.fit(self._learned_from, self._learn, seed=self.seed)

    @cached_property
    def _sphered(self) -> tuple[Wide, Wide]:
        """Maps of transform leanvec-ood, whose first rows are those of every smaller dimension."""
        directions = self.spectrum.directions
        moment_x = ridged(np.diag(self.spectrum.values))
        moment_q = moment_x
        if self._learn is not None and len(self._learn):
            moment_q = ridged(second_moment((self._learn - self.spectrum.mean) @ directions.T))
            moment_q = shrunk(moment_q, 0.1 if len(self._learn) < 5 * self.dim else 0.0)
        query_map, base_map = sphering(moment_q, moment_x, len(directions))
        return query_map @ directions, base_map @ directions

    def _first(self, query_map: Wide, base_map: Wide, dim: int, rotate: bool) -> Maps:
        query, base = (narrow(rotated(rows[:dim], rotate, self.seed)) for rows in (query_map, base_map))
        return Maps(self.dim, dim, narrow(self.spectrum.mean), base, base if query_map is base_map else query)
