"""`annbench compare` and `annbench baseline` as they are typed: exit codes, streams, files."""

from __future__ import annotations

import json
from pathlib import Path

import compare_schema
import jsonschema
import numpy as np
import pytest
from synthetic_records import make_record

from annbench.cli.main import main
from annbench.results.store import ResultStore

POINTS = {10: (0.85, 4000.0), 20: (0.92, 2500.0), 40: (0.96, 1500.0)}


def store(folder: Path, *, loss: float = 0.0, growth: float = 1.0, machine: str = "a") -> Path:
    for ef, (recall, qps) in POINTS.items():
        record = make_record(
            search={"ef": ef}, recall=recall - loss, qps=qps, float32_ratio=0.5 * growth, machine=machine
        )
        ResultStore(folder).write(record, {"ids": np.zeros((1, 1), dtype=np.int64)})
    return folder


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    store(tmp_path / "base")
    store(tmp_path / "same", machine="b")
    store(tmp_path / "worse", loss=0.01, machine="b")
    store(tmp_path / "larger", growth=1.2, machine="b")
    (tmp_path / "empty").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["base", "same"], 0, "no regression"),
        (["base", "worse"], 1, "3 regressions"),
        (["worse", "base"], 0, "3 improvement"),
        (["base", "worse", "--fail-on", "recall=0.02,bytes=1%"], 0, "no regression"),
        (["base", "larger"], 1, "1 regression"),
        (["base", "larger", "--fail-on", "recall=0.002,bytes=25%"], 0, "no regression"),
        (["base", "same", "--fail-on", "qps=5%"], 3, "no cell that gates has an answer"),
        (["base", "empty"], 3, "no results in this folder; measure some: annbench run CONFIG --results empty"),
        (["base", "gone"], 2, "gone: no such folder of results or baseline file"),
        (["base", "base"], 2, "3 results are on both sides"),
        (["base", "same", "--fail-on", "recal=1"], 2, "did you mean recall"),
        (["base", "same", "--at-recall", "95"], 2, "no recall between 0 and 1"),
        (["base", "same", "--dataset", "glove"], 2, "unknown dataset"),
        (["base:hnswlb", "same"], 2, "did you mean hnswlib"),
        (["base", "same", "--json", "--markdown", "-"], 2, "both want stdout"),
        (["base", "same", "--markdown", "no/such/file.md"], 2, "cannot write"),
        (["base"], 2, "NEW"),
    ],
)
def test_exit_codes(run, folders, arguments, code, said) -> None:
    found, out, err = run("compare", *arguments)
    assert (found, said in out + err) == (code, True), out + err
    assert "Traceback" not in err
    assert bool(out) is (code in (0, 1) or "qps=5%" in arguments)


def test_json_is_valid_and_alone_on_stdout(run, folders) -> None:
    code, out, _ = run("compare", "base", "worse", "--json")
    document = json.loads(out)
    jsonschema.Draft202012Validator(json.loads(compare_schema.TARGET.read_text())).validate(document)
    assert (code, document["exit_code"], document["outcome"]) == (1, 1, "regression")


def test_markdown_goes_where_it_is_told(run, folders) -> None:
    code, out, _ = run("compare", "base", "worse", "--markdown", "-")
    assert (code, out.splitlines()[0]) == (1, "### annbench: 3 regressions")
    code, table, _ = run("compare", "base", "worse", "--markdown", "pr.md")
    assert code == 1
    assert (folders / "pr.md").read_text() == out
    assert "with the same parameters" in table


def test_damaged_results_are_noted_and_the_rest_is_compared(run, folders) -> None:
    victim = ResultStore(folders / "same").paths()[0]
    victim.write_bytes(victim.read_bytes()[:300])
    code, out, _ = run("compare", "base", "same", "--json")
    assert code == 0
    notes = json.loads(out)["notes"]
    assert any("passed over" in note and victim.name in note for note in notes)
    assert any("only in base" in note for note in notes)


def test_a_baseline_is_written_and_gates(run, folders) -> None:
    code, _, err = run("baseline", "kept.json", "--results", "base")
    assert (code, "3 points written to kept.json" in err) == (0, True)
    assert run("compare", "kept.json", "same")[0] == 0
    assert run("compare", "kept.json", "worse")[0] == 1
    assert run("compare", "kept.json:hnswlib", "worse")[0] == 1
    (folders / "kept.json").write_text("{}")
    code, _, err = run("compare", "kept.json", "same")
    assert (code, "is no baseline" in err) == (2, True)


def test_results_default_to_the_option(run, folders) -> None:
    assert run("compare", "base", ":hnswlib", "--results", "same")[0] == 0
