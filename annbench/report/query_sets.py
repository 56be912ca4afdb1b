"""The same indexes asked another set of queries: what recall is left, and what equal recall costs there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from annbench.compare.frontier import RECALL_TARGETS, RECALL_TOLERANCE, AtRecall, at_recall
from annbench.datasets.info import DEFAULT_QUERY_SET
from annbench.report import formatting as fmt
from annbench.report.point import configuration_of
from annbench.report.setting import SETTING_COLUMNS
from annbench.results.frame import OVERHEAD_ALGORITHM

# What two settings must share to be compared here.
_FIXED = tuple(name for name in SETTING_COLUMNS if name not in ("query_set", "queries"))
_SAME_POINT = ("algorithm", "label", "build_threads", "passes", "warmup", "seed", "libraries", "isa")


@dataclass(frozen=True)
class ShiftRow:
    """One algorithm at one recall target.

    `configuration` is the fastest that reaches the target on the reference set (or, where none does, the one nearest to
    it: `reached` is False), with its recall on both. `reference` and `other` are the algorithm at the target on each
    set's own front: other configurations, equal recall.
    """

    target: float
    algorithm: str
    configuration: str
    reached: bool
    recall_reference: float
    recall_other: float
    reference: AtRecall
    other: AtRecall

    @property
    def recall_change(self) -> float:
        """Recall on the other set less that on the reference, by the same parameters."""
        return self.recall_other - self.recall_reference

    @property
    def qps_ratio(self) -> float | None:
        """QPS on the other set ÷ QPS on the reference, at equal recall; None where a front does not tell."""
        known = ("measured", "interpolated")
        if self.reference.kind not in known or self.other.kind not in known:
            return None
        return self.other.values["qps"] / self.reference.values["qps"]

    def cells(self) -> dict[str, str]:
        """The figures as text."""
        ratio, wide = self.qps_ratio, self.reference.wide or self.other.wide
        return {
            "recall_reference": fmt.recall_text(self.recall_reference),
            "recall_other": fmt.recall_text(self.recall_other),
            "recall_change": f"{self.recall_change:+.4f}".replace("-", "−"),
            "qps_reference": _qps(self.reference),
            "qps_other": _qps(self.other),
            "qps_ratio": fmt.MISSING if ratio is None else ("≈" if wide else "") + f"{fmt.significant(ratio, 2)}×",
        }

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        names = ("target", "algorithm", "configuration", "reached", "recall_reference", "recall_other", "qps_ratio")
        return {
            **{name: getattr(self, name) for name in names},
            "qps_reference": self.reference.values.get("qps"),
            "qps_other": self.other.values.get("qps"),
        }


@dataclass(frozen=True)
class QuerySetShift:
    """Two query sets of one dataset, at one k, mode, thread count and machine, asked of the same indexes."""

    title: str
    dataset: str
    mode: str
    reference_set: str
    other_set: str
    rows: tuple[ShiftRow, ...]

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        names = ("title", "dataset", "mode", "reference_set", "other_set")
        return {**{name: getattr(self, name) for name in names}, "rows": [row.as_json() for row in self.rows]}


def query_set_shifts(points: pd.DataFrame, targets: Sequence[float] = RECALL_TARGETS) -> list[QuerySetShift]:
    """Every further query set against the default one (or the first), from `points` (of `points_frame`)."""
    contenders = points[(points["algorithm"] != OVERHEAD_ALGORITHM) & points["usable"].to_numpy(dtype=bool)]
    several_machines = contenders["machine_id"].nunique() > 1
    shifts = []
    for key, group in contenders.groupby(list(_FIXED), sort=True):
        fixed = dict(zip(_FIXED, key, strict=True))
        names = sorted(set(group["query_set"]), key=lambda name: (name != DEFAULT_QUERY_SET, name))
        for other in names[1:]:
            both = [group[group["query_set"] == name] for name in (names[0], other)]
            rows = tuple(_rows(both[0], both[1], targets))
            if rows:
                title = _title(fixed, names[0], other, several_machines)
                shifts.append(QuerySetShift(title, str(fixed["dataset"]), str(fixed["mode"]), names[0], other, rows))
    return shifts


def _rows(reference: pd.DataFrame, other: pd.DataFrame, targets: Sequence[float]) -> list[ShiftRow]:
    rows = []
    for target in targets:
        for algorithm in sorted(set(reference["algorithm"]) & set(other["algorithm"])):
            mine, theirs = (side[side["algorithm"] == algorithm] for side in (reference, other))
            row = _row(algorithm, mine, theirs, target)
            if row is not None:
                rows.append(row)
    return rows


def _row(algorithm: str, reference: pd.DataFrame, other: pd.DataFrame, target: float) -> ShiftRow | None:
    pairs = _paired(reference, other)
    if pairs.empty:
        return None
    recall, qps = (pairs[name].to_numpy(dtype=np.float64) for name in ("recall_at_k", "qps_best"))
    enough = recall >= target - RECALL_TOLERANCE
    chosen = int(np.where(enough, qps, -1).argmax() if enough.any() else recall.argmax())
    return ShiftRow(
        target=target,
        algorithm=algorithm,
        configuration=configuration_of(str(pairs["label"].iloc[chosen]), algorithm),
        reached=bool(enough.any()),
        recall_reference=float(recall[chosen]),
        recall_other=float(pairs["recall_at_k_other"].iloc[chosen]),
        reference=_at(reference, target),
        other=_at(other, target),
    )


def _paired(reference: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """The points that both sets have: the same parameters, whatever their recall."""
    keys = [*_SAME_POINT, *(c for c in reference.columns if str(c).startswith(("build.", "search.")))]
    left, right = (
        side.assign(same_point=side[keys].astype("string").fillna("").agg("\x1f".join, axis=1))
        for side in (reference, other)
    )
    return left.merge(right[["same_point", "recall_at_k", "qps_best"]], on="same_point", suffixes=("", "_other"))


def _at(points: pd.DataFrame, target: float) -> AtRecall:
    return at_recall(points["recall_at_k"].to_numpy(np.float64), points["qps_best"].to_numpy(np.float64), target)


def _title(fixed: dict[str, Any], reference: str, other: str, several_machines: bool) -> str:
    threads = int(fixed["threads"])
    parts = (
        fixed["dataset"],
        f"{other} against {reference}",
        f"k = {fixed['k']}",
        fixed["mode"],
        f"{threads} thread{'s' * (threads != 1)}",
        f"machine {fixed['machine_id']}" if several_machines else "",
    )
    return " · ".join(part for part in parts if part)


def _qps(place: AtRecall) -> str:
    return fmt.MISSING if place.kind == "not_reached" else place.mark + fmt.thousands(place.values["qps"])
