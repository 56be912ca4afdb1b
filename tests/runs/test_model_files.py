"""Points whose transform is read from a file: found from where annbench is called, told apart by what is in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from annbench.indexes.transforms.bebr import DEFAULT_MODEL
from annbench.indexes.transforms.binarizer import Binarizer, Perceptron
from annbench.indexes.transforms.model_file import checksum_of, write_binarizer

DIM_IN, DIM = 12, 16  # the tiny set has 12 dimensions
PRESET = "  - {algorithm: composed, build: {preset: bebr}}\n"
SPELLED = "  - {algorithm: composed, build: {preset: bebr, transform: {kind: bebr, model: %s}}}\n"


def written(path: Path, seed: int = 1) -> Path:
    random = np.random.default_rng(seed)
    linear = random.standard_normal((DIM, DIM_IN)).astype(np.float32)
    made = Binarizer(Perceptron(linear, np.zeros(DIM, np.float32), ()), (), (), mean=np.zeros(DIM_IN, np.float32))
    path.parent.mkdir(exist_ok=True)
    write_binarizer(path, made, {})
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where annbench is called: not the config's folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("entry", [PRESET, SPELLED % DEFAULT_MODEL])
def test_a_model_is_found_from_where_annbench_is_called(entry: str, bench, here: Path) -> None:
    path = written(here / DEFAULT_MODEL)
    bench.run(bench.config(entry))
    (record,) = bench.store.records()
    assert record.status == "ok", record.status_detail
    assert record.key.build["transform"] == {"kind": "bebr", "model": DEFAULT_MODEL, "checksum": checksum_of(path)}
    assert str(path) in record.config_yaml  # which is to be run from any folder


def test_what_is_in_a_file_is_the_point_and_not_where_it_lies(bench, here: Path, tmp_path: Path) -> None:
    def digest(entry: str) -> str:
        (point,) = bench.plan(bench.config(entry)).points
        return point.key.digest

    assert digest(PRESET)  # without a file as well: building it tells what is missing
    written(here / DEFAULT_MODEL)
    bench.run(bench.config(PRESET))
    (record,) = bench.store.records()
    (tmp_path / "again.yaml").write_text(record.config_yaml)
    again = bench.plan(tmp_path / "again.yaml").points
    moved = shutil.copyfile(here / DEFAULT_MODEL, tmp_path / DEFAULT_MODEL)
    same = [digest(PRESET), digest(SPELLED % DEFAULT_MODEL), digest(SPELLED % moved), again[0].key.digest]
    assert same == [record.key.digest] * 4
    written(here / DEFAULT_MODEL, seed=2)
    assert digest(PRESET) != record.key.digest


def test_an_index_is_the_same_wherever_its_model_lay(bench, here: Path, tmp_path: Path) -> None:
    sums = []
    for path in (written(here / DEFAULT_MODEL), written(tmp_path / "elsewhere" / DEFAULT_MODEL)):
        bench.run(bench.config(SPELLED % path), fresh=True)
        (record,) = bench.store.records()
        assert record.build is not None
        sums.append(record.build.index_crc32c)
    assert sums[0] == sums[1]
