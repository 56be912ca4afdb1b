"""Pareto fronts of a setting's points: recall against what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from annbench.compare.frontier import pareto_mask


@dataclass(frozen=True)
class Axis:
    """One cost that is traded against recall; `better` is +1 if more is better, −1 if less is."""

    name: str
    column: str
    better: int
    title: str

    @property
    def direction(self) -> str:
        """Where the good points are."""
        return "up and right is better" if self.better > 0 else "down and right is better"


AXES = (
    Axis("qps", "qps_best", +1, "Queries per second"),
    Axis("p99", "latency_p99_us", -1, "99th percentile latency (µs)"),
    Axis("bytes", "bytes_per_vector", -1, "Index bytes per vector"),
    Axis("build", "build_seconds", -1, "Build seconds"),
)


def front_mask(points: pd.DataFrame, axis: Axis) -> NDArray[np.bool_]:
    """Which of `points` (usable rows of `points_frame`) no other one beats on `axis` and recall."""
    cost = points[axis.column].to_numpy(dtype=np.float64) * -axis.better
    return pareto_mask(points["recall_at_k"].to_numpy(dtype=np.float64), cost)


def algorithm_fronts(points: pd.DataFrame, axis: Axis) -> dict[str, pd.DataFrame]:
    """Each algorithm's own front, by rising recall; algorithms without a figure on `axis` are left out."""
    fronts = {}
    for name, rows in points.groupby("algorithm", sort=True):
        front = rows[front_mask(rows, axis)].sort_values("recall_at_k", kind="stable")
        if len(front):
            fronts[str(name)] = front
    return fronts


def front_table(points: pd.DataFrame) -> pd.DataFrame:
    """The points on any algorithm's front, with columns `front_<axis>` (its own) and `overall_<axis>`."""
    table = points.copy()
    for axis in AXES:
        own = np.zeros(len(points), dtype=bool)
        for places in points.groupby("algorithm", sort=False).indices.values():
            own[places] = front_mask(points.iloc[places], axis)
        table[f"front_{axis.name}"] = own
        table[f"overall_{axis.name}"] = front_mask(points, axis)
    return table[table[[f"front_{axis.name}" for axis in AXES]].any(axis=1)]
