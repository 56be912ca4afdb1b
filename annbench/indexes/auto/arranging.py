"""Which structure preset auto takes, from measured times: a function of figures, without a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annbench.indexes.auto.choosing import Coding
from annbench.indexes.auto.wish import Auto
from annbench.indexes.choice import choose
from annbench.indexes.presets import FLAT_ROWS, ivf
from annbench.indexes.structures import STRUCTURES, Flat, GraphStructure, Structure

# How the time of a search at one recall is taken to grow with the number of vectors, as a power of it. A scan looks at
# all; lists are 4√n, of about √n/4 vectors; of graphs benchmarks/graph_scaling.py measures the power.
GROWTH = {"flat": 1.0, "ivf": 0.5, "graph": 0.25}
WORTH = 2.0  # times as fast must a structure be that the number of vectors does not suggest


@dataclass(frozen=True)
class Cost:
    """Processor seconds a query at the recall wanted, measured over `rows` vectors with the search `setting`; those
    that are `fixed` do not grow with the vectors.
    """

    rows: int
    seconds: float
    recall: float
    setting: str = ""
    fixed: float = 0.0

    def at(self, kind: str, n: int) -> float:
        """Seconds a query expected over n vectors."""
        return float(self.fixed + (self.seconds - self.fixed) * max(1.0, n / self.rows) ** GROWTH[kind])


def structures(n: int) -> dict[str, Structure]:
    """Those there are for n vectors."""
    lists = {"ivf": choose("structure", STRUCTURES, ivf(n))} if n > 1 else {}
    return {"flat": Flat(), **lists, "graph": GraphStructure()}


def suggested(n: int) -> str:
    """The kind that the number of vectors alone suggests."""
    return "flat" if n <= FLAT_ROWS else "graph"


def allowed(coding: Coding, n: int, dim: int, wish: Auto) -> dict[str, Structure]:
    """The structures that `coding` can have in the room there is."""
    room = wish.bytes_per_vector
    return {kind: one for kind, one in structures(n).items()
            if room is None or coding.spec(one).bytes_per_vector(dim) <= room}  # fmt: skip


def choose_structure(
    coding: Coding, costs: Mapping[str, Cost], n: int, dim: int, wish: Auto
) -> tuple[Structure, list[str]]:
    """The suggested structure, or one of `costs` that is WORTH times as fast, of those there is room for; and why."""
    possible = allowed(coding, n, dim, wish)
    usual = suggested(n) if suggested(n) in possible else next(kind for kind in ("ivf", "flat") if kind in possible)
    reasons = []
    if usual != suggested(n):
        reasons.append(
            f"structure {usual}: a graph's links have no room in {wish.bytes_per_vector:,.0f} bytes a vector"
        )
    times = {kind: cost.at(kind, n) for kind, cost in costs.items() if kind in possible}
    if usual not in times:
        return possible[usual], [*reasons, f"structure {usual}: what {n:,} vectors suggest, without a measurement"]
    fastest = min(times, key=lambda kind: (times[kind], kind))
    taken = fastest if times[usual] >= WORTH * times[fastest] else usual
    for kind, seconds in times.items():
        cost = costs[kind]
        reasons.append(
            f"structure {kind}: {_microseconds(cost.seconds)} a query at recall {cost.recall:.3f} over {cost.rows:,} "
            f"vectors{cost.setting and f' ({cost.setting})'}, about {_microseconds(seconds)} expected over {n:,}"
        )
    suggestion = f"{usual} is what {n:,} vectors suggest"
    if taken == usual:
        reasons.append(f"structure {usual}: {suggestion}, and none is expected to be {WORTH:g} × as fast")
    else:
        factor = times[usual] / times[taken]
        reasons.append(f"structure {taken}: expected to be {factor:.1f} × as fast; {suggestion}")
    return possible[taken], reasons


def _microseconds(seconds: float) -> str:
    micro = 1e6 * seconds
    return f"{micro:,.0f} µs" if micro >= 10 else f"{micro:.1f} µs"


def kept_structure(structure: Any) -> list[str]:
    """What is told of a structure that the caller chose."""
    return [f"structure {structure.kind}: as asked for"]
