"""One generation of a model as its dataset has it, and whether generations fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annbench.errors import DatasetError, UsageError
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.upgrade.bridges import ridge
from annbench.upgrade.pairs import LEAST_PAIRS, Matrix, Paired

RELATED_ROWS = 1000
LEAST_Z = 5.0


@dataclass(frozen=True)
class Generation:
    """`base` (n, dim), `queries` (q, dim), `learn` (m, dim) or None: rows of unit length. `relevant` (q,) or None."""

    name: str
    base: Matrix
    queries: Matrix
    learn: Matrix | None
    relevant: NDArray[np.int64] | None


def check_generations(models: Sequence[Generation]) -> None:
    """Raises UsageError for fewer than two models, DatasetError where rows cannot be of the same things."""
    if len(models) < 2:
        raise UsageError("one model is no upgrade", where="upgrade", remedy="give an old one and a new one")
    newest = models[-1]
    for model in models[:-1]:
        for what, *both in (
            ("base rows", model.base, newest.base),
            ("queries", model.queries, newest.queries),
            ("training queries", model.learn, newest.learn),
        ):
            counts = [0 if rows is None else len(rows) for rows in both]
            if counts[0] != counts[1]:
                raise DatasetError(
                    f"{model.name} has {counts[0]:,} {what}, {newest.name} has {counts[1]:,}",
                    where="upgrade",
                    remedy="embed the same things with both models, in the same order",
                )
        mine, its = newest.relevant, model.relevant
        if mine is not None and its is not None and not np.array_equal(mine, its):
            raise DatasetError(
                f"{model.name} and {newest.name} name other relevant rows",
                where="upgrade",
                remedy="embed the same things with both models, in the same order",
            )


def check_related(pairs: Paired, names: tuple[str, str], *, seed: int) -> None:
    """Raises DatasetError where what a bridge makes of new vectors that it was not fitted on is no nearer to their own
    old ones than to those of others: then row i of both is not one thing.
    """
    order = np.random.default_rng(seed).permutation(len(pairs))
    held = order[: min(RELATED_ROWS, len(pairs) // 3)]
    rest = order[len(held) :]
    if len(rest) < LEAST_PAIRS or len(held) < 2:
        return
    mapped = ridge(Paired(pairs.new[rest], pairs.old[rest]))(pairs.new[held])
    old = unit_rows(pairs.old[held])
    own = np.einsum("nd,nd->n", mapped, old)
    others = np.einsum("nd,nd->n", mapped, np.roll(old, 1, axis=0))
    difference = (own - others).astype(np.float64)
    if difference.mean() <= LEAST_Z * difference.std() / np.sqrt(len(held)):
        raise DatasetError(
            f"rows of {names[0]} and {names[1]} have nothing to do with each other",
            where="upgrade",
            remedy="row i of both files must be one thing: embed the same things in the same order",
        )


def paired(old: Generation, new: Generation, of: str, most: int, *, seed: int) -> tuple[Paired, Paired, Paired]:
    """What is fitted on, `of` learn, base or both; and for the scale of scores, what asks and what is asked. At most
    `most` training queries and as many base rows, of which none is the relevant row of a query.

    Raises UsageError where there is nothing to take them from.
    """
    random = np.random.default_rng((seed, 7))
    if of != "base" and (old.learn is None or new.learn is None):
        raise UsageError(
            f"{new.name} has no training queries",
            where="--fit-on",
            remedy="give --fit-on base, or datasets with `learn`",
        )
    free = np.arange(len(old.base))
    if new.relevant is not None:
        free = np.setdiff1d(free, new.relevant)
    if len(free) < LEAST_PAIRS:
        raise UsageError(f"{len(free):,} base rows are left to fit on", where="upgrade", remedy="give more base rows")
    rows = np.sort(random.choice(free, min(most, len(free)), replace=False))
    items = Paired(new.base[rows], old.base[rows])
    if old.learn is None or new.learn is None:
        half = len(rows) // 2
        return items, Paired(items.new[:half], items.old[:half]), Paired(items.new[half:], items.old[half:])
    count = len(new.learn)
    some = np.sort(random.choice(count, min(most, count), replace=False))
    asked = Paired(new.learn[some], old.learn[some])
    both = Paired(np.concatenate([asked.new, items.new]), np.concatenate([asked.old, items.old]))
    return {"learn": asked, "base": items, "both": both}[of], asked, items
