from __future__ import annotations

import pytest
from synthetic_records import make_record

from annbench.compare.refine import middle_of, points_to_add

# ef → recall, QPS; 1 − recall from 0.4 to 0.1 to 0.001.
GRID = {10: (0.6, 4000.0), 40: (0.9, 1000.0), 640: (0.999, 100.0)}


def records(grid=GRID, *, name="ef", build=None, workers=1, **options):
    return [
        make_record(search={name: value}, recall=recall, qps=qps, build=build, worker=worker, **options)
        for value, (recall, qps) in grid.items()
        for worker in range(workers)
    ]


def asked(found, measured):
    """What is asked for beside which ef."""
    beside = {record.key.digest: record.key.search for record in measured}
    return sorted(
        (next(iter(beside[digest].values())), search) for digest, searches in found.items() for search in searches
    )


@pytest.mark.parametrize(
    ("before", "after", "middle"),
    [
        (10, 40, 20),
        (40, 10, 20),
        (0, 9, 4),
        (10, 12, 11),
        (1, 3, 2),
        (10, 11, None),
        (10, 10, None),
        (0.1, 0.4, pytest.approx(0.2)),
        (0.0, 0.5, 0.25),
        (0.1, 0.101, None),
        (True, False, None),
        (10, 40.0, None),
        ("a", "b", None),
    ],
)
def test_middle(before, after, middle):
    assert middle_of(before, after) == middle


def test_asks_for_the_middle_of_a_long_step():
    measured = records()
    found = points_to_add(measured, (0.8, 0.99))
    assert asked(found, measured) == [(10, {"ef": 20}), (40, {"ef": 160})]


def test_all_workers_are_asked():
    measured = records(workers=3)
    assert len(points_to_add(measured, (0.8,))) == 3


def test_bisection_ends_with_short_steps():
    """Recall 1 − 2/ef: whatever the grid, every step around a target is short in the end, and no more is asked for."""
    grid = {ef: (1 - 2 / ef, 10_000 / ef) for ef in (4, 4000)}
    rounds = 0
    while found := points_to_add(records(grid), (0.9, 0.95, 0.99)):
        rounds += 1
        for searches in found.values():
            for search in searches:
                grid[search["ef"]] = (1 - 2 / search["ef"], 10_000 / search["ef"])
    assert rounds < 10
    for target in (0.9, 0.95, 0.99):
        below = max(ef for ef, (recall, _) in grid.items() if recall < target)
        above = min(ef for ef, (recall, _) in grid.items() if recall >= target)
        assert above <= 2 * below


@pytest.mark.parametrize(
    ("grid", "name"),
    [
        ({10: (0.85, 4000.0), 40: (0.92, 1000.0)}, "ef"),  # short enough
        ({10: (0.95, 4000.0), 40: (0.99, 1000.0)}, "ef"),  # both beyond
        ({10: (0.5, 4000.0), 40: (0.7, 1000.0)}, "ef"),  # not reached: never beyond the grid
        ({10: (0.5, 4000.0), 11: (0.99, 1000.0)}, "ef"),  # neighbours
        ({"few": (0.5, 4000.0), "many": (0.99, 1000.0)}, "effort"),  # no number
        ({}, "ef"),
    ],
)
def test_asks_for_nothing_where_nothing_helps(grid, name):
    assert points_to_add(records(grid, name=name), (0.9,)) == {}


def test_between_two_indexes_each_one_is_refined():
    small = records({10: (0.6, 4000.0), 90: (0.95, 500.0)}, build={"M": 8})
    large = records({10: (0.7, 3500.0), 40: (0.97, 900.0)}, build={"M": 16})
    measured = small + large
    # The frontier goes from M=16 ef=10 to M=16 ef=40: one index.
    assert asked(points_to_add(measured, (0.9,)), measured) == [(10, {"ef": 20})]
    large = records({40: (0.97, 900.0)}, build={"M": 16})
    # From M=8 ef=10 to M=16 ef=40: M=8 has a step of its own there, M=16 has not.
    assert asked(points_to_add(small + large, (0.9,)), small + large) == [(10, {"ef": 30})]


def test_other_parameters_stay_as_they_are():
    measured = [
        make_record(search={"nprobe": n, "k_factor": 4}, recall=recall, qps=1000 / n)
        for n, recall in ((2, 0.5), (32, 0.99))
    ]
    (searches,) = points_to_add(measured, (0.9,)).values()
    assert searches == [{"nprobe": 8, "k_factor": 4}]


def test_the_overhead_adapter_is_left_alone():
    assert points_to_add(records(algorithm="null"), (0.8,)) == {}
