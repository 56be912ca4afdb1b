"""Hostile and mistaken configuration files: one ConfigError each, with file and line, at once."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.config.load import find_config, load_config
from annbench.errors import ConfigError, UnknownNameError

SMALL = "dataset: tiny\nk: 10\nalgorithms:\n  - algorithm: hnswlib\n    search: {ef: [10, 20]}\n"
MAX_SECONDS = 5.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trial.yaml"


def refused(path: Path, content: str | bytes) -> ConfigError:
    """The one error about a file, which names it, its line and what to do, and takes little time to find."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    started = time.process_time()  # others' work does not count
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert time.process_time() - started < MAX_SECONDS
    assert caught.value.where.startswith("trial.yaml:"), caught.value.where
    assert caught.value.remedy
    assert len(str(caught.value)) < 2000
    return caught.value


def bomb(levels: int) -> str:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    return "\n".join(rows + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)])


HOSTILE = {
    "python object": (SMALL.replace("k: 10", "k: !!python/object/apply:os.system ['true']"), 2, "is not allowed"),
    "python name": (SMALL.replace("k: 10", "k: !!python/name:os.system"), 2, "is not allowed"),
    "python key": (SMALL.replace("k: 10", "!!python/tuple [k]: 10"), 2, "plain word"),
    "set": (SMALL.replace("k: 10", "k: !!set {a, b}"), 2, "is not allowed"),
    "binary": (SMALL.replace("k: 10", "k: !!binary aGk="), 2, "is not allowed"),
    "merge key": (SMALL.replace("k: 10", "<<: {k: 10}"), 2, "is not allowed"),
    "duplicate key": (SMALL + "k: 12\n", 6, "'k' appears twice"),
    "duplicate deep key": (SMALL.replace("{ef: [10, 20]}", "{ef: 1, ef: 2}"), 5, "'ef' appears twice"),
    "unknown key": (SMALL + "datset: x\n", 6, "did you mean dataset"),
    "unknown deep key": (SMALL + "    buld: {}\n", 6, "did you mean build"),
    "alias bomb": (bomb(9), 5, "expand to too much"),
    "an alias of itself": ("a: &a [*a]\n", 1, "expand to too much"),
    "a list in itself": ("a: &a\n  - b\n  - *a\n", 1, "expand to too much"),
    "deep in brackets": ("k: 1\na: " + "[" * 100_000, 2, "nests deeper"),
    "deep in braces": ("k: 1\na: " + "{a: " * 100_000, 2, "nests deeper"),
    "deep in dashes": ("k: 1\na:\n" + "- " * 100_000, 3, "nests deeper"),
    "deep in keys": ("k: 1\n" + "? " * 100_000, 2, "nests deeper"),
    "many values": ("k: 1\na: [" + "1," * 200_000 + "]", 2, "more than 50,000 values"),
    "a megabyte": ("# " + "x" * (1 << 20) + "\n" + SMALL, 1, "1,048,576 bytes"),
    "a million digits": (SMALL.replace("10\n", "9" * 1_000_000 + "\n", 1), 2, "too long for a number"),
    "20 digits": (SMALL.replace("10\n", "9" * 20 + "\n", 1), 2, "10000"),
    "400 nines of memory": (SMALL + f"limits: {{memory: {'9' * 400}GiB}}\n", 6, "too much"),
    "10^30 bytes": (SMALL + f"limits: {{memory: {10**30}}}\n", 6, "less than"),
    "not a number": (SMALL.replace("k: 10", "k: .nan"), 2, "finite"),
    "1e999": (SMALL.replace("k: 10", "k: 1.0e+999"), 2, "finite"),
    "no digits": (SMALL.replace("k: 10", "k: 0b_"), 2, "not a number"),
    "a tagged word": (SMALL.replace("k: 10", "k: !!int ten"), 2, "not a number"),
    "a tagged truth": (SMALL.replace("k: 10", "k: !!bool perhaps"), 2, "is not allowed"),
    "latin-1": (SMALL.encode() + "title: größer\n".encode("latin-1"), 6, "not UTF-8"),
    "utf-16": (SMALL.encode("utf-16"), 1, "not UTF-8"),
    "a NUL": (SMALL + "title: a\0b\n", 6, "U+0000"),
    "an escape": (SMALL + "title: \x1b[31mred\n", 6, "U+001B"),
    "a tab": (SMALL + "measure:\n\tpasses: 3\n", 7, "cannot start any token"),
    "two documents": (SMALL + "---\n" + SMALL, 6, "another document"),
    "an open bracket": (SMALL + "title: [a\n", 7, "not YAML"),
    "a number as key": (SMALL + "7: x\n", 6, "plain word"),
    "nothing": ("", 1, "mapping"),
    "a word": ("hello", 1, "mapping"),
    "a list": ("- hello", 1, "mapping"),
    "10^12 points": (SMALL + f"    build: {{a: &a {[*range(1000)]}, b: *a, c: *a, d: *a}}\n", 4, "000,000,000 points"),
}  # fmt: skip


@pytest.mark.fault(11)
@pytest.mark.parametrize("kind", HOSTILE)
def test_refused_with_the_line(path: Path, kind: str) -> None:
    content, line, said = HOSTILE[kind]
    error = refused(path, content)
    assert said in str(error)
    assert error.where == f"trial.yaml:{line}"


def test_the_small_config_itself_is_accepted(path: Path) -> None:
    path.write_text("\ufeff" + SMALL, encoding="utf-8")
    assert load_config(path).config.k == 10


@pytest.mark.fault(11)
def test_what_is_no_file_is_no_config(tmp_path: Path) -> None:
    for name in ("x" * 10_000, "a\0b", str(tmp_path), "/dev/zero", ""):
        with pytest.raises(UnknownNameError):
            find_config(name)


@pytest.mark.fault(11)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_config_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "trial.yaml"
    refused(path, content)


# Pieces of YAML and of our own words: far more of what they make parses than of random letters.
PIECES = [
    *("dataset", "algorithms", "algorithm", "build", "search", "measure", "limits", "memory", "modes", "k", "8GiB"),
    *(
        ": ",
        ":\n",
        "\n",
        "\n  ",
        "\n  - ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&a ",
        "*a",
        "!!int ",
        "!!float ",
        "!!null ",
    ),
    *(
        "!!python/object:x ",
        "? ",
        "| ",
        ">\n ",
        "'",
        '"',
        "#",
        "%YAML 1.1\n---\n",
        "---\n",
        "...",
        "\t",
        "1",
        "-1",
        "0x_",
    ),
    *("0b", "1e400", ".inf", "1:60:60", "2001-01-01", "yes", "null", "~", "<<", "=", "\\ud800", "\u2028", "é", "\x85"),
]


def refusal_of(path: Path) -> ConfigError | None:
    try:
        load_config(path)
    except ConfigError as error:
        return error
    return None


@pytest.mark.fault(11)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_anything_made_of_yaml_is_a_config_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "trial.yaml"
    path.write_bytes(text.encode())
    error = refusal_of(path)
    assert error is None or error.where.startswith("trial.yaml:")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["k", "title", "dataset", "query_set", "task", "measure", "limits", "algorithms"]


@pytest.mark.fault(11)
@given(st.sampled_from(FIELDS), VALUES)
def test_any_value_in_any_place_is_a_config_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: object
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "trial.yaml"
    path.write_text(json.dumps({"dataset": "tiny", "algorithms": [{"algorithm": "hnswlib"}], field: value}))
    error = refusal_of(path)
    assert error is None or error.where.startswith("trial.yaml:")
    assert error is None or error.remedy
