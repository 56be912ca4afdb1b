"""Tables at equal recall: what each algorithm costs at 0.90, 0.95 and 0.99."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from annbench.compare.frontier import RECALL_TARGETS, AtRecall, at_recall
from annbench.report import formatting as fmt
from annbench.report.point import configuration_of

_COSTS = {
    "p99": "latency_p99_us",
    "bytes": "bytes_per_vector",
    "ratio": "float32_ratio",
    "build": "build_seconds",
    "qps_low": "qps_low",
    "qps_high": "qps_high",
}


@dataclass(frozen=True)
class EqualRecallRow:
    """One algorithm at one target, with the configurations its figures stand between."""

    algorithm: str
    place: AtRecall
    between: tuple[str, ...]  # none, one or two configurations
    suspect: bool
    fastest: bool  # the highest QPS of those that reach the target

    def cells(self) -> dict[str, str]:
        """The figures as text; a row that does not reach the target says so under `qps`."""
        if self.place.kind == "not_reached":
            return {"qps": "not reached", **dict.fromkeys(("interval", "p99", "bytes", "build"), "")}
        values, mark = self.place.values, self.place.mark
        low, high = values["qps_low"], values["qps_high"]
        spread = "" if fmt.is_missing(low) else f"[{fmt.significant(low)}, {fmt.significant(high)}]"
        return {
            "qps": mark + fmt.significant(values["qps"]),
            "interval": spread,
            "p99": fmt.significant(values["p99"]),
            "bytes": fmt.bytes_text(values["bytes"], values["ratio"]),
            "build": fmt.significant(values["build"]),
        }


def equal_recall(
    points: pd.DataFrame, targets: Sequence[float] = RECALL_TARGETS, budget: float | None = None
) -> dict[float, list[EqualRecallRow]]:
    """By target, one row an algorithm of `points` (a setting's), fastest first, those that do not reach it
    last.

    `budget` keeps only the points whose index is at most that share of the float32 base.
    """
    narrow = points[["algorithm", "label", "verdict", "recall_at_k", "qps_best", *_COSTS.values()]]
    kept = narrow if budget is None else narrow[narrow["float32_ratio"] <= budget]
    groups = [(str(name), rows) for name, rows in kept.groupby("algorithm", sort=True)]
    return {target: _ranked([_row(name, rows, target) for name, rows in groups]) for target in targets}


def _row(algorithm: str, rows: pd.DataFrame, target: float) -> EqualRecallRow:
    recall, qps = (rows[c].to_numpy(dtype=np.float64) for c in ("recall_at_k", "qps_best"))
    costs: dict[str, Any] = {name: rows[c].to_numpy(dtype=np.float64) for name, c in _COSTS.items()}
    place = at_recall(recall, qps, target, costs)
    ends = [i for i in (place.lower, place.upper) if i is not None]
    labels = tuple(configuration_of(rows["label"].iloc[i], algorithm) for i in ends)
    suspect = any(rows["verdict"].iloc[i] != "ok" for i in ends)
    return EqualRecallRow(algorithm, place, labels, suspect, fastest=False)


def _ranked(rows: list[EqualRecallRow]) -> list[EqualRecallRow]:
    ordered = sorted(rows, key=lambda row: -row.place.values.get("qps", -1.0))
    if not ordered or ordered[0].place.kind == "not_reached":
        return ordered
    first = ordered[0]
    return [EqualRecallRow(first.algorithm, first.place, first.between, first.suspect, True), *ordered[1:]]
