"""Which instruction set the native kernels use.

Chosen once, when the module loads: the fastest that the processor and the operating system support, or the
one that the environment variable ANNBENCH_ISA names (scalar; avx2, avx512 on x86-64; neon on 64-bit Arm).
"""

from __future__ import annotations

from annbench import _native
from annbench.errors import UsageError


def isa() -> str:
    """The instruction set in use: `scalar`, `avx2`, `avx512` or `neon`.

    Raises `UsageError` when ANNBENCH_ISA names none that is available here.
    """
    try:
        return _native.isa()
    except ValueError as error:
        names = ", ".join(available_isas())
        raise UsageError(str(error), remedy=f"set ANNBENCH_ISA to one of {names}, or unset it") from None


def available_isas() -> list[str]:
    """The instruction sets that this build and this machine support, slowest first."""
    return _native.available_isas()
