"""How the variance of the base is spread over directions, from a sample of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annbench.doctor.geometry import Geometry
from annbench.doctor.model import VarianceFigures
from annbench.doctor.scan import Scan
from annbench.doctor.source import UsableRows
from annbench.metrics.difficulty import Cloud

# An eigendecomposition takes dim³: beyond this it would take minutes.
MAX_DIM = 4096
# Enough rows a dimension for the small eigenvalues, and a bound on what is read at random.
_ROWS, _ROWS_PER_DIM = 50_000, 20
_BLOCK_BYTES = 64 << 20
_EXAMPLES = 10


@dataclass(frozen=True)
class Variance:
    """The cloud of the base, and what it was made from: `rows` of them, of mean square length `square_length`."""

    cloud: Cloud
    rows: int
    square_length: float


def measure(base: UsableRows, ids: NDArray[np.int64], geometry: Geometry) -> Variance:
    """Mean and covariance, in float64, of the rows `ids` (sorted) of the base."""
    dim = base.shape[1]
    total, products = np.zeros(dim), np.zeros((dim, dim))
    step = max(1, _BLOCK_BYTES // (16 * dim))
    # Sums are of differences from some row, so that a far-off centre does not eat the digits.
    origin = geometry.coordinates(base.gather(ids[:1]))[0]
    square_length = 0.0
    for start in range(0, len(ids), step):
        points = geometry.coordinates(base.gather(ids[start : start + step]))
        square_length += float(np.einsum("ij,ij->", points, points))
        points -= origin
        total += points.sum(axis=0)
        products += points.T @ points
    mean = total / len(ids)
    covariance = products / len(ids) - np.outer(mean, mean)
    return Variance(Cloud.of(mean + origin, covariance), len(ids), square_length / len(ids))


def sample_size(rows: int, dim: int) -> int:
    """How many of so many rows are enough."""
    return min(rows, max(_ROWS, _ROWS_PER_DIM * dim))


def figures(found: Variance, scan: Scan) -> VarianceFigures:
    """Its summary, with the constant columns of the whole base."""
    cloud, values = found.cloud, found.cloud.eigenvalues
    total, squares = float(values.sum()), float((values**2).sum())
    constant, zero = _constant_columns(scan)
    return VarianceFigures(
        rows=found.rows,
        dims_90=cloud.dims_for(0.90),
        dims_95=cloud.dims_for(0.95),
        dims_99=cloud.dims_for(0.99),
        participation=total**2 / squares if squares > 0 else 0.0,
        mean_share=_share(float(cloud.mean @ cloud.mean), found.square_length),
        constant_columns=len(constant),
        constant_example=tuple(constant[:_EXAMPLES].tolist()),
        zero_columns=zero,
        shares=tuple(np.round(np.cumsum(values) / total, 6).tolist()) if total > 0 else (),
    )


def _share(squared_mean: float, mean_square: float) -> float:
    return float(np.sqrt(squared_mean / mean_square)) if mean_square > 0 else 0.0


def _constant_columns(scan: Scan) -> tuple[NDArray[np.int64], int]:
    if scan.low is None or scan.high is None:
        return np.empty(0, np.int64), 0
    constant = np.flatnonzero(scan.low == scan.high)
    return constant, int((scan.low[constant] == 0).sum())
