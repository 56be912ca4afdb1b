"""A dataset that shrinks under a run: what maps it dies of SIGBUS, and nothing else does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

pytestmark = pytest.mark.fault(32)


def test_the_points_of_a_truncated_dataset_fail_and_the_rest_goes_on(bench, misbehaving, tmp_path: Path) -> None:
    shrinking, sound = tmp_path / "shrinking.hdf5", tmp_path / "sound.hdf5"
    for path in (shrinking, sound):
        shutil.copy(bench.dataset, path)
    with h5py.File(sound, "a") as file:
        file.attrs["other"] = 1  # the same content would be the same dataset
    bench.dataset = f"[{shrinking}, {sound}]"
    config = bench.config(misbehaving("WaitsAtItsSecondPoint", search="{step: [1, 2, 3]}"))
    command = [sys.executable, "-m", "annbench.cli.main", "run", str(config), "--results", str(bench.store.folder)]
    environment = os.environ | {"ANNBENCH_TEST_FOLDER": str(tmp_path), "ANNBENCH_DATA_DIR": str(tmp_path / "data")}
    run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "waiting").exists():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.truncate(shrinking, 4096)  # the header stays, most of the vectors go
    (tmp_path / "go").touch()
    out, err = run.communicate(timeout=120)
    assert run.returncode == 4, (out, err)

    found = {(r.dataset.name, r.label): r for r in bench.store.records()}
    assert len(found) == 6
    assert {r.status for (name, _), r in found.items() if name == "sound"} == {"ok"}
    fates = {r.status: r for (name, _), r in found.items() if name == "shrinking"}
    # Scored before; mapped when it shrank; not to be opened after.
    assert set(fates) == {"ok", "crashed", "config_error"}
    for status, said in (("crashed", "SIGBUS"), ("config_error", "truncated")):
        struck = fates[status]
        assert (struck.failed_phase, struck.verdict) == ("score", "invalid")
        assert said in struck.status_detail
        assert "the dataset changed during the run (4,096 bytes, and " in struck.status_detail
