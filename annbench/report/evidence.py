"""What stands behind the figures: verdicts, the harness's own cost, and the machines that measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from annbench.results.frame import OVERHEAD_ALGORITHM
from annbench.results.schema import Record, canonical_json

_SHOWN_VALUES = 4


@dataclass(frozen=True)
class VerdictGroup:
    """Points of one algorithm and setting that share a status, a verdict and a reason."""

    setting: str
    dataset: str
    mode: str
    algorithm: str
    outcome: str  # suspect, invalid, or the status of a failed point
    reason: str  # of the first point; figures differ among the others
    count: int
    examples: tuple[str, ...]  # labels


@dataclass(frozen=True)
class Overhead:
    """The null adapter in one setting, and the largest share of a contender's time that the harness took."""

    setting: str
    dataset: str
    mode: str
    us_per_query: float
    qps: float
    latency_p99_us: float | None
    largest_share: float | None


def verdict_groups(points: pd.DataFrame) -> list[VerdictGroup]:
    """Every contender in `points` that failed, is invalid or suspect, grouped; failed ones first."""
    bad = points[((points["verdict"] != "ok") | (points["status"] != "ok")) & _contends(points)]
    groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for row in bad.to_dict("records"):
        failed = row["status"] != "ok"
        outcome = row["status"] if failed else row["verdict"]
        phase = f"in {row['failed_phase']}" if failed and isinstance(row["failed_phase"], str) else ""
        parts = (phase, row["status_detail"] if failed else "", "" if failed else row["verdict_reasons"])
        reason = ": ".join(p for p in parts if p) or row["verdict_reasons"] or "no reason recorded"
        # Reasons differ in their figures only: collapse those, or a table of thousands follows.
        shape = re.sub(r"\d+(\.\d+)?", "#", reason)
        key = (_where(row), row["dataset"], row["mode"], row["algorithm"], outcome, shape)
        groups.setdefault(key, []).append((reason, row["label"]))
    found = []
    for (setting, dataset, mode, algorithm, outcome, _), rows in groups.items():
        examples = tuple(label for _, label in rows[:3])
        found.append(VerdictGroup(setting, dataset, mode, algorithm, outcome, rows[0][0], len(rows), examples))
    rank = {"suspect": 2, "invalid": 1}
    return sorted(found, key=lambda g: (rank.get(g.outcome, 0), g.outcome, g.setting, g.algorithm))


def overheads(points: pd.DataFrame) -> list[Overhead]:
    """The null adapter's own figures, a row a setting; empty if it was not run."""
    null = points[~_contends(points) & (points["status"] == "ok") & points["qps_best"].notna()]
    columns = ["dataset_sha256", "query_set", "k", "mode", "threads", "machine_id"]
    shares = points[_contends(points)].groupby(columns, sort=False)["overhead_ratio"].max()
    found = []
    for row in null.to_dict("records"):
        share = shares.get(tuple(row[c] for c in columns))
        found.append(
            Overhead(
                setting=_where(row),
                dataset=row["dataset"],
                mode=row["mode"],
                us_per_query=1e6 / row["qps_best"],
                qps=row["qps_best"],
                latency_p99_us=None if pd.isna(row["latency_p99_us"]) else row["latency_p99_us"],
                largest_share=None if share is None or pd.isna(share) else float(share),
            )
        )
    return found


@dataclass(frozen=True)
class Machine:
    """One machine's environment: facts on which all its records agree have one value, the others several."""

    machine_id: str
    records: int
    facts: tuple[tuple[str, str], ...]  # name, value or values


def machines(records: Sequence[Record]) -> list[Machine]:
    """The distinct environments, by machine; nested facts have dotted names."""
    by_machine: dict[str, dict[str, tuple[int, Mapping[str, Any]]]] = {}
    for record in records:
        seen = by_machine.setdefault(record.key.machine_id, {})
        text = canonical_json(record.environment)
        seen[text] = (seen.get(text, (0, {}))[0] + 1, record.environment)
    found = []
    for machine_id, environments in by_machine.items():
        values: dict[str, Counter[str]] = {}
        for count, environment in environments.values():
            for name, value in _flat("", environment):
                values.setdefault(name, Counter())[value] += count
        facts = tuple((name, _several(counter)) for name, counter in values.items())
        found.append(Machine(machine_id, sum(c for c, _ in environments.values()), facts))
    return found


def _several(counter: Counter[str]) -> str:
    if len(counter) == 1:
        return next(iter(counter))
    shown = [f"{value} ({count} records)" for value, count in counter.most_common(_SHOWN_VALUES)]
    rest = len(counter) - len(shown)
    return "differs: " + "; ".join(shown) + (f"; and {rest} more" if rest else "")


def _flat(prefix: str, value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), inner)
    elif isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        for i, inner in enumerate(value):
            yield from _flat(f"{prefix}[{i}]", inner)
    elif isinstance(value, list | tuple):
        yield prefix, " ".join(map(str, value)) or "none"
    else:
        yield prefix, "unknown" if value is None else _scalar(prefix, value)


def _scalar(name: str, value: Any) -> str:
    if name.endswith("_bytes") and isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,} ({value / 2**30:.1f} GiB)" if value >= 2**30 else f"{value:,}"
    return str(value)


def _contends(points: pd.DataFrame) -> Any:
    return points["algorithm"] != OVERHEAD_ALGORITHM


def _where(row: Mapping[Any, Any]) -> str:
    queries = "" if row["query_set"] == "test" else f" · queries {row['query_set']}"
    return f"{row['dataset']}{queries} · k = {row['k']} · {row['mode']} · {row['threads']} thr"
