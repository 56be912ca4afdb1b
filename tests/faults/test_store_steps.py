"""kill −9 at every step that the store takes on the disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.fault(26)
def test_whatever_step_a_run_dies_at_each_point_is_absent_or_valid_and_the_rerun_completes(tmp_path: Path) -> None:
    script = Path(__file__).with_name("store_steps.py")
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["steps"]
    assert len(steps) >= 80
    assert {"os.mkdir", "open", "half-written", "fsync", "os.rename", "os.remove", "os.rmdir"} <= set(steps)
    # Two writes a file (what is before the arrays, the arrays), one rename, and a sync of the file and of its folder.
    assert steps.count("os.rename") == 4 + 2
    assert steps.count("half-written") == 4 * 2 + 4 + 2 * 2
