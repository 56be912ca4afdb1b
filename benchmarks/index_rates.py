"""Queries a second of annbench.Index at one recall: the two searches beside it are looked for, timed in turns with
those of other indexes, and what lies between is interpolated (annbench.compare.frontier), never extrapolated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from core_sets import K, recall
from interleaved import Spread, in_turns
from numpy.typing import NDArray

from annbench import Index
from annbench.compare.frontier import at_recall

GROWTH = 1.25  # from one effort to the next


@dataclass(frozen=True)
class Asked:
    """`queries` (q, dim) of exactly known neighbours: `truth` (q, 10), ids."""

    queries: NDArray[np.float32]
    truth: NDArray[np.integer]

    def recall(self, ids: NDArray[np.integer]) -> float:
        """The share of the true neighbours among `ids` (q, 10)."""
        return recall(ids, self.truth)


@dataclass(frozen=True)
class Beside:
    """The searches of an index beside a recall: their efforts, what they find, and how they are called."""

    efforts: tuple[int, ...]
    recalls: tuple[float, ...]
    calls: tuple[Callable[[], object], ...]


@dataclass(frozen=True)
class Rate:
    """Queries a second at a recall, over the rounds; `mark` is ≥ where the fastest search finds more, and `rounds` are
    empty where none finds as much.
    """

    rounds: tuple[float, ...]
    mark: str
    efforts: tuple[int, ...]
    recalls: tuple[float, ...]

    @property
    def text(self) -> str:
        """For a table."""
        if not self.rounds:
            return f"not reached (most {max(self.recalls):.3f})"
        return f"{self.mark}{Spread.of(list(self.rounds)).median:,.0f}"


def beside(index: Index, asked: Asked, target: float, rerank_k: int | None = None) -> Beside:
    """The last effort (ef_search, nprobe) below `target` and the first that reaches it, of rising ones."""
    graph = index.spec.has_graph
    most = 4096 if graph else index.spec.nlist
    found: list[tuple[int, float, Callable[[], object]]] = []
    effort = 6 if graph else 1
    while True:
        efforts_of = {"ef_search" if graph else "nprobe": effort}
        call = partial(index.search, asked.queries, K, rerank_k=rerank_k, **efforts_of)
        found.append((effort, asked.recall(call()[0]), call))
        if found[-1][1] >= target or effort >= most:
            break
        effort = min(most, max(effort + 1, round(GROWTH * effort)))
    efforts, recalls, calls = zip(*found[-2:], strict=True)
    return Beside(efforts, recalls, calls)


def rates(searches: Mapping[str, Beside], queries: int, target: float, rounds: int) -> dict[str, Rate]:
    """Of every index, timed in turns: processor time of a batch on the threads that a search takes, which is one."""
    cases = {f"{name} {effort}": call for name, one in searches.items()
             for effort, call in zip(one.efforts, one.calls, strict=True)}  # fmt: skip
    taken: dict[str, list[float]] = {name: [] for name in searches}
    marks = dict.fromkeys(searches, "")
    for turn in range(rounds):
        times = in_turns(cases, 1, seed=turn)
        for name, one in searches.items():
            rate = [queries / times.seconds(f"{name} {effort}") for effort in one.efforts]
            place = at_recall(one.recalls, rate, target)
            if place.kind != "not_reached":
                taken[name].append(float(place.values["qps"]))
                marks[name] = place.mark
    return {name: Rate(tuple(taken[name]), marks[name], one.efforts, one.recalls) for name, one in searches.items()}
