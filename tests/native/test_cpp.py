"""Builds the native core without Python and runs its own tests, as a C++ developer would."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "annbench" / "native"


def find_tool(name: str) -> str | None:
    """A tool on the path, or beside the interpreter where pip puts it."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.fault(1, 2, 3, 4, 5, 6, 27, 35, 36)
def test_native_core_builds_and_passes_without_python(tmp_path: Path) -> None:
    cmake, ctest = find_tool("cmake"), find_tool("ctest")
    if cmake is None or ctest is None:
        pytest.skip("C++ tests not run: no cmake (pip install cmake)")
    if find_tool("c++") is None:
        pytest.skip("C++ tests not run: no C++ compiler (Debian: apt-get install g++)")
    run(cmake, "-S", str(SOURCE), "-B", str(tmp_path), "-DANNBENCH_PYTHON=OFF", "-DCMAKE_BUILD_TYPE=Release")
    run(cmake, "--build", str(tmp_path), "--parallel", "2")
    output = run(ctest, "--test-dir", str(tmp_path), "--verbose")
    assert "scalar: native" in output
    assert "0 failed checks" in output
    for line in output.splitlines():
        if "emulated" in line or "NOT RUN" in line or ": native" in line:
            print(line)
