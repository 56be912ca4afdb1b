"""What the command line prints, word by word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from annbench.cli.main import command_line
from annbench.cli.shared import walk

TEXTS = Path(__file__).parent
WIDTHS = (80, 120)
Printed = Callable[..., str]
Golden = Callable[[str, str], None]

COMMANDS = [path for path, _ in walk(command_line())]

CONFIG = """\
dataset: wordnet-minilm-384-angular
measure: {modes: [single, batch], build_threads: 1}
algorithms:
  - algorithm: hnswlib
    build: {M: [8, 16], ef_construction: 200}
    search: {ef: [10, 20, 40]}
    constraints: ["ef >= k", "not (M == 8 and ef == 40)"]
  - algorithm: bruteforce
"""

OUTPUTS = {
    "data-list": ["data", "list"],
    "data-info": ["data", "info", "sift-128-euclidean"],
    "plan": ["plan", "mine.yaml"],
    "plan-verbose": ["plan", "mine.yaml", "--verbose"],
    "results-ls": ["results", "ls"],
    "report": ["report", "--format", "md", "--out", "page"],
    "budget": ["budget", "--out", "page"],
}
NARROW = ("data-list", "plan", "results-ls", "report", "budget")

ERRORS = {
    "command": ["rnu"],
    "command of another group": ["export"],
    "command below a group": ["data", "ifno"],
    "option": ["run", "mine.yaml", "--quite"],
    "option of the program": ["--vresion"],
    "argument missing": ["run"],
    "argument too many": ["plan", "mine.yaml", "more"],
    "quiet and verbose": ["plan", "mine.yaml", "-q", "-v"],
    "config name": ["plan", "quikstart"],
    "config key": ["plan", "misspelt.yaml"],
    "config value": ["plan", "impossible.yaml"],
    "algorithm": ["plan", "unknown.yaml"],
    "algorithm chosen": ["plan", "mine.yaml", "--only", "hnswlb"],
    "dataset": ["data", "info", "glove-100-angulr"],
    "dataset path": ["data", "info", "missing.hdf5"],
    "dataset name": ["data", "info", "../../x"],
    "no results": ["report", "nothing-here"],
    "export ending": ["results", "export", "all.doc"],
}


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(CONFIG)
    (tmp_path / "misspelt.yaml").write_text(CONFIG.replace("search:", "serach:"))
    (tmp_path / "impossible.yaml").write_text(CONFIG.replace("build_threads: 1", "passes: 0"))
    (tmp_path / "unknown.yaml").write_text(CONFIG.replace("algorithm: bruteforce", "algorithm: brutforce"))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: "-".join(("annbench", *path)))
def test_help(path: tuple[str, ...], printed: Printed, golden: Golden) -> None:
    """Every command there is, however it was registered."""
    texts = [f"== {width} columns\n{printed(*path, '--help', columns=width)}" for width in WIDTHS]
    golden("/".join(("help", "-".join(("annbench", *path)))), "\n\n".join(texts))


def test_no_help_of_a_command_that_is_gone() -> None:
    kept = {path.stem for path in (TEXTS / "help").glob("*.txt")}
    assert kept == {"-".join(("annbench", *path)) for path in COMMANDS}


@pytest.mark.parametrize("name", OUTPUTS)
def test_output(name: str, printed: Printed, golden: Golden, tmp_path: Path) -> None:
    arguments = OUTPUTS[name]
    if name.startswith("plan"):
        arguments = [*arguments, "--results", "none-yet"]
    widths = (*WIDTHS, 40) if name in NARROW else WIDTHS[:1]
    texts = []
    for width in widths:
        text = printed(*arguments, columns=width)
        if name == "plan-verbose":  # the first lines are about this machine
            text = "\n".join(line for line in text.splitlines() if not line.startswith(("cores ", "a worker gets ")))
        assert max(map(len, text.partition("\n")[2].splitlines())) <= width or name == "plan-verbose"
        texts.append(f"== {width} columns\n{shortened(text)}")
    golden(f"output/{name}", "\n\n".join(texts))


def shortened(text: str) -> str:
    """The beginning and the end: what a text looks like does not need every dataset of the catalogue."""
    lines = text.splitlines()
    return text if len(lines) <= 60 else "\n".join([*lines[:16], "…", *lines[-4:]])


def test_errors(printed: Printed, golden: Golden) -> None:
    golden("errors", "\n\n".join(f"== {name}\n{printed(*arguments)}" for name, arguments in ERRORS.items()))


def test_nothing_in_the_texts_is_of_one_machine() -> None:
    for path in TEXTS.rglob("*.txt"):
        text = path.read_text(encoding="utf-8")
        for word in ("/tmp", "/home", "/root", "\x1b", "Traceback", str(Path.cwd())):
            assert word not in text, f"{path.name} has {word!r}"
