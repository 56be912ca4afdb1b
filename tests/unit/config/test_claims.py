"""Configs that carry a published claim: the model, and those that ship with annbench."""

from __future__ import annotations

from pathlib import Path

import pytest

from annbench.bundled import bundled
from annbench.config.load import find_config, load_config
from annbench.errors import ConfigError, UnknownNameError

CLAIMS = sorted((bundled("configs") / "claims").glob("*.yaml"))
TEXT = """\
claim:
  paper: A paper
  says: something
  source: abstract
  figures:
    - {{what: recall, claimed: "0.9", measure: {measure}{rest}}}
dataset: x
algorithms:
  - {{algorithm: hnswlib, label: mine}}
"""


def written(folder: Path, **parts: str) -> Path:
    path = folder / "claim.yaml"
    path.write_text(TEXT.format(**parts))
    return path


def test_a_figure_is_of_an_entry_or_of_nothing(tmp_path: Path) -> None:
    claim = load_config(written(tmp_path, measure="recall", rest=", of: mine")).config.claim
    assert claim is not None
    assert claim.figures[0].of == "mine"
    load_config(written(tmp_path, measure="nothing", rest=""))


@pytest.mark.parametrize(
    ("measure", "rest", "words"),
    [
        ("recall", ", of: yours", "'yours', which no entry has as label"),
        ("recall", ", of: mine, against: yours", "'yours', which no entry has as label"),
        ("recall", "", "needs `of: LABEL`"),
        ("nothing", ", of: mine", "one of nothing has none"),
    ],
)
def test_a_figure_of_something_else_is_refused(tmp_path: Path, measure: str, rest: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"claim\.yaml:") as refused:
        load_config(written(tmp_path, measure=measure, rest=rest))
    assert words in str(refused.value)


def test_a_misspelt_key_names_the_closest(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"claim\.yaml:6.*did you mean against"):
        load_config(written(tmp_path, measure="recall", rest=", of: mine, againts: mine"))


@pytest.mark.parametrize("path", CLAIMS, ids=lambda path: path.stem)
def test_the_claims_that_ship(path: Path) -> None:
    """Each can be run by its name; its labels are its own, since records are found by them, and all are looked at."""
    assert find_config(path.stem) == path
    config = load_config(path).config
    assert config.claim is not None
    assert config.dataset == ("wordnet-minilm-384-angular",)
    labels = [entry.label or "" for entry in config.algorithms]
    stem = path.stem.partition("_")[0]
    assert all(label.startswith(stem) for label in labels)
    used = {label for figure in config.claim.figures for label in (figure.of, figure.against)}
    assert set(labels) - used <= {f"{stem}-float32"}


def test_there_is_one_for_every_paper() -> None:
    names = {"bebr", "lvq", "leanvec", "rabitq", "bbq", "adanns", "pca_rag", "squash"}
    assert {path.stem for path in CLAIMS} >= names
