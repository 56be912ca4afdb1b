"""Imports point one way, the parent stays clean, and the house rules that a machine can see hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import annbench

PACKAGE = Path(annbench.__file__).parent

# A part may import itself and those before it; parts in one row do not know each other.
LAYERS = (
    ("errors", "_native"),
    ("bundled", "isa", "processes", "processor"),
    ("distances",),
    ("datasets", "config"),
    ("metrics", "indexes"),
    ("algorithms", "train", "upgrade"),
    ("tasks",),
    ("results",),
    ("runner", "compare"),
    ("report", "testing"),
    ("doctor",),
    ("cli",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "annbench":
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("annbench"))


def part_of(dotted: str) -> str | None:
    pieces = dotted.split(".")
    return pieces[1] if len(pieces) > 1 and pieces[1] in RANK else None


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.stem in RANK)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in RANK, f"{own} has no place in LAYERS"
    for dotted in imports_of(path):
        other = part_of(dotted)
        if other is not None and other != own:
            assert RANK[other] < RANK[own], f"{path.name}: {own} may not import {dotted}"


def test_only_timing_reads_the_precise_clock() -> None:
    users = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if "perf_counter" in path.read_text()]
    assert users == ["runner/timing.py"]


def test_nothing_unsafe_is_used() -> None:
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        for word in ("import pickle", "yaml.load(", "allow_pickle=True", "-march=native"):
            assert word not in text, f"{path.name} uses {word}"
        # `literal_eval(` reads constants and nothing else.
        assert not re.search(r"(?<!\w)(eval|exec)\(", text), f"{path.name} runs code"


def test_the_parent_never_loads_a_library_that_is_measured() -> None:
    code = (
        "import sys, annbench.cli.main, annbench.runner.execute, annbench.report\n"
        "import annbench.cli.plan_view, annbench.cli.progress\n"
        "print(sorted({'faiss', 'hnswlib', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
