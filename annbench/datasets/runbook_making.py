"""Runbooks made from a few numbers, in the shapes that big-ann-benchmarks has: for any dataset, by a seed.

Every one cuts the rows into parts of equal size, changes the index part by part, and searches after each change.
Source of the shapes: github.com/harsha-simhadri/big-ann-benchmarks (neurips23/runbooks).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from annbench.datasets.runbook import Delete, Insert, Replace, Runbook, Search, Step, made_runbook
from annbench.errors import UsageError


def sliding_window(rows: int, parts: int, share: float, _seed: int) -> Iterator[Step]:
    """Parts enter in the order of the base; once `share` of them is there, the oldest leaves for every new one.

    Nothing is random about it.
    """
    cuts = _cuts(rows, parts)
    width = _at_once(parts, share)
    for part in range(parts):
        yield Insert(start=cuts[part], end=cuts[part + 1])
        if part >= width:
            yield Delete(start=cuts[part - width], end=cuts[part - width + 1])
        yield Search()


def random_replace(rows: int, parts: int, share: float, seed: int) -> Iterator[Step]:
    """`share` of the parts enter; then each of the others, in random order, replaces one of those, chosen at random."""
    width = _at_once(parts, share)
    size = rows // parts  # a part takes another's place: all have one size, and a rest of rows stays out
    dice = random.Random(seed)
    yield Insert(start=0, end=width * size)
    yield Search()
    for part in dice.sample(range(width, parts), parts - width):
        tag = dice.randrange(width)
        yield Replace(
            tags_start=tag * size, tags_end=(tag + 1) * size, ids_start=part * size, ids_end=(part + 1) * size
        )
        yield Search()


def expiration(rows: int, parts: int, share: float, seed: int) -> Iterator[Step]:
    """Every part enters with a lifetime drawn for it: `share` of them stay; of the others, three in four leave after
    a twentieth of the parts, and one after a quarter.
    """
    cuts = _cuts(rows, parts)
    dice = random.Random(seed)
    leaving: dict[int, list[int]] = {}
    for part in range(parts):
        yield Insert(start=cuts[part], end=cuts[part + 1])
        stays, short = dice.random() < share, dice.random() < 0.75
        # The first part stays: no search may find an empty index.
        if part and not stays:
            leaving.setdefault(part + max(1, parts // (20 if short else 4)), []).append(part)
        for gone in leaving.pop(part, []):
            yield Delete(start=cuts[gone], end=cuts[gone + 1])
        yield Search()


# A further kind is a function above, a line here, and its name in annbench.config.streaming.
KINDS: dict[str, Callable[[int, int, float, int], Iterator[Step]]] = {
    "sliding-window": sliding_window,
    "random-replace": random_replace,
    "expiration": expiration,
}


def make_runbook(kind: str, dataset: str, rows: int, parts: int, share: float, seed: int) -> Runbook:
    """The runbook of this kind over the first `rows` rows of `dataset`. Raises UsageError for too few rows."""
    if rows < 2 * parts:
        raise UsageError(f"{parts} parts of {rows:,} rows", where="generate", remedy=f"set parts <= {rows // 2}")
    return made_runbook(dataset, list(KINDS[kind](rows, parts, share, seed)))


def _cuts(rows: int, parts: int) -> list[int]:
    return [rows * part // parts for part in range(parts + 1)]


def _at_once(parts: int, share: float) -> int:
    """How many parts are there at once: one at least, and one less than all, or nothing would happen."""
    return min(max(1, round(parts * share)), parts - 1)
