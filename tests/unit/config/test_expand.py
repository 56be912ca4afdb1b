"""Grids and constraints."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.config.expand import Constraint, expand
from annbench.errors import ConfigError


def test_lists_are_choices_nested_mappings_too() -> None:
    grid = {"M": [8, 16], "codec": {"kind": "uniform", "bits": [4, 8]}, "fixed": 1}
    points = list(expand(grid))
    assert len(points) == 4
    assert points[0] == {"M": 8, "codec": {"kind": "uniform", "bits": 4}, "fixed": 1}


def test_a_list_of_mappings_is_a_choice_of_grids() -> None:
    assert [p["c"] for p in expand({"c": [{"b": [1, 2]}, {"b": 3}]})] == [{"b": 1}, {"b": 2}, {"b": 3}]


def test_a_list_of_lists_passes_lists() -> None:
    assert list(expand({"sizes": [[1, 2], [3]]})) == [{"sizes": [1, 2]}, {"sizes": [3]}]


@given(st.dictionaries(st.text("abc", min_size=1), st.lists(st.integers(), min_size=1, max_size=3), max_size=4))
def test_the_grid_is_the_product(grid: dict[str, list[int]]) -> None:
    points = list(expand(grid))
    assert len(points) == math.prod(len(values) for values in grid.values())
    assert all(point[name] in values for point in points for name, values in grid.items())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("ef >= k", True),
        ("ef < k", False),
        ("k <= ef <= 100 and M * 2 == 32", True),
        ("not (M % 3 == 0)", True),
        ("storage == 'sq8' or M > 100", False),
        ("codec.bits * 2 == 8", True),
        ("-M < 0 and M / 4 == 4 and M // 5 == 3", True),
    ],
)
def test_constraints(text: str, kept: bool) -> None:
    names = {"ef": 20, "k": 10, "M": 16, "storage": "flat", "codec": {"bits": 4}}
    assert Constraint(text).holds(names) is kept


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('x')", "ef >=", "(lambda: 1)()", "ef[0] > 1", "unknown > 1", "10 ** 10 ** 10",
     "'a' * 9 > 1", "ef / 0 > 1", "storage > 1", "codec.missing == 1", "[x for x in y]"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="constraint"):
        Constraint(text, where="c.yaml:3").holds({"ef": 20, "storage": "flat", "codec": {"bits": 4}})
