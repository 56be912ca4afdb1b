"""Gives a plain script its turn among annbench's own points, so that the two are measured alternately.

`load` starts the script as a process on the worker's core, where it loads its own index; `configure` gives it a turn.
It measures itself, knows nothing of annbench, and its figures come back as counters. The times that annbench takes of
this adapter mean nothing.

Both sides load once and are asked for long, because age matters: on a virtual machine an index in memory for a minute
took longer than one loaded a moment ago, whoever had loaded it (docs/benchmarks.md).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from annbench.algorithms.base import Algorithm, Ids, Params, Vectors
from annbench.datasets.info import Metric


class TurnBuild(Params):
    """Absolute paths of the script and of the dataset it reads by itself."""

    script: str
    dataset: str


class TurnSearch(Params):
    """The script's one search parameter."""

    value: int


class PlainTurn(Algorithm):
    """A script with `build DATASET INDEX` and `search DATASET INDEX VALUE IDS`."""

    BuildParams = TurnBuild
    SearchParams = TurnSearch
    metrics = frozenset({"euclidean", "cosine"})

    def build(self, base: Vectors, metric: Metric, params: TurnBuild, threads: int) -> None:
        """Let the script build from the file; `base` is not passed on."""
        with tempfile.NamedTemporaryFile(delete=False) as file:
            self._built = Path(file.name)
        subprocess.run([sys.executable, params.script, "build", params.dataset, str(self._built)], check=True)

    def save(self, folder: Path) -> None:
        """Move the script's index to where the search will find it."""
        shutil.move(self._built, folder / "index")

    def load(self, folder: Path, metric: Metric, dim: int, params: TurnBuild) -> None:
        """Start the script, which loads its index; it ends when this process does."""
        self._folder = folder
        command = [sys.executable, params.script, "search", params.dataset, str(folder / "index")]
        self._script = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def configure(self, params: TurnSearch, threads: int) -> None:
        """The turn itself, outside everything that annbench times."""
        assert self._script.stdin is not None
        assert self._script.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "ids.npy"
            self._script.stdin.write(f"{params.value} {file}\n")
            self._script.stdin.flush()
            figures = json.loads(self._script.stdout.readline())
            self._ids: Ids = np.load(file, allow_pickle=False)
        self._figures = {name: int(value) for name, value in figures.items()}

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """What the script found."""
        return self._ids

    def counters(self) -> Mapping[str, int]:
        """What the script measured."""
        return self._figures
