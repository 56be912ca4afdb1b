"""The binding: what it refuses, what it converts, and that every instruction set gives the same bits."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from annbench import _native
from annbench.isa import available_isas, isa

ISAS = available_isas()
SEED = 20240611


def in_a_process(code: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return result.stdout.strip()


def test_an_instruction_set_is_chosen() -> None:
    assert ISAS[0] == "scalar"
    assert isa() in ISAS


@pytest.mark.parametrize("name", ISAS)
def test_the_environment_chooses(name: str) -> None:
    assert in_a_process("import annbench.isa as m; print(m.isa())", ANNBENCH_ISA=name) == name


@pytest.mark.fault(33)
def test_an_unknown_choice_fails_at_use_and_says_what_there_is() -> None:
    code = """
import numpy as np
from annbench import _native, isa
from annbench.errors import UsageError
try:
    isa.isa()
except UsageError as error:
    print(error)
try:
    _native.threshold_select(np.zeros(3, np.float32), 0.0)
except ValueError as error:
    print(error)
"""
    usage, kernel = in_a_process(code, ANNBENCH_ISA="avx1024").splitlines()
    assert "ANNBENCH_ISA" in usage
    assert "'avx1024'" in usage
    assert all(name in usage for name in ISAS)
    assert "ANNBENCH_ISA" in kernel


@pytest.mark.fault(33)
def test_an_unavailable_instruction_set_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="available: scalar"):
        _native.threshold_select(np.zeros(3, np.float32), 0.0, isa="sse9")


@pytest.mark.fault(33)
def test_importing_never_fails() -> None:
    code = "import annbench.isa; print('imported')"
    assert in_a_process(code, ANNBENCH_ISA="nonsense") == "imported"


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("adjust", ["none", "add", "multiply"])
def test_threshold_select_is_numpy_s_comparison(name: str, adjust: str) -> None:
    random = np.random.default_rng(SEED)
    for count in (0, 1, 7, 31, 32, 33, 1000):
        scores = random.standard_normal(count + 1).astype(np.float32)[1:]
        terms = random.standard_normal(count).astype(np.float32)
        scores[::5] = np.nan
        arguments = {} if adjust == "none" else {adjust: terms}
        values = {"none": scores, "add": scores + terms, "multiply": scores * terms}[adjust]
        indices, selected = _native.threshold_select(scores, 0.5, isa=name, **arguments)
        expected = np.flatnonzero(values >= np.float32(0.5))
        np.testing.assert_array_equal(indices, expected)
        np.testing.assert_array_equal(selected, values[expected])


@pytest.mark.parametrize("name", ISAS)
@pytest.mark.parametrize("dim", [0, 1, 15, 16, 17, 384, 1021])
def test_exact_distance_against_exact_sums(name: str, dim: int) -> None:
    random = np.random.default_rng(SEED)
    query = random.standard_normal(dim).astype(np.float32)
    base = random.standard_normal((9, dim)).astype(np.float32)
    rows = np.array([8, 0, 0, 5], np.uint32)
    dots = _native.exact_distance(query, base, rows, "dot", isa=name)
    squares = _native.exact_distance(query, base, rows, "squared_l2", isa=name)
    for row, dot, square in zip(rows, dots, squares, strict=True):
        products = query.astype(np.float64) * base[row]
        differences = (base[row].astype(np.float64) - query) ** 2
        allowed = (dim / 16 + 8) * 2.0**-53
        assert abs(dot - math.fsum(products)) <= allowed * math.fsum(np.abs(products))
        assert abs(square - math.fsum(differences)) <= allowed * math.fsum(differences)
    np.testing.assert_array_equal(dots, _native.exact_distance(query, base, rows, "dot", isa="scalar"))
    np.testing.assert_array_equal(squares, _native.exact_distance(query, base, rows, "squared_l2", isa="scalar"))


def test_nothing_is_converted_silently() -> None:
    base = np.zeros((4, 8), np.float32)
    rows = np.zeros(1, np.uint32)
    with pytest.raises(TypeError):
        _native.threshold_select(np.zeros(3), 0.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _native.threshold_select(np.zeros(6, np.float32)[::2], 0.0)
    with pytest.raises(TypeError):
        _native.exact_distance(np.zeros(8), base, rows, "dot")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _native.exact_distance(np.zeros(8, np.float32), np.asfortranarray(np.ones((4, 8), np.float32)), rows, "dot")


def test_sizes_are_checked() -> None:
    base = np.zeros((4, 8), np.float32)
    query = np.zeros(8, np.float32)
    with pytest.raises(ValueError, match="same dim"):
        _native.exact_distance(query[:7], base, np.zeros(1, np.uint32), "dot")
    with pytest.raises(ValueError, match="below the number of rows"):
        _native.exact_distance(query, base, np.array([4], np.uint32), "dot")
    with pytest.raises(ValueError, match="form must be"):
        _native.exact_distance(query, base, np.zeros(1, np.uint32), "l3")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="as long as scores"):
        _native.threshold_select(query, 0.0, add=query[:7])
    with pytest.raises(ValueError, match="not both"):
        _native.threshold_select(query, 0.0, add=query, multiply=query)


def collector(**changes: object) -> _native.NeighborCollector:
    arguments: dict[str, object] = {
        "base": np.zeros((5, 3), np.float32),
        "base_squared_norms": np.zeros(5),
        "base_terms": np.zeros(5, np.float32),
        "first_id": 0,
        "queries": np.zeros((2, 3), np.float32),
        "query_squared_norms": np.zeros(2),
        "neighbors": np.full((2, 4), -1),
        "distances": np.full((2, 4), np.inf),
        "ties": np.zeros(2, np.int64),
    }
    metric = changes.pop("metric", "euclidean")
    return _native.NeighborCollector(metric, **{**arguments, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "hamming"}, "metric"),
        ({"queries": np.zeros((2, 4), np.float32)}, "same dim"),
        ({"base_terms": np.zeros(4, np.float32)}, "base_terms"),
        ({"base_squared_norms": np.zeros(6)}, "base_squared_norms"),
        ({"query_squared_norms": np.zeros(3)}, "query_squared_norms"),
        ({"neighbors": np.full((2, 0), -1), "distances": np.zeros((2, 0))}, "at least one column"),
        ({"distances": np.zeros((2, 3))}, "shaped as neighbors"),
        ({"ties": np.zeros(3, np.int64)}, "ties"),
    ],
)
def test_the_collector_checks_its_arrays(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        collector(**changes)


def test_the_collector_checks_what_is_offered() -> None:
    with pytest.raises(ValueError, match="one row a query"):
        collector().offer(np.zeros((3, 5), np.float32), 0, 0.0, 0.0)
    with pytest.raises(ValueError, match="beyond the rows"):
        collector().offer(np.zeros((2, 3), np.float32), 3, 0.0, 0.0)
