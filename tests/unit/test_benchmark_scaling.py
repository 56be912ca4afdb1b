"""benchmarks/graph_scaling.py: its sets are what it says, and what was measured is neither lost nor measured again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import graph_scaling
from core_sets import unit
from scaling_sets import jittered, scaling_set, with_spectrum


def test_generated_vectors_have_the_stated_spectrum() -> None:
    rows, queries = with_spectrum(20_000, 10, dim=16, decay=1.5)
    assert (rows.shape, queries.shape) == ((20_000, 16), (10, 16))
    values = np.linalg.eigvalsh(np.cov(rows.T))[::-1]
    np.testing.assert_allclose(values, np.arange(1, 17) ** -1.5, rtol=0.06)
    fewer, same = with_spectrum(100, 10, dim=16, decay=1.5)
    np.testing.assert_array_equal(fewer, rows[:100])
    np.testing.assert_array_equal(same, queries)


def test_copies_are_near_what_they_are_copies_of_and_not_equal() -> None:
    base = unit(np.random.default_rng(1).normal(size=(500, 8)).astype(np.float32))
    rows = jittered(base, 1200)
    assert rows.shape == (1200, 8)
    np.testing.assert_allclose(rows[:500], base, atol=1e-6)
    moved = np.linalg.norm(rows[500:1000] - base, axis=1)
    far = np.linalg.norm(base[:, None] - base[None], axis=2)
    np.fill_diagonal(far, np.inf)
    assert 0.3 < np.median(moved) / np.median(far.min(axis=1)) < 0.7
    assert len(np.unique(jittered(base, 100), axis=0)) == 100


def test_dimensionality_is_measured_on_the_set() -> None:
    found = scaling_set("spectrum", 2000, 50, Path("none"))
    assert 10 < found.lid < 128
    assert found.truth.shape == (50, 10)


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    file = tmp_path / "out.json"
    arguments = ["graph_scaling.py", "--cache", str(tmp_path / "cache"), "--json", str(file), "--sizes", "600",
                 "--sets", "spectrum", "--queries", "20", "--rounds", "2"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", arguments)
    graph_scaling.main()
    first: dict[str, Any] = json.loads(file.read_text())
    kinds = first["sets"]["spectrum"]["600"]["indexes"]
    assert len(kinds["graph"]["qps"]) == len(kinds["lists"]["qps"]) == 2
    assert not list((tmp_path / "cache").iterdir())
    assert capsys.readouterr().out.count("| spectrum | 600 |") == 2
    graph_scaling.main()
    assert json.loads(file.read_text()) == first
