"""`annbench data`: what goes to stdout and what to stderr."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from annbench.cli.data import app
from annbench.errors import DatasetError, UsageError


def run(*arguments: str) -> tuple[str, str]:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.stderr
    return result.stdout, result.stderr


def test_list(tmp_path: Path, ann_benchmarks_file: Callable[..., Path]) -> None:
    ann_benchmarks_file(name="mine.hdf5")
    out, err = run("list", "--data-dir", str(tmp_path), "--json")
    listed = {one["name"]: one for one in json.loads(out)}
    assert listed["wordnet-minilm-384-angular"]["status"] == "bundled"
    assert listed["mine"]["status"] == "present"
    assert listed["sift-128-euclidean"]["status"] == "not downloaded"
    assert err == ""
    table, _ = run("list", "--data-dir", str(tmp_path))
    assert max(map(len, table.splitlines())) <= 80
    for name in ("wordnet-minilm-384-angular", "sift-128-euclidean", "mine"):
        assert name in table


def test_info(tmp_path: Path, ann_benchmarks_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    ann_benchmarks_file(name="mine.hdf5")
    monkeypatch.setenv("ANNBENCH_DATA_DIR", str(tmp_path))
    out, _ = run("info", "mine", "--json")
    assert json.loads(out)["info"]["n"] == 60
    out, _ = run("info", str(tmp_path / "mine.hdf5"), "--json")
    assert json.loads(out)["info"]["n"] == 60
    assert "ann-benchmarks.com/sift" in run("info", "sift-128-euclidean")[0]
    with pytest.raises(DatasetError):
        run("info", "../x")


def test_add(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(1).standard_normal((200, 8)).astype(np.float32))
    arguments = (
        "--base",
        str(tmp_path / "x.npy"),
        "--metric",
        "cosine",
        "--data-dir",
        str(tmp_path / "data"),
    )
    out, err = run("add", "mine", *arguments, "--k", "5", "--memory", "64MiB")
    assert "mine: 180 x 8 float32, cosine, 20 queries, 5 neighbours each" in out
    assert "20 rows were held out as queries (seed 42)" in err
    result = CliRunner().invoke(app, ["add", "other", *arguments, "--memory", "much"])
    assert result.exit_code == 2
    assert "8GiB or 500MB" in result.stderr


def test_convert(tmp_path: Path) -> None:
    values = np.random.default_rng(1).standard_normal((200, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", values)
    source = str(tmp_path / "x.npy")
    out, err = run("convert", source, str(tmp_path / "x.fvecs"), "--limit", "150")
    assert out == f"{tmp_path / 'x.fvecs'}: 150 x 8 float32, 5.3 KiB\n"
    assert err == ""
    out, err = run("convert", source, str(tmp_path / "x.i8bin"), "--lossy")
    assert "200 x 8 int8" in out
    assert "values changed to be int8, by 0.4996 at most" in err
    out, _ = run("convert", str(tmp_path / "x.hdf5"), "--base", source, "--metric", "cosine", "--k", "5")
    assert "x.hdf5: 180 x 8 float32" in out
    out, _ = run("convert", "x", str(tmp_path / "ids.ivecs"), "--part", "neighbors", "--data-dir", str(tmp_path))
    assert "ids.ivecs: 20 x 5 int32" in out
    for arguments, message in (
        ((source,), "1 files were given, and SRC and DST are expected"),
        ((source, "y.npy", "--base", source), "2 files were given, and DST alone"),
        ((source, "y.npy", "--metric", "ip"), "are about a dataset"),
    ):
        with pytest.raises(UsageError, match=message):
            run("convert", *arguments)


def test_add_of_vector_files(tmp_path: Path) -> None:
    run_here = ("--data-dir", str(tmp_path), "--metric", "euclidean")
    np.save(tmp_path / "x.npy", np.random.default_rng(1).standard_normal((200, 8)).astype(np.float32))
    for arguments in (("x.npy", "b.fvecs"), ("x.npy", "q.fbin", "--limit", "9")):
        run("convert", *(str(tmp_path / name) if "." in name else name for name in arguments))
    base, queries = ("--base", str(tmp_path / "b.fvecs")), ("--queries", str(tmp_path / "q.fbin"))
    out, _ = run("add", "mine", *base, *queries, *run_here, "--k", "7")
    assert "mine: 200 x 8 float32, euclidean, 9 queries, 7 neighbours each" in out
    run("convert", "mine", str(tmp_path / "gt.ivecs"), "--part", "neighbors", "--data-dir", str(tmp_path))
    truth = ("--truth", str(tmp_path / "gt.ivecs"), "--learn", str(tmp_path / "q.fbin"))
    out, err = run("add", "again", *base, *queries, *truth, *run_here)
    assert "again: 200 x 8 float32, euclidean, 9 queries, 7 neighbours each" in out
    assert "9 base vectors are exact copies of a query" in err
