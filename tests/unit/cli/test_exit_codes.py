"""The exit codes that the README promises, each from the real program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from synthetic_records import make_record

from annbench import errors
from annbench.cli.main import main
from annbench.results.store import ResultStore

README = Path(__file__).parents[3] / "README.md"
PROMISED = {
    "EXIT_OK": 0,
    "EXIT_REGRESSION": 1,
    "EXIT_USAGE": 2,
    "EXIT_NOTHING_COMPARABLE": 3,
    "EXIT_RUNS_FAILED": 4,
    "EXIT_INTERNAL": 70,
    "EXIT_INTERRUPTED": 130,
}


def test_the_readme_lists_them_all() -> None:
    (line,) = re.findall(r"^Exit codes: (.*?)\n\n", README.read_text(encoding="utf-8"), re.M | re.S)
    assert [int(number) for number in re.findall(r"`(\d+)`", line)] == list(PROMISED.values())
    assert {name: getattr(errors, name) for name in vars(errors) if name.startswith("EXIT_")} == PROMISED


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["env"], 0),
        (["data", "list"], 0),
        ([], 2),
        (["data"], 2),
        (["run"], 2),
        (["no-such-command"], 2),
        (["data", "list", "--no-such-option"], 2),
        (["data", "list", "--color", "red"], 2),
        (["data", "add", "x", "--base", "x.npy", "--k", "many"], 2),
        (["plan", "no-such-config"], 2),
        (["data", "info", "no-such-set"], 2),
        (["data", "info", "no-such-file.hdf5"], 2),
        (["report", "no-such-folder"], 3),
        (["results", "export", "all.csv"], 3),
    ],
)
def test_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capsys.readouterr()
    assert ended.value.code == code, err
    assert "Traceback" not in err
    assert (out != "") == (code == 0), "errors go to stderr alone"


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_report_where_a_file_is_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ResultStore(tmp_path / "results").write(make_record(search={"ef": 40}), {})
    Path("file").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main(["report", "--out", out])
    assert ended.value.code == errors.EXIT_USAGE
    assert "file: is no folder; give another --out" in capsys.readouterr().err
    assert Path("file").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "goes_on"),
    [(["run", "x"], True), (["train", "--verbose", "bebr"], True), (["data", "add", "x"], True),
     (["upgrade"], False), (["data", "list"], False)],
)  # fmt: skip
def test_an_interrupted_command_promises_what_it_keeps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], goes_on: bool
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("annbench.cli.main.command_line", lambda: SimpleNamespace(make_context=interrupted))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == errors.EXIT_INTERRUPTED
    assert ("goes on from there" in capsys.readouterr().err) == goes_on


def test_a_regression_exits_1_and_none_exits_0(annbench, tmp_path: Path) -> None:
    for version, name, recall in (("1", "before", 0.95), ("2", "worse", 0.90), ("3", "same", 0.95)):
        record = make_record(search={"ef": 40}, recall=recall)
        key = record.key.model_copy(update={"library_versions": {"hnswlib": version}})
        ResultStore(tmp_path / name).write(record.model_copy(update={"key": key}), {})
    worse = annbench("compare", "before", "worse", "--fail-on", "recall=0.002")
    assert worse.returncode == 1, worse.stderr
    assert b"Traceback" not in worse.stderr
    assert annbench("compare", "before", "same", "--fail-on", "recall=0.002").returncode == 0


def test_runs_that_failed_exit_4(annbench, tmp_path: Path) -> None:
    (tmp_path / "dies.py").write_text(
        "import os\nfrom annbench.algorithms.base import Algorithm\n"
        "class Dies(Algorithm):\n    metrics = frozenset({'cosine'})\n"
        "    def build(self, base, metric, params, threads):\n        os.abort()\n"
    )
    (tmp_path / "a.yaml").write_text(
        "dataset: wordnet-minilm-384-angular\nmeasure: {modes: batch}\nalgorithms: [{algorithm: 'dies.py:Dies'}]\n"
    )
    done = annbench("run", "a.yaml", "--report", "page", "--quiet")
    assert done.returncode == 4, done.stderr
    assert b"SIGABRT" in done.stderr
    assert not (tmp_path / "page").exists(), "there is nothing to report"
    assert annbench("report").returncode == 3


def test_a_bug_of_ours_exits_70_and_asks_for_a_report(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom annbench.cli import main\n"
        "@main.app.command('broken')\ndef broken() -> None:\n    raise ZeroDivisionError('ours')\n"
        "main.main(['broken'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 70
    assert "ZeroDivisionError: ours" in done.stderr
    assert "annbench env" in done.stderr
