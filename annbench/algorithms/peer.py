"""Base of the adapters of optional libraries whose wheels hold machine code for some processors only.

Such a library ends the process where an instruction is missing, at its import or later. What can be known beforehand
is: the build is then refused, with the reason, and the rest of a run goes on.
"""

from __future__ import annotations

from typing import ClassVar

from annbench.algorithms.base import Algorithm
from annbench.errors import UnsupportedError
from annbench.processor import processor


class Peer(Algorithm):
    """An adapter that asks about the processor before it touches its library."""

    # Instruction sets, as /proc/cpuinfo names them, without which the library's x86-64 wheel cannot run.
    processor_flags: ClassVar[frozenset[str]] = frozenset({"avx2", "fma"})

    @classmethod
    def missing_flags(cls) -> list[str]:
        """Those of `processor_flags` that this processor is known to lack."""
        known = processor()
        return sorted(cls.processor_flags - known.flags) if known else []

    @classmethod
    def import_library(cls) -> None:
        """Import `modules`, unless that would end the process: `require_processor` then says why."""
        if not cls.missing_flags():
            super().import_library()

    def require_processor(self) -> None:
        """To be called first in `build`. Raises UnsupportedError."""
        missing = self.missing_flags()
        if missing:
            raise UnsupportedError(
                f"{' '.join(self.distributions)} needs a processor with {', '.join(missing)}, which this one lacks",
                remedy="measure it on another machine",
            )
