"""Finding an algorithm by name or file, and what is said when that fails."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from annbench.algorithms import registry
from annbench.algorithms.base import Algorithm
from annbench.errors import ConfigError, MissingLibraryError, UnknownNameError

MINE = """
from __future__ import annotations
from typing import Literal
from annbench.algorithms.base import Algorithm, Params

class Tuned(Params):
    speed: Literal["low", "high"] = "low"

class Mine(Algorithm):
    BuildParams = Tuned
    metrics = frozenset({"euclidean"})

class Metricless(Algorithm):
    pass
"""


@pytest.mark.parametrize("name", sorted(registry.ALGORITHMS))
def test_every_registered_name_loads_with_its_versions(name: str) -> None:
    try:
        loaded = registry.load_algorithm(name, Path())
    except MissingLibraryError as error:
        assert name not in {"bruteforce", "hnswlib", "null"}
        assert not name.startswith("faiss")
        pytest.skip(str(error))
    assert issubclass(loaded.cls, Algorithm)
    assert loaded.name == name
    assert loaded.source_sha256 is None
    assert loaded.library_versions == {d: metadata.version(d) for d in loaded.cls.distributions}
    assert loaded.cls.seed_parameter is None or loaded.cls.seed_parameter in loaded.cls.BuildParams.model_fields


def test_loading_an_adapter_does_not_import_its_library() -> None:
    code = (
        "import importlib, sys; from annbench.algorithms import registry\n"
        "[importlib.import_module(target.partition(':')[0]) for target in registry.ALGORITHMS.values()]\n"
        "print(sorted({'faiss', 'glass', 'hnswlib', 'rabitqlib', 'scann', 'svs'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_lists_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean hnswlib") as error:
        registry.load_algorithm("hnswlb", Path())
    assert "path/file.py:Class" in str(error.value)


def test_a_file_is_found_beside_the_config(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    path = tmp_path / "own" / "mine.py"
    path.write_text(MINE)
    loaded = registry.load_algorithm("own/mine.py:Mine", tmp_path)
    assert loaded.name == "Mine"
    assert loaded.source_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.cls.BuildParams(speed="high").model_dump() == {"speed": "high"}  # annotations resolve
    path.write_text(MINE.replace('"low"\n', '"high"\n'))
    changed = registry.load_algorithm("own/mine.py:Mine", tmp_path)
    assert changed.source_sha256 != loaded.source_sha256
    assert changed.cls.BuildParams().model_dump() == {"speed": "high"}


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        (MINE, "other.py:Mine", "cannot read the algorithm's file"),
        (MINE, "mine.py:Mien", "did you mean Mine"),
        (MINE, "mine.py:Literal", "is not an Algorithm"),
        (MINE, "mine.py:Metricless", "names no metrics"),
        (MINE, "./mine.txt:Mine", "is not understood"),
        (MINE, "mine.py:", "is not understood"),
        ("x = 1\ndef broken(:\n", "mine.py:Mine", r"mine.py:2: SyntaxError"),
        ("x = 1\ny = 1 / 0\n", "mine.py:Mine", r"mine.py:2: ZeroDivisionError"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, spec: str, message: str) -> None:
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError, match=message):
        registry.load_algorithm(spec, tmp_path)


def test_a_file_that_needs_an_absent_module_names_the_command(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import annbench_absent_module\n")
    with pytest.raises(MissingLibraryError, match="pip install annbench_absent_module"):
        registry.load_algorithm("mine.py:Mine", tmp_path)


def test_an_absent_distribution_names_the_command(tmp_path: Path) -> None:
    text = MINE.replace('"euclidean"})', '"euclidean"})\n    distributions = ("annbench-absent",)')
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(MissingLibraryError, match="pip install annbench-absent"):
        registry.load_algorithm("mine.py:Mine", tmp_path)


def test_an_entry_point_is_an_algorithm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package as another project would install it: a module and its metadata on the path."""
    (tmp_path / "their_index.py").write_text(MINE)
    info = tmp_path / "their_index-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-index\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[annbench.algorithms]\ntheirs = their_index:Mine\nnull = their_index:Mine\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "theirs" in registry.names()
    assert registry.load_algorithm("theirs", Path()).cls.__module__ == "their_index"
    assert registry.load_algorithm("null", Path()).cls.__module__ == "annbench.algorithms.null"
