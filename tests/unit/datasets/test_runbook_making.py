"""Runbooks made from a few numbers: valid, the same for the same seed, and of the shape that they are named for."""

from __future__ import annotations

import pytest

from annbench.datasets.runbook import Delete, Insert, Intervals, Replace, Runbook
from annbench.datasets.runbook_making import KINDS, make_runbook
from annbench.errors import UsageError


def counts(runbook: Runbook) -> list[int]:
    """Vectors present after each step."""
    live, found = Intervals(), []
    for step in runbook.steps:
        if isinstance(step, Insert):
            live.add(step.start, step.end)
        elif isinstance(step, Delete):
            live.remove(step.start, step.end)
        found.append(len(live))
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "parts", "share"), [(4, 2, 0.01), (4, 2, 0.99), (1003, 10, 0.5), (500, 250, 0.1)])
def test_every_kind_is_valid_and_seeded(kind: str, rows: int, parts: int, share: float) -> None:
    made = [make_runbook(kind, "d", rows, parts, share, seed) for seed in (1, 1, 2, 3, 4)]
    assert made[0] == made[1]
    assert made[0].digest == made[1].digest
    if kind != "sliding-window" and parts == 250:
        assert len({runbook.digest for runbook in made}) == 4
    for runbook in made:
        assert runbook.rows <= rows
        assert runbook.searches
        assert max(counts(runbook)) == runbook.max_points


def test_a_window_slides_over_all_rows() -> None:
    runbook = make_runbook("sliding-window", "d", 1000, 10, 0.3, 0)
    assert runbook.rows == 1000
    assert counts(runbook)[-1] == 300
    assert runbook.max_points == 400  # the next part enters before the oldest leaves
    assert sum(isinstance(step, Delete) for step in runbook.steps) == 7


def test_replacements_use_every_other_part_once() -> None:
    runbook = make_runbook("random-replace", "d", 1005, 10, 0.4, 7)
    replaced = [step for step in runbook.steps if isinstance(step, Replace)]
    assert sorted(step.ids_start for step in replaced) == list(range(400, 1000, 100))
    assert {step.tags_end for step in replaced} <= {100, 200, 300, 400}
    assert set(counts(runbook)) == {400}


def test_what_expires_leaves_once() -> None:
    runbook = make_runbook("expiration", "d", 4000, 40, 0.2, 3)
    gone = [step.start for step in runbook.steps if isinstance(step, Delete)]
    assert len(gone) == len(set(gone)) > 20
    assert 0 not in gone


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(UsageError, match="10 parts of 19 rows; set parts <= 9"):
        make_runbook("expiration", "d", 19, 10, 0.2, 3)
