"""From dataset files to a report, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from annbench.cli.main import _run as command
from annbench.datasets.library import find_dataset
from annbench.errors import DatasetError, ModelFileError, UnknownNameError, UsageError
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.indexes.transforms.model_file import write_arrays, write_binarizer
from annbench.report.upgrade import upgrade_markdown
from annbench.tasks.upgrade import UpgradeRequest, check_request, measure_upgrade
from annbench.train.start import linear_start
from annbench.upgrade.ways import COMPATIBLE, WAYS

N, Q, LEARN = 300, 30, 100
RANDOM = np.random.default_rng(5)
THINGS = RANDOM.standard_normal((N + Q + LEARN, 20))
THINGS[N : N + Q] = THINGS[:Q] + 0.4 * RANDOM.standard_normal((Q, 20))


def embedded(dim: int, noise: float) -> np.ndarray:
    seen = THINGS @ np.linalg.qr(RANDOM.standard_normal((20, dim)))[0]
    return unit_rows((seen + noise * RANDOM.standard_normal(seen.shape)).astype(np.float32))


def write(path: Path, rows: np.ndarray, *, relevant: bool = True, distance: str = "angular") -> None:
    base, queries = rows[: -Q - LEARN], rows[-Q - LEARN : -LEARN]
    similar = queries.astype(np.float64) @ base.T.astype(np.float64)
    ids = np.argsort(-similar, axis=1, kind="stable")[:, :10]
    distances = 1 - np.take_along_axis(similar, ids, axis=1)
    with h5py.File(path, "w") as file:
        file.attrs.update({"distance": distance, "model": f"made-up {path.stem}"})
        file["train"], file["test"], file["learn"] = base, queries, rows[-LEARN:]
        file["neighbors"] = ids.astype(np.int32)
        file["distances"] = (distances if distance == "angular" else np.sqrt(2 * distances)).astype(np.float32)
        if relevant:
            file["relevant"] = np.arange(Q, dtype=np.int32)


OLD, NEW = embedded(8, 0.3), embedded(14, 0.05)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "old.hdf5", OLD)
    write(tmp_path / "new.hdf5", NEW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNBENCH_DATA_DIR", str(tmp_path / "data"))
    return tmp_path


def request(files: Path, *names: str, **changed: object) -> UpgradeRequest:
    models = tuple(find_dataset(str(files / f"{name}.hdf5"), files / "data") for name in names or ("old", "new"))
    return UpgradeRequest.model_validate({"models": models, "anchors": 40, "codes": ("float32",), **changed})


def test_a_report_is_written(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["upgrade", "--old", "old.hdf5", "--new", "new.hdf5", "--codes", "uniform-4", "--threads", "1"]
    assert command([*arguments, "--json", "--out", "page"]) == 0
    found = json.loads(capsys.readouterr().out)
    paths = [Path(path) for path in found.pop("paths")]
    assert [path.name for path in paths] == ["upgrade.md", "upgrade.json", "upgrade-ways.png", "upgrade-backfill.png"]
    assert json.loads(paths[1].read_text()) == found
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths[2:])
    text = paths[0].read_text()
    for way in WAYS:
        assert way in text
    family = found["upgrades"][0]["families"][0]
    assert f"{int(family['new_alone']['hit_at_10'] * 1e4 + 1e-6) / 1e4:.4f}" in text
    assert found["models"][1]["about"] == "made-up new"
    assert command([*arguments, "--out", "page"]) == 0
    assert "procrustes" in capsys.readouterr().out
    assert command([*arguments, "--out", "old.hdf5"]) == 2
    assert "old.hdf5: is no folder; give another --out" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_report(files: Path) -> None:
    assert measure_upgrade(request(files)) == measure_upgrade(request(files))


def test_a_share_of_the_queries_and_no_known_items(files: Path) -> None:
    write(files / "old.hdf5", OLD, relevant=False)
    write(files / "new.hdf5", NEW, relevant=False)
    report = measure_upgrade(request(files, count=20))
    assert (report.queries, report.measure) == (20, "recall@10")
    assert "hit@10:" not in upgrade_markdown(report, [])


def test_codes_of_binarizers(files: Path) -> None:
    for name, rows in (("old", OLD), ("new", NEW)):
        write_binarizer(files / f"{name}.safetensors", linear_start(rows[:N], 16, 1, seed=0), {})
    paths = {f"{name}_binarizer": files / f"{name}.safetensors" for name in ("old", "new")}
    report = measure_upgrade(request(files, **paths))
    families = {family.codes: family for family in report.upgrades[0].families}
    assert list(families) == ["float32", "bebr"]
    assert families["bebr"].outcomes[0].way == COMPATIBLE
    write_binarizer(files / "new.safetensors", linear_start(NEW[:N], 24, 1, seed=0), {})
    with pytest.raises(UsageError, match="codes of 16 dimensions and 1 steps, and of 24 and 1; train it with --comp"):
        measure_upgrade(request(files, **paths))
    write_binarizer(files / "new.safetensors", linear_start(OLD[:N], 16, 1, seed=0), {})
    with pytest.raises(UsageError, match="was trained on vectors of 8 dimensions, new has 14"):
        measure_upgrade(request(files, **paths))
    write_arrays(files / "new.safetensors", "checkpoint", {"x": np.zeros(3, np.float32)}, {})
    with pytest.raises(ModelFileError, match="is no binarizer"):
        measure_upgrade(request(files, **paths))
    with pytest.raises(ValueError, match="give those of both"):
        request(files, old_binarizer=files / "old.safetensors")


def test_what_cannot_be_measured_is_refused(files: Path) -> None:
    write(files / "short.hdf5", OLD[1:])
    with pytest.raises(DatasetError, match="short has 299 base rows, new has 300; embed the same things"):
        check_request(request(files, "short", "new"))
    write(files / "far.hdf5", OLD, distance="euclidean")
    with pytest.raises(UsageError, match="far has float32 under euclidean; give datasets under cosine"):
        check_request(request(files, "far", "new"))
    with pytest.raises(UsageError, match="one name twice"):
        check_request(request(files, "old", "old"))
    with pytest.raises(UnknownNameError, match="unknown query set of old 'ood'"):
        check_request(request(files, query_set="ood"))
    with pytest.raises(UnknownNameError, match="unknown codes 'unifrm-4'; did you mean uniform-4"):
        check_request(request(files, codes=("unifrm-4",)))
    with pytest.raises(UsageError, match="5 pairs are too few"):
        measure_upgrade(request(files, fit_on="learn", most_pairs=5))
    shuffled = np.random.default_rng(1).permutation(len(OLD))
    write(files / "mixed.hdf5", OLD[shuffled])
    with pytest.raises(DatasetError, match="rows of mixed and new have nothing to do with each other"):
        measure_upgrade(request(files, "mixed", "new"))


def test_a_value_that_is_no_number_is_told_with_its_row(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = OLD.copy()
    broken[17, 3] = np.nan
    write(files / "broken.hdf5", broken)
    assert command(["upgrade", "--old", "broken.hdf5", "--new", "new.hdf5", "--out", "page"]) == 2
    assert "row 17: holds nan in column 3; remove the row" in capsys.readouterr().err
    assert not (files / "page").exists()
