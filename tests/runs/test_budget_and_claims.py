"""From a config to the memory budget and to a claim beside its measurement: real processes, the bundled vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from annbench.cli.main import main

CONFIG = """\
title: SQ, claimed and measured
claim:
  paper: A paper
  says: 8 bits lose next to nothing
  source: recalled
  figures:
    - {what: recall, claimed: nearly 1, measure: recall, of: sq8}
    - {what: recall, claimed: less, measure: recall, of: sq8, against: pca}
    - {what: bytes, claimed: "384", measure: bytes, of: sq8}
dataset: wordnet-minilm-384-angular
measure: {modes: batch, passes: 1, warmup: 0, queries: 100}
algorithms:
  - {algorithm: faiss-factory, label: sq8, build: {factory: SQ8}}
  - {algorithm: faiss-factory, label: pca, build: {factory: "PCAR{dim/4},SQ8"}}
  - algorithm: faiss-factory
    label: pca
    build: {factory: "PCAR{dim/4},SQ8,RFlat"}
    search: {parameters: "k_factor_rf=10"}
"""


def test_the_protocol_over_the_bundled_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(CONFIG)
    for arguments in (["run", "mine.yaml", "-q"], ["budget", "--json"], ["report", "--json", "--format", "md"]):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 0
        printed = capfd.readouterr().out
        if arguments[0] == "run":
            assert "Claimed and measured: A paper" in printed
        elif arguments[0] == "budget":
            check_budget(json.loads(printed)["tables"])
        else:
            check_claim(json.loads(printed)["claims"])


def check_budget(tables: list[dict[str, object]]) -> None:
    (table,) = tables
    budgets = {(row["tables_shared_by"], row["budget"]): row["methods"] for row in table["budgets"]}  # type: ignore[attr-defined]
    # 8 bits of all dimensions fit in a quarter, of a quarter of them in a sixteenth.
    quarter, sixteenth = budgets[10_000, "1/4"]["sq8"], budgets[1_000_000, "1/16"]["pca"]
    assert quarter["point"]["recall"] > 0.97
    assert quarter["bytes_measured"] == pytest.approx(384 + 3141 / 10_000, abs=0.1)
    assert quarter["reranked"] is None
    # PCA's tables, 0.7 MB, are 72 bytes a vector here: too much for a sixteenth, but not over a million vectors.
    assert budgets[10_000, "1/16"] == {"sq8": None, "pca": None}
    assert sixteenth["bytes_million"] == pytest.approx(96 + 0.7, abs=0.3)
    assert sixteenth["reranked"]["cold_bytes"] == pytest.approx(4 * 384, abs=1)
    assert sixteenth["point"]["recall"] < 0.95 < sixteenth["reranked"]["point"]["recall"]
    assert budgets[1_000_000, "1/32"] == {"sq8": None, "pca": None}


def check_claim(claims: list[dict[str, object]]) -> None:
    (claim,) = claims
    recall, change, size = (figure["measured"] for figure in claim["figures"])  # type: ignore[attr-defined]
    assert recall.startswith("0.9")
    assert change.startswith(f"{recall} against ")
    assert size == "384 bytes/vector"
