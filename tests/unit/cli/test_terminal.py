"""Colour, width, letters, pipes: the program adapts to what it talks to."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

ESCAPE = b"\x1b["


@pytest.mark.parametrize(
    ("arguments", "environment", "colored"),
    [
        ([], {}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "0"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (["--color", "always"], {}, True),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        (["--color", "auto"], {}, False),
    ],
)
def test_color_without_a_terminal(annbench, arguments: list[str], environment: dict[str, str], colored: bool) -> None:
    done = annbench("data", "list", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    assert (ESCAPE in done.stdout) is colored


def test_errors_are_colored_likewise(annbench) -> None:
    assert ESCAPE in annbench("rnu", "--color", "always", FORCE_COLOR="1").stderr
    assert ESCAPE not in annbench("rnu").stderr


@pytest.mark.parametrize(
    ("environment", "colored"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"TERM": ""}, False)],
)
def test_color_in_a_terminal(terminal, environment: dict[str, str], colored: bool) -> None:
    assert ("\x1b[1m" in terminal("data", "list", **environment)) is colored


@pytest.mark.parametrize("columns", [40, 80, 132])
def test_the_width_of_the_terminal_is_kept(terminal, columns: int) -> None:
    for arguments in (["data", "list"], ["data", "info", "sift-128-euclidean"], ["run", "--help"]):
        lines = terminal(*arguments, columns=columns, NO_COLOR="1").splitlines()
        assert max(map(len, lines)) <= columns
        assert len(lines) > 5
        assert "--help" in arguments or not any(line.endswith("…") for line in lines), "nothing is cut off"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_letters_that_the_encoding_lacks_are_spelt_otherwise(annbench, encoding: str) -> None:
    done = annbench("data", "list", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode(encoding)
    assert ("–" in text) is (encoding == "utf-8")
    places = {line.index("  euclidean  ") for line in text.splitlines() if "  euclidean  " in line}
    assert len(places) == 1, "still columns"
    error = annbench("run", "größer.yaml", PYTHONIOENCODING=encoding)
    assert error.returncode == 2
    assert b"Traceback" not in error.stderr


def test_a_plain_locale_is_enough(annbench) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = annbench("data", "list", **locale)
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert json.loads(annbench("data", "list", "--json", **locale).stdout)[0]["status"] == "bundled"


def test_bytes_that_are_no_text_come_back_as_they_were(annbench) -> None:
    done = annbench("run", os.fsdecode(b"caf\xe9.yaml"))
    assert done.returncode == 2
    assert b"caf\\udce9.yaml" in done.stderr or b"caf\xe9.yaml" in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["data", "list"], ["data", "list", "--json"]])
def test_a_reader_that_leaves_early_is_no_error(tmp_path, arguments: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "annbench.cli.main", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")


@pytest.mark.parametrize("arguments", [["--version"], ["data", "list"], ["data", "list", "--json"]])
def test_a_full_disk_is_told(arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "annbench.cli.main", *arguments], stdout=full, stderr=subprocess.PIPE, timeout=300
        )
    assert done.returncode == 2
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_closed_streams_are_no_error() -> None:
    program = f"exec {sys.executable} -m annbench.cli.main"
    assert subprocess.run(["sh", "-c", f"{program} --version >&-"], capture_output=True).returncode == 0
    assert subprocess.run(["sh", "-c", f"{program} rnu 2>&-"], capture_output=True).returncode == 2


def test_results_go_to_stdout_and_progress_to_stderr(annbench, tmp_path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    verbose = annbench("run", "a.yaml", "-v")
    assert verbose.returncode == 0, verbose.stderr
    assert "Which index to use" in verbose.stdout.decode()
    assert b"building bruteforce" in verbose.stderr
    assert b"building" not in verbose.stdout
    assert b"\r" not in verbose.stderr, "nothing moves where there is no terminal"
    assert b"a worker gets" in verbose.stderr
    assert b"[1/1] bruteforce (batch): recall 1.0000" in verbose.stderr
    quiet = annbench("-q", "run", "a.yaml")
    assert quiet.stderr == b""
    assert quiet.stdout == verbose.stdout


CONFIG = """\
dataset: wordnet-minilm-384-angular
measure: {modes: batch, passes: 2, queries: 50}
algorithms:
  - algorithm: bruteforce
"""


def test_progress_moves_in_a_terminal(terminal, tmp_path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    shown = terminal("run", "a.yaml", columns=60)
    assert "0/1" in shown
    assert "\x1b[2K" in shown, "drawn over itself"
    assert "1 points, 1 measured now, 0 failed" in shown
    still = terminal("run", "a.yaml", TERM="dumb")
    assert "\x1b" not in still
    assert "1 points, 0 measured now, 0 failed" in still


def test_quiet_and_verbose_stand_anywhere_but_not_together(annbench) -> None:
    for arguments in (["-q", "env", "-v"], ["-qv", "env"], ["-v", "data", "--quiet", "list"]):
        done = annbench(*arguments)
        assert done.returncode == 2
        assert b"contradict" in done.stderr
    assert annbench("-q", "data", "-q", "list", "-q").returncode == 0
