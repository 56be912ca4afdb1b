"""A small real dataset and a way to run configs over it, in the real processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from annbench.config.load import load_config
from annbench.datasets.library import find_dataset
from annbench.results.schema import Record
from annbench.results.store import ResultStore
from annbench.runner.execute import Execution, Observer, Outcome
from annbench.runner.plan import Plan, make_plan

N, DIM, QUERIES = 400, 12, 25
MISBEHAVING = Path(__file__).with_name("misbehaving.py")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 × 12 euclidean with 25 queries, ann-benchmarks layout."""
    rng = np.random.default_rng(7)
    base = rng.standard_normal((N, DIM), dtype=np.float32)
    queries = rng.standard_normal((QUERIES, DIM), dtype=np.float32)
    distances = np.linalg.norm(base[None].astype(np.float64) - queries[:, None], axis=2)
    order = np.argsort(distances, axis=1, kind="stable")[:, :20]
    path = tmp_path_factory.mktemp("data") / "tiny.hdf5"
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"] = base, queries
        file["neighbors"] = order.astype(np.int32)
        file["distances"] = np.take_along_axis(distances, order, axis=1).astype(np.float32)
    return path


class Bench:
    """Runs configs over the tiny dataset, into one results folder."""

    def __init__(self, folder: Path, dataset: Path) -> None:
        self.folder, self.dataset = folder, dataset
        self.store = ResultStore(folder / "results")

    def config(self, algorithms: str, measure: str = "", extra: str = "") -> Path:
        path = self.folder / "trial.yaml"
        path.write_text(
            f"dataset: {self.dataset}\nk: 5\nmeasure: {{passes: 2, build_threads: 1, {measure or 'modes: batch'}}}\n"
            f"{extra}\nalgorithms:\n{algorithms}"
        )
        return path

    def plan(self, config: Path) -> Plan:
        return make_plan(load_config(config), lambda name: find_dataset(name, self.folder / "data"))

    def run(self, config: Path, observer: Observer | None = None, **options: bool) -> Outcome:
        with self.store.measuring() as scratch:
            return Execution(self.plan(config), self.store, scratch, observer or Observer(), **options).run()

    def records(self) -> dict[str, Record]:
        return {record.label: record for record in self.store.records()}


@pytest.fixture
def bench(tmp_path: Path, tiny: Path) -> Bench:
    return Bench(tmp_path, tiny)


@pytest.fixture
def misbehaving() -> Callable[[str], str]:
    """An entry of a config for one class of misbehaving.py."""

    def entry(name: str, search: str = "{}", build: str = "{}") -> str:
        return f"  - algorithm: {MISBEHAVING}:{name}\n    build: {build}\n    search: {search}\n"

    return entry
