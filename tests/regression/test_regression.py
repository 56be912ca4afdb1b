"""annbench gates itself: what configs/regression.yaml measures against the committed baseline of recall and bytes.

After a change that is meant to move a figure, renew the baseline and say why in the commit:

    annbench run regression --fresh --results new && annbench baseline tests/regression/baseline.json --results new
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BASELINE = Path(__file__).with_name("baseline.json")
WORSE = Path(__file__).with_name("worse.py")
GATES = "recall=0.002,bytes=1%,qps=5%"


def annbench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "annbench.cli.main", *arguments],
        cwd=folder, env={**os.environ, "COLUMNS": "100"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("regression")
    done = annbench(folder, "run", "regression", "--quiet")
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_got_worse(measured: Path) -> None:
    done = annbench(measured, "compare", str(BASELINE), "results", "--fail-on", GATES, "--json", "--markdown", "pr.md")
    found = json.loads(done.stdout)
    bad = [cell for cell in found["cells"] if cell["gates"] and cell["verdict"] == "regression"]
    assert done.returncode == 0, f"{done.stderr}\n{json.dumps(bad, indent=1)}\nif it is meant: {__doc__}"
    # Every point of the baseline was there to be compared.
    points = json.loads(BASELINE.read_text())["points"]
    recalls = [cell for cell in found["cells"] if cell["metric"] == "recall" and cell["scope"] == "point"]
    assert len(recalls) == len(points) >= 9
    assert not [note for note in found["notes"] if "only in" in note]
    assert (measured / "pr.md").read_text().startswith("### annbench: no regression\n")


def test_a_worse_algorithm_with_the_same_parameters_is_found(tmp_path: Path) -> None:
    (tmp_path / "worse.yaml").write_text(
        "dataset: wordnet-minilm-384-angular\nk: 10\n"
        "measure: {modes: batch, threads: 1, build_threads: 1, passes: 1, warmup: 0}\n"
        "algorithms:\n"
        f"  - {{algorithm: '{WORSE}:Worse', build: {{M: 8, ef_construction: 40}}, search: {{ef: [20, 80]}}}}\n"
    )
    assert annbench(tmp_path, "run", "worse.yaml", "--quiet").returncode == 0
    done = annbench(tmp_path, "compare", f"{BASELINE}:hnswlib", ":Worse", "--fail-on", GATES, "--json")
    assert done.returncode == 1, done.stderr
    bad = {(c["metric"], c["subject"]) for c in json.loads(done.stdout)["cells"] if c["verdict"] == "regression"}
    assert ("recall", "M=8 ef_construction=40 · ef=20") in bad
    assert ("bytes", "M=8 ef_construction=40") in bad


def test_the_baseline_is_small_and_tells_nothing_of_the_machine() -> None:
    assert BASELINE.stat().st_size < 100_000
    text = BASELINE.read_text()
    assert "machine" not in text
    assert "seconds" not in text
