"""Do the queries come from where the base comes from? Sampled queries against held-out rows of the base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.doctor.geometry import Geometry
from annbench.doctor.model import ShiftFigures
from annbench.doctor.neighbors import Neighborhoods
from annbench.doctor.summary import optional
from annbench.metrics.difficulty import Cloud, exceedance, mahalanobis, separability, shift_verdict


@dataclass(frozen=True)
class Side:
    """One side of the comparison: vectors (m, …) as stored, and their neighbourhoods in the base."""

    vectors: Any
    seen: Neighborhoods


def compare(
    name: str,
    queries: Side,
    base: Side,
    cloud: Cloud | None,
    geometry: Geometry,
    k: int,
    rng: np.random.Generator,
) -> ShiftFigures:
    """Three ways to look for a difference: how far out they lie in the cloud of the base (which was not made from the
    held-out rows), how far their neighbours are, and whether one line tells them apart.
    """
    outward = _Outward.of(queries.vectors, base.vectors, cloud, geometry, rng) if cloud is not None else _Outward()
    nearest = exceedance(queries.seen.nearest, base.seen.nearest)
    kth = exceedance(queries.seen.at(k), base.seen.at(k))
    counts = (len(queries.vectors), len(base.vectors))
    return ShiftFigures(
        query_set=name,
        queries=counts[0],
        base_rows=counts[1],
        mahalanobis_exceedance=optional(outward.exceedance),
        mahalanobis_base=optional(outward.base),
        mahalanobis_queries=optional(outward.queries),
        nearest_exceedance=optional(nearest),
        kth_exceedance=optional(kth),
        separability=optional(outward.separability),
        # No line separates worse than chance.
        verdict=shift_verdict([outward.exceedance, nearest, kth, max(outward.separability, 0.5)], *counts),
    )


@dataclass(frozen=True)
class _Outward:
    """Where the two sides lie in the cloud; medians of Mahalanobis distances."""

    exceedance: float = np.nan
    base: float = np.nan
    queries: float = np.nan
    separability: float = np.nan

    @classmethod
    def of(
        cls, queries: NDArray[Any], base: NDArray[Any], cloud: Cloud, geometry: Geometry, rng: np.random.Generator
    ) -> _Outward:
        inside, asked = (cloud.whitened(geometry.coordinates(vectors)) for vectors in (base, queries))
        near, far = mahalanobis(inside), mahalanobis(asked)
        return cls(
            exceedance(far, near), float(np.median(near)), float(np.median(far)), separability(asked, inside, rng)
        )
