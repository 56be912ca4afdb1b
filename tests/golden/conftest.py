"""Golden texts: what the command line prints, kept beside the tests. Renew them with: pytest tests/golden --renew."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_records import METHODS, example_dataset, make_records

from annbench import __version__
from annbench.cli import main as cli
from annbench.results.store import ResultStore

TEXTS = Path(__file__).parent
WIDTHS = (80, 120)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew", action="store_true", help="Write the golden texts anew instead of comparing them.")


@pytest.fixture(scope="session")
def fixed_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder that is the same everywhere: records of a run that never took place."""
    folder = tmp_path_factory.mktemp("golden") / "results"
    store = ResultStore(folder)
    for record in make_records(methods=METHODS[:3], seed=3):
        store.write(record, {})
    assert example_dataset().name == record.dataset.name
    return folder


@pytest.fixture
def printed(
    tmp_path: Path, fixed_results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a command line in a folder with `results/` and an empty `data/`; returns what a user sees of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    os.symlink(fixed_results, tmp_path / "results")
    for name in ("NO_COLOR", "FORCE_COLOR", "ANNBENCH_RESULTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANNBENCH_DATA_DIR", "data")
    monkeypatch.setenv("TERM", "xterm")

    def run(*arguments: str, columns: int = 80) -> str:
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capsys.readouterr()
        parts = [f"$ annbench {' '.join(arguments)}", out]
        if err:
            parts += ["--- stderr", err]
        parts.append(f"--- exit {ended.value.code}")
        return normal("\n".join(part.rstrip("\n") for part in parts if part), tmp_path)

    return run


def normal(text: str, folder: Path) -> str:
    """Without what differs from machine to machine, and without blanks that nobody sees."""
    text = text.replace(str(folder), "FOLDER").replace(f"annbench {__version__}", "annbench VERSION")
    return re.sub(r"[ \t]+$", "", text, flags=re.M)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the golden one of this name, or writes it with --renew."""

    def check(name: str, text: str) -> None:
        path = TEXTS / f"{name}.txt"
        assert "Traceback" not in text, text
        if request.config.getoption("--renew", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        kept = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = difflib.unified_diff(kept.splitlines(), text.splitlines(), str(path.name), "now", lineterm="")
        difference = "\n".join(lines)
        assert not difference, f"{difference}\nif this is meant: pytest tests/golden --renew"

    return check
