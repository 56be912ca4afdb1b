"""The short form of `make sanitize` and `make fuzz`: some seconds of hostile index files and of kernels against their
reference under AddressSanitizer and UndefinedBehaviorSanitizer, and whatever has threads under ThreadSanitizer."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "annbench" / "native"
SECONDS = 6
SEED = 20240614


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(config: pytest.Config, name: str, *options: str) -> Path:
    """The folder of a build with these options, kept from one run to the next: only what has changed is compiled."""
    cmake = shutil.which("cmake") or shutil.which("cmake", path=str(Path(sys.executable).parent))
    if cmake is None:
        pytest.skip("sanitizers not run: no cmake (pip install cmake)")
    if shutil.which("g++") is None:
        pytest.skip("sanitizers not run: no g++ (Debian: apt-get install g++)")
    assert config.cache is not None
    folder = config.cache.mkdir(name)
    fixed = ("-DCMAKE_CXX_COMPILER=g++", "-DANNBENCH_PYTHON=OFF", "-DANNBENCH_EMULATE_AVX512=OFF")
    run(cmake, "-S", str(SOURCE), "-B", str(folder), *fixed, *options)
    run(cmake, "--build", str(folder), "--parallel", str(os.cpu_count() or 1))
    return Path(folder)


@pytest.fixture(scope="module")
def fuzzers(pytestconfig: pytest.Config) -> Path:
    options = ("-DANNBENCH_TESTS=OFF", "-DANNBENCH_FUZZ=ON", "-DANNBENCH_SANITIZE=address")
    return build(pytestconfig, "fuzz", *options) / "fuzz"


@pytest.mark.fault(3, 4, 5, 36)
@pytest.mark.parametrize("target", ["kernels_agree", "load_then_search"])
def test_a_short_fuzz_finds_nothing(target: str, fuzzers: Path, tmp_path: Path) -> None:
    said = run(str(fuzzers / f"fuzz_{target}"), "--seconds", str(SECONDS), "--seed", str(SEED), cwd=tmp_path)
    assert "nothing found" in said
    assert int(said.split()[0]) > 100, f"hardly anything was tried: {said}"
    print(f"fuzz_{target}: {said.strip()}")


@pytest.mark.fault(34)
def test_threads_do_not_race(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    program = str(build(pytestconfig, "thread", "-DANNBENCH_SANITIZE=thread") / "tests" / "native_tests_threads")
    # ThreadSanitizer of some compilers knows no kernel that places memory as freely as new ones do.
    steady = ("setarch", platform.machine(), "--addr-no-randomize") if shutil.which("setarch") else ()
    said = run(*steady, program, cwd=tmp_path)
    assert "0 failed checks" in said
