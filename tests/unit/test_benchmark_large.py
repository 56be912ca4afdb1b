"""benchmarks/graph_large.py: an index that was stopped on its way gets there all the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import graph_large

from annbench import Index


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> dict[str, Any]:
    sizes = ["--rows", "2500", "--chunk", "1000", "--memory-gib", "64"]
    monkeypatch.setattr(sys, "argv", ["graph_large.py", "--folder", str(folder), *sizes, *arguments])
    monkeypatch.setattr(graph_large, "pin_to_one_core", lambda: 0)  # the tests have all cores
    graph_large.main()
    state: dict[str, Any] = json.loads((folder / "state.json").read_text())
    return state


def test_a_build_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    whole = run(monkeypatch, tmp_path / "whole")
    assert [chunk["rows"] for chunk in whole["chunks"]] == [1000, 2000, 2500]
    assert [one["recall"] > 0.9 for one in whole["in_memory"]] == [True] * len(graph_large.EFFORTS)
    assert [one["recall"] for one in whole["on_disk"]] == [one["recall"] for one in whole["in_memory"]]
    assert "2,500 of 2,500 vectors" in capsys.readouterr().out

    parts = tmp_path / "parts"
    first = run(monkeypatch, parts, "--hours", "0")
    assert [chunk["rows"] for chunk in first["chunks"]] == [1000]
    assert "1,000 of 2,500 vectors" in capsys.readouterr().out
    with (parts / "vectors-2500.u8").open("r+b") as file:  # writing was stopped, too
        file.truncate(1700 * graph_large.DIM)
    run(monkeypatch, parts, "--hours", "0")
    last = run(monkeypatch, parts)
    assert [chunk["rows"] for chunk in last["chunks"]] == [1000, 2000, 2500]
    for one, other in zip(last["in_memory"], whole["in_memory"], strict=True):
        assert one["recall"] == pytest.approx(other["recall"], abs=0.02)
    vectors = [(folder / "vectors-2500.u8").read_bytes() for folder in (tmp_path / "whole", parts)]
    assert vectors[0] == vectors[1]
    ids = [np.sort(Index.load(folder / "graph-2500.index").ids) for folder in (tmp_path / "whole", parts)]
    assert np.array_equal(ids[0], np.arange(2500))
    assert np.array_equal(ids[1], ids[0])


def test_more_memory_than_allowed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="more than 0 GiB"):
        run(monkeypatch, tmp_path, "--memory-gib", "0")
