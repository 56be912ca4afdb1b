"""Markdown of what `graph.py` has measured: every cell a memory class, a way of calling and a recall."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan
from typing import Any

from graph_grids import OURS, SYMQG, classes
from interleaved import Spread, table

from annbench.compare.frontier import RECALL_TARGETS, AtRecall, at_recall

LOW, HIGH = 0.85, 0.995  # recall between which an index is to have points
SINGLE_RECALL = 0.95

Index = dict[str, Any]


@dataclass(frozen=True)
class Rate:
    """An index at a recall: queries a second in every round, and the place on its frontier by their medians."""

    index: Index
    rounds: list[float]
    place: AtRecall

    @property
    def median(self) -> float:
        return Spread.of(self.rounds).median

    @property
    def text(self) -> str:
        """With its mark: ≥ where even the fastest point finds more, ≈ where the points beside it are far apart."""
        return f"{self.place.mark}{self.median:,.0f}"

    @property
    def search(self) -> str:
        """The parameters of the points beside it."""
        ends = [self.index["points"][end]["search"] for end in (self.place.lower, self.place.upper) if end is not None]
        if ends[0].keys() != ends[-1].keys():
            return " … ".join(_span(end, end) for end in ends)
        return _span(ends[0], ends[-1])


def _span(low: dict[str, Any], high: dict[str, Any]) -> str:
    """Search parameters from one point to another."""
    return ", ".join(f"{name} {_value(low[name])}" + ("" if low[name] == high[name] else f"…{_value(high[name])}")
                     for name in low if not isinstance(low[name], bool))  # fmt: skip


def tables(record: dict[str, Any]) -> str:
    """All of a JSON file of graph.py."""
    parts = [_settings(name, measured) for name, measured in record["sets"].items()]
    parts += [_cells(record["sets"]), _families(record["sets"]), _ends(record["sets"]), _indexes(record["sets"])]
    parts += [_missing(name, measured) for name, measured in record["sets"].items()]
    return "\n\n".join(part for part in parts if part)


def rate_at(index: Index, mode: str, recall: float) -> Rate | None:
    """None where no point reaches this recall, or where its process failed before it was timed."""
    points = [point for point in index["points"] if point["seconds"][mode]]
    rounds = min((len(point["seconds"][mode]) for point in points), default=0)
    if not rounds:
        return None
    found = [point["recall"] for point in points]
    medians = [1 / Spread.of(point["seconds"][mode]).median for point in points]
    costs = {name: [point["costs"].get(name, nan) for point in points] for name in points[0]["costs"]}
    place = at_recall(found, medians, recall, costs)
    if place.kind == "not_reached":
        return None
    each = [at_recall(found, [1 / point["seconds"][mode][i] for point in points], recall) for i in range(rounds)]
    return Rate(index, [one.values["qps"] for one in each], place)


def best_at(indexes: Iterable[Index], mode: str, recall: float) -> Rate | None:
    """The fastest of them by the median."""
    rates = [rate for index in indexes if (rate := rate_at(index, mode, recall)) is not None]
    return max(rates, key=lambda rate: rate.median, default=None)


def cells() -> list[tuple[str, float]]:
    """Ways of calling and recalls."""
    return [*(("batch", recall) for recall in RECALL_TARGETS), ("single", SINGLE_RECALL)]


def _cells(sets: dict[str, Any]) -> str:
    rows = []
    for name, measured in sets.items():
        ours = [index for index in measured["indexes"] if index["family"] == OURS]
        peers = [index for index in measured["indexes"] if index["family"] != OURS]
        for share in classes(name):
            room = share * 4 * measured["dim"]
            for mode, recall in cells():
                mine = best_at(_within(ours, room), mode, recall)
                peer = best_at(peers, mode, recall)
                small = best_at(_within(peers, room), mode, recall)
                there = [f"{small.text} {small.index['family']} {small.index['label']}" if small else "none"]
                rows.append([name, f"≤ {share:g}", mode, f"{recall:.2f}", *_rate(mine), *_rate(peer),
                             _ratio(mine, peer), *there, _ratio(mine, small), _costs(mine)])  # fmt: skip
    header = ["set", "bytes", "calls", "recall@10", "ours, queries a second", "index and search", "bytes a vector",
              "best peer", "its build and search", "bytes", "ours ÷ peer", "best peer in these bytes", "ours ÷ that",
              "a query of ours takes"]  # fmt: skip
    keep = len(header) - (not any(row[-1] for row in rows))
    return table(header[:keep], [row[:keep] for row in rows])


def _families(sets: dict[str, Any]) -> str:
    """Ours in the largest class beside the best of every family, so that no peer hides behind another."""
    every = [index["family"] for measured in sets.values() for index in measured["indexes"]]
    peers = [family for family in dict.fromkeys(every) if family != OURS]
    rows = []
    for name, measured in sets.items():
        by_family = {family: [i for i in measured["indexes"] if i["family"] == family] for family in (OURS, *peers)}
        by_family[OURS] = _within(by_family[OURS], max(classes(name)) * 4 * measured["dim"])
        for mode, recall in cells():
            mine, *rivals = (best_at(indexes, mode, recall) for indexes in by_family.values())
            beside = [f"{rate.text}; {_ratio(mine, rate) or '–'}" if rate else "–" for rate in rivals]
            rows.append([name, mode, f"{recall:.2f}", mine.text if mine else "–", *beside])
    return table(["set", "calls", "recall@10", OURS, *(f"{peer}; ours ÷ it" for peer in peers)], rows)


def _ends(sets: dict[str, Any]) -> str:
    """Ours with searches that end by slack, beside the same index with those that end by ef_search alone."""
    rows = []
    for name, measured in sets.items():
        for index in measured["indexes"]:
            by_slack, by_ef = (
                {**index, "points": [point for point in index["points"] if ("slack" in point["search"]) is wanted]}
                for wanted in (True, False)
            )
            if not by_slack["points"]:
                continue
            for mode, recall in cells():
                rates = [rate_at(points, mode, recall) for points in (by_ef, by_slack)]
                told = [text for rate in rates for text in ((rate.text, rate.search) if rate else ("not reached", ""))]
                rows.append([name, index["label"], mode, f"{recall:.2f}", *told, _ratio(rates[1], rates[0])])
    header = ["set", "index", "calls", "recall@10", "by ef_search", "its search", "by slack", "its search", "ratio"]
    return table(header, rows) if rows else ""


def _within(indexes: list[Index], room: float) -> list[Index]:
    return [index for index in indexes if index["bytes_per_vector"] <= room]


def _indexes(sets: dict[str, Any]) -> str:
    rows = []
    for name, measured in sets.items():
        symqg = [index["build_seconds"] for index in measured["indexes"] if index["family"] == SYMQG]
        for index in measured["indexes"]:
            inside = sum(LOW <= point["recall"] <= HIGH for point in index["points"])
            beside = f"{index['build_seconds'] / min(symqg):.2f}" if symqg else "–"
            speed = index["saved_bytes"] / index["load_seconds"] / 1e9
            rows.append([name, f"{index['family']} {index['label']}", f"{index['bytes_per_vector']:,.0f}",
                         f"{index['build_seconds']:.1f}", beside, f"{speed:.2f}", str(inside)])  # fmt: skip
    header = ["set", "index", "bytes a vector", "build s, 2 threads", f"÷ {SYMQG}'s quickest", "load GB/s",
              f"points in {LOW} … {HIGH}"]  # fmt: skip
    return table(header, rows)


def _settings(name: str, measured: dict[str, Any]) -> str:
    return (f"{name}: {measured['n']:,} × {measured['dim']}, {measured['metric']}, {measured['queries']:,} queries, "
            f"{measured['rounds']} rounds")  # fmt: skip


def _missing(name: str, measured: dict[str, Any]) -> str:
    """What was left out, a line for each reason."""
    reasons: dict[str, list[str]] = {}
    for one in measured["left_out"]:
        reasons.setdefault(one["why"], []).append(one["name"])
    return "\n".join(f"- {name}: left out: {'; '.join(names)}: {why}" for why, names in reasons.items())


def _rate(rate: Rate | None) -> list[str]:
    if rate is None:
        return ["not reached", "", ""]
    index = rate.index
    family = "" if index["family"] == OURS else f"{index['family']} "
    return [rate.text, f"{family}{index['label']}; {rate.search}", f"{index['bytes_per_vector']:,.0f}"]


def _ratio(mine: Rate | None, peer: Rate | None) -> str:
    """Median, least and greatest over the rounds; nothing where either has no rate."""
    if mine is None or peer is None:
        return ""
    return str(Spread.of([a / b for a, b in zip(mine.rounds, peer.rounds, strict=False)]))


def _costs(rate: Rate | None) -> str:
    """What its library counts."""
    values = rate.place.values if rate else {}
    return ", ".join(f"{value:,.0f} {name}" for name, value in values.items() if name != "qps")


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
