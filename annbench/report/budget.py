"""The memory-budget protocol: what each method's best configuration reaches in a given number of bytes a vector.

A budget is a share of float32, from 1/2 to 1/64 of 4·dim bytes. What counts against it is the serialized index ÷ n
(`index_bytes`, the first of the three memory figures): it is exact, and everything that a search needs is in it, so the
constants of every vector, its id, and rotations, codebooks and centroids too. Memory that is resident comes in pages
and holds buffers, and the peak of a build is gone when it has ended.

Tables are shared by the vectors that are there. Over ten thousand vectors a rotation can cost more than the codes, over
a million nothing: every method is therefore judged twice, with its tables shared by the n vectors that were measured
and by a million. The second needs an adapter that tells how much of its index is tables.

A method picks its legal configuration with the highest recall without rerank. Beside it stands the same configuration
with the best 100 candidates reranked, if that was measured; the copy they are reranked with is told apart as cold
bytes, since it may lie on disk.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal

from annbench.errors import NothingComparableError
from annbench.report.point import Point
from annbench.report.reranking import Codes, codes_of
from annbench.report.setting import Setting, settings_of
from annbench.results.frame import points_frame, records_frame
from annbench.results.schema import Record

BUDGETS = tuple(Fraction(1, divisor) for divisor in (2, 4, 8, 16, 32, 64))
RERANKED = 100
MILLION = 1_000_000
# A file's header and the bounds of a scalar quantizer must not shut out a code of exactly the budget's size.
SLACK = 0.01

Sharing = Literal["measured", "million"]
SHARINGS: tuple[Sharing, ...] = ("measured", "million")
_LABELLED = re.compile(r"^(.*) \(([^()]+)\)$")


@dataclass(frozen=True)
class Reranked:
    """The same codes with their best candidates reranked by `copy`, which takes `cold_bytes` more a vector."""

    copy: str
    point: Point
    cold_bytes: float


@dataclass(frozen=True)
class Candidate:
    """One measured configuration of a method. Bytes are per vector; None where the tables' part is not known."""

    point: Point
    bytes_measured: float
    bytes_million: float | None
    reranked: Reranked | None

    def bytes_shared(self, sharing: Sharing) -> float | None:
        """Bytes a vector with the tables shared by the measured vectors, or by a million."""
        return self.bytes_measured if sharing == "measured" else self.bytes_million

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        return asdict(self)


@dataclass(frozen=True)
class BudgetTable:
    """One setting: `methods` by name, and what each of them picks in every sharing and budget (None: nothing legal)."""

    setting: Setting
    methods: tuple[str, ...]
    picks: dict[tuple[Sharing, Fraction], dict[str, Candidate | None]]

    def limit_bytes(self, budget: Fraction) -> float:
        """Bytes a vector that `budget` allows."""
        return float(4 * self.setting.dim * budget)

    def best(self, sharing: Sharing, budget: Fraction) -> str | None:
        """The method whose pick has the highest recall without rerank; fewer bytes decide between equals."""
        picked = {name: pick for name, pick in self.picks[sharing, budget].items() if pick is not None}
        return max(picked, key=lambda name: _merit(picked[name], sharing)) if picked else None

    @property
    def sharings(self) -> tuple[Sharing, ...]:
        """With the tables shared by a million only if an adapter has told them and something is legal then."""
        million = any(pick for budget in BUDGETS for pick in self.picks["million", budget].values())
        return SHARINGS if million else ("measured",)

    def as_json(self) -> dict[str, Any]:
        """JSON types only; a method without a legal configuration in a budget is null there."""
        return {
            **self.setting.as_json(),
            "budgets": [
                {
                    "budget": str(budget),
                    "bytes_per_vector": self.limit_bytes(budget),
                    "tables_shared_by": self.setting.n if sharing == "measured" else MILLION,
                    "methods": {name: pick and pick.as_json() for name, pick in self.picks[sharing, budget].items()},
                }
                for sharing in SHARINGS
                for budget in BUDGETS
            ],
        }


