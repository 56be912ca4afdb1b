"""The native core for 64-bit Arm: cross-compiled, and its own tests run under emulation, NEON against the reference."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "annbench" / "native"
TOOLCHAIN = Path(__file__).with_name("aarch64.cmake")
INSTALL = "Debian: apt-get install g++-aarch64-linux-gnu qemu-user-static"


def tool(*names: str) -> str | None:
    """One of these tools, on the path or beside the interpreter where pip puts it."""
    beside = str(Path(sys.executable).parent)
    return next((found for name in names if (found := shutil.which(name) or shutil.which(name, path=beside))), None)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def kernel_tests() -> list[str]:
    """The tests of all kernels, and of codecs that stand directly on them. The rest is the same code on every machine,
    and would take minutes to compile and to emulate.
    """
    kernels = {path.stem for path in (SOURCE / "kernels").glob("*.hpp")} - {"isa", "hadamard", "projection_tiles"}
    return [*sorted(kernels), "fast_rotation", "staged_rows", "uniform_rows"]


def test_the_core_for_arm_agrees_with_its_reference(pytestconfig: pytest.Config) -> None:
    if platform.machine() == "aarch64":
        pytest.skip("this machine is one: test_cpp.py runs the same, without emulation")
    cmake, emulator = tool("cmake"), tool("qemu-aarch64-static", "qemu-aarch64")
    assert cmake is not None, "pip install cmake"
    if tool("aarch64-linux-gnu-g++") is None or emulator is None:
        pytest.skip(f"NEON not run: no cross compiler or no emulator ({INSTALL})")
    # Kept from one run to the next: only what has changed is compiled again.
    assert pytestconfig.cache is not None
    build = str(pytestconfig.cache.mkdir("aarch64"))
    options = ("-DANNBENCH_PYTHON=OFF", "-DANNBENCH_EMULATE_AVX512=OFF", "-DANNBENCH_WERROR=ON",
               "-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON")  # fmt: skip
    configured = run(cmake, "-S", str(SOURCE), "-B", build, f"-DCMAKE_TOOLCHAIN_FILE={TOOLCHAIN}", *options)
    assert "Warning" not in configured
    run(cmake, "--build", build, "--target", "native_tests_kernels", "--parallel", "2")
    said = run(emulator, "-L", "/usr/aarch64-linux-gnu", f"{build}/tests/native_tests_kernels", *kernel_tests())
    assert "neon: native" in said
    assert "0 failed checks" in said
    print("neon: run under emulation (qemu)")


def test_nothing_is_compiled_for_the_machine_that_compiles() -> None:
    for path in [*SOURCE.rglob("CMakeLists.txt"), *SOURCE.rglob("*.cpp"), *SOURCE.rglob("*.hpp")]:
        text = path.read_text(encoding="utf-8")
        for flag in ("-march=native", "-mcpu=native", "-mtune=native", "-ffast-math", "-Ofast"):
            assert flag not in text, f"{path.name} has {flag}"
