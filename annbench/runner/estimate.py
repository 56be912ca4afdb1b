"""How long a plan will take and how much memory it needs: rough before the first run, then taught by what was measured.

An adapter's Cost counts multiply-adds. They become seconds by an assumed rate, and where this machine has already
measured the algorithm, by the median ratio of measured to assumed.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from annbench.algorithms.base import Cost
from annbench.results.schema import Record
from annbench.runner.environment import machine_id
from annbench.runner.plan import PlannedBuild, PlannedPoint

OPERATIONS_PER_SECOND = 2e9  # float32 multiply-adds of one thread in a graph or list scan, out of cache
CALL_SECONDS = 5e-6
STARTUP_SECONDS = 1.5  # a worker's imports and its load
UNKNOWN_SECONDS = 10.0


@dataclass
class Estimator:
    """Seconds and bytes for builds and points."""

    # algorithm → measured ÷ assumed
    build_ratio: dict[str, float] = field(default_factory=dict)
    search_ratio: dict[str, float] = field(default_factory=dict)

    @classmethod
    def taught_by(cls, records: Iterable[Record], plan_points: Iterable[PlannedPoint]) -> Estimator:
        """Learn from the results of this machine for the very points that a plan names again."""
        costs = {point.key.digest: point.cost for point in plan_points}
        builds: dict[str, list[float]] = defaultdict(list)
        searches: dict[str, list[float]] = defaultdict(list)
        for record in records:
            cost = costs.get(record.key.digest)
            if cost is None or record.key.machine_id != machine_id() or not record.time or not record.build:
                continue
            assumed = _build_seconds(cost, record.key.build_threads)
            builds[record.key.algorithm].append(record.build.build_seconds / assumed)
            searches[record.key.algorithm].append(1 / (record.time.qps_median * _query_seconds(cost)))
        return cls(
            {name: statistics.median(values) for name, values in builds.items()},
            {name: statistics.median(values) for name, values in searches.items()},
        )

    def build_seconds(self, build: PlannedBuild) -> float:
        """Building and saving once."""
        cost = build.points[0].cost
        if cost is None:
            return UNKNOWN_SECONDS
        return STARTUP_SECONDS + _build_seconds(cost, build.build_threads) * self.build_ratio.get(build.algorithm, 1.0)

    def point_seconds(self, point: PlannedPoint) -> float:
        """Warm-up and all passes of one point, of a runbook's point at every search."""
        if point.cost is None:
            return UNKNOWN_SECONDS
        seconds = _query_seconds(point.cost) * self.search_ratio.get(point.key.algorithm, 1.0)
        return seconds * point.key.queries * (point.key.passes + point.key.warmup) * point.searches

    def memory_bytes(self, build: PlannedBuild) -> int:
        """Peak while building: the float32 base, and the index while it is made and written."""
        cost = build.points[0].cost
        return build.dataset.raw_bytes + int(2 * cost.index_bytes if cost else build.dataset.raw_bytes)


def _build_seconds(cost: Cost, threads: int) -> float:
    return max(cost.build_operations / (OPERATIONS_PER_SECOND * threads), 1e-3)


def _query_seconds(cost: Cost) -> float:
    return CALL_SECONDS + cost.search_operations / OPERATIONS_PER_SECOND