def budget_tables(records: Iterable[Record]) -> list[BudgetTable]:
    """A table for every setting of `records` whose vectors could be float32.

    Raises NothingComparableError if none has a configuration without rerank whose size is known.
    """
    settings = settings_of(points_frame(records_frame(records)))
    tables = [_table(setting) for setting in settings if _is_dense(setting) and len(setting.points)]
    found = [table for table in tables if table.methods]
    if not found:
        raise NothingComparableError(
            "no result has a size and a recall without rerank",
            remedy="run the protocol first: annbench run memory_budget",
        )
    return found


def _is_dense(setting: Setting) -> bool:
    return setting.metric not in ("hamming", "jaccard")  # whose raw bytes are packed bits or elements of sets


def _table(setting: Setting) -> BudgetTable:
    names = method_names(setting.algorithms)
    methods: dict[str, list[Candidate]] = {}
    for algorithm, candidate in _candidates(setting):
        methods.setdefault(names[algorithm], []).append(candidate)
    shown = tuple(sorted(methods))
    picks = {
        (sharing, budget): {name: _pick(methods[name], sharing, float(4 * setting.dim * budget)) for name in shown}
        for sharing in SHARINGS
        for budget in BUDGETS
    }
    return BudgetTable(setting, shown, picks)


def method_names(algorithms: Sequence[str]) -> dict[str, str]:
    """What a method is called: its label alone where that says enough, else the algorithm with it."""
    labels = {name: match.group(2) for name in algorithms if (match := _LABELLED.match(name))}
    taken = [*labels.values(), *(name for name in algorithms if name not in labels)]
    return {name: labels[name] if name in labels and taken.count(labels[name]) == 1 else name for name in algorithms}


def _candidates(setting: Setting) -> list[tuple[str, Candidate]]:
    """Every configuration without rerank, each with the one that reranks its best 100."""
    rows = [(row, codes_of(row)) for row in setting.points.to_dict("records")]
    finer: dict[str, list[tuple[Codes, Point]]] = {}
    for row, codes in rows:
        if codes.rerank is not None and codes.depth == RERANKED:
            finer.setdefault(codes.key, []).append((codes, Point.of(row)))
    found = []
    for row, codes in rows:
        point = Point.of(row)
        if codes.rerank is None and point.bytes_per_vector is not None:
            candidate = Candidate(
                point=point,
                bytes_measured=point.bytes_per_vector,
                bytes_million=bytes_over_a_million(point, row["table_bytes"], setting.n),
                reranked=_best_reranked(point, finer.get(codes.key, [])),
            )
            found.append((point.algorithm, candidate))
    return found


def bytes_over_a_million(point: Point, table_bytes: float, n: int) -> float | None:
    """Bytes a vector with the tables (NaN: not told) shared by a million, of a point over n vectors."""
    if point.index_bytes is None or math.isnan(table_bytes):
        return None
    return (point.index_bytes - table_bytes) / n + table_bytes / MILLION


def _best_reranked(point: Point, finer: Sequence[tuple[Codes, Point]]) -> Reranked | None:
    sized = [
        Reranked(str(codes.rerank), other, other.bytes_per_vector - (point.bytes_per_vector or 0))
        for codes, other in finer
        if other.bytes_per_vector is not None
    ]
    return max(sized, key=lambda one: (one.point.recall, -one.cold_bytes), default=None)


def _pick(candidates: Iterable[Candidate], sharing: Sharing, limit: float) -> Candidate | None:
    legal = []
    for candidate in candidates:
        size = candidate.bytes_shared(sharing)
        if size is not None and size <= limit * (1 + SLACK):
            legal.append(candidate)
    return max(legal, key=lambda candidate: _merit(candidate, sharing), default=None)


def _merit(candidate: Candidate, sharing: Sharing) -> tuple[float, float, float]:
    return candidate.point.recall, -(candidate.bytes_shared(sharing) or 0.0), candidate.point.qps
