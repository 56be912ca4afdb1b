"""`annbench doctor`: exit codes, what goes where, and that the parent opens nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annbench.datasets.formats.hdf5_write import QuerySetArrays
from annbench.doctor.examine import examine_dataset
from annbench.doctor.model import SCHEMA_VERSION, Diagnosis
from annbench.errors import DatasetError, UnknownNameError

N, QUERIES = 1200, 200


def run(*arguments: Any, code: int = 0) -> tuple[str, str]:
    """stdout and stderr of the command."""
    words = [sys.executable, "-m", "annbench.cli.main", "doctor", *map(str, arguments)]
    # What chooses the kernels of OpenBLAS stays as it is here: others round otherwise.
    kept = {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}
    done = subprocess.run(words, capture_output=True, text=True, env={**kept, "COLUMNS": "80", "PATH": ""}, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_a_sound_file(lab: Any) -> None:
    out, err = run(lab.write(), "--threads", "1", "--sample", "300")
    assert err == ""
    assert "mine: 1,200 × 12 float32, euclidean\nnothing found" in out
    assert max(map(len, out.splitlines())) <= 80
    for words in ("LID", "contrast", "Variance", "in distribution", "Ties"):
        assert words in out
    assert "…" not in out  # nothing was cut off


@pytest.mark.fault(15)
def test_a_broken_file_is_told_whole(lab: Any) -> None:
    base, queries = lab.drawn(N, 1), lab.drawn(QUERIES, 2)
    base[[7, 70], 0] = np.nan
    ids, distances = lab.truth_of(base, queries)
    ids[5, 0] = N
    path = lab.write(base, QuerySetArrays(queries, ids, distances))
    out, _ = run(path, "--threads", "1", code=2)
    assert out.index("rows hold NaN") < out.index("\nok")
    assert "2 errors" in out
    assert "rows 7, 70" in out
    assert "name rows that do not exist" in " ".join(out.split())
    found = json.loads(run(path, "--threads", "1", "--json", code=2)[0])
    assert [one["code"] for one in found["findings"] if one["severity"] == "error"] == ["nan_rows", "truth_unknown_ids"]


def test_json_is_the_model(lab: Any) -> None:
    path = lab.write(metric="cosine", query_sets={"more": lab.with_truth(lab.drawn(N, 1), lab.drawn(50, 3), "cosine")})
    arguments = (path, "--threads", "1", "--sample", "200", "--k", "7", "--seed", "5", "--query-set", "more", "--json")
    out, err = run(*arguments)
    assert err == ""
    found = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found["schema_version"] == SCHEMA_VERSION
    assert (found["k"], found["seed"], found["sample"]) == (7, 5, 200)
    assert list(found["truth"]) == ["more"]
    diagnosis = Diagnosis.model_validate(found)
    assert diagnosis.model_dump(mode="json") == found
    again = examine_dataset(str(path), query_sets=("more",), sample=200, k=7, seed=5, threads=1)
    assert again.model_dump(mode="json") == found
    two = examine_dataset(str(path), query_sets=("more",), sample=200, k=7, seed=5, threads=2).model_dump(mode="json")
    assert two["findings"] == found["findings"]
    assert two["neighborhoods"][0]["lid"][0]["plain_mean"] == pytest.approx(
        found["neighborhoods"][0]["lid"][0]["plain_mean"]
    )


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_the_picture(lab: Any, tmp_path: Path, ending: str) -> None:
    picture = tmp_path / f"look.{ending}"
    _, err = run(lab.write(), "--threads", "1", "--picture", picture)
    assert err == f"picture: {picture}\n"
    if ending == "png":
        with Image.open(picture) as image:
            assert image.size[0] > 1000
            assert len(np.unique(np.asarray(image.convert("L")))) > 20
    else:
        text = picture.read_text("utf-8")
        for words in ("Local intrinsic dimensionality", "test: in distribution", "Variance", "Length of the vectors"):
            assert words in text


def test_what_is_no_picture_is_refused_before_any_work(lab: Any, tmp_path: Path) -> None:
    _, err = run(tmp_path / "absent.hdf5", "--picture", "x.jpg", code=2)
    assert "end it in .png or .svg" in err
    folder = tmp_path / "no" / "look.png"
    assert "cannot be written" in run(lab.write(), "--threads", "1", "--picture", folder, code=2)[1]


def test_what_cannot_be_examined(lab: Any, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="wordnet-minilm"):
        examine_dataset("wordnet-minilm", folder=tmp_path)
    path = lab.write()
    with pytest.raises(UnknownNameError, match=r"unknown query set 'tset'.*did you mean test"):
        examine_dataset(str(path), query_sets=("tset",))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DatasetError):
        examine_dataset(str(path))
    assert "error" not in run(path, code=2)[0]


def test_the_parent_opens_no_file(lab: Any) -> None:
    code = (
        "import sys\nfrom annbench.cli.main import main\n"
        f"try: main(['doctor', {str(lab.write())!r}, '--threads', '1', '--json'])\n"
        "except SystemExit as end: print(end.code, sorted({'h5py', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"


def test_progress_names_phases_and_moves_forward(lab: Any) -> None:
    seen: list[tuple[str, float]] = []
    examine_dataset(str(lab.write()), threads=1, on_progress=lambda phase, done: seen.append((phase, done)))
    phases = list(dict.fromkeys(phase for phase, _ in seen))
    assert phases == ["read", "copies", "neighbors of the base", "variance", "neighbors of test"]
    for phase in phases:
        fractions = [done for one, done in seen if one == phase]
        assert fractions == sorted(fractions)
        assert fractions[0] >= 0
        assert fractions[-1] <= 1
