"""Base of the adapters of optional libraries whose wheels hold machine code for some processors only.

Such a library ends the process where an instruction is missing, at its import or later. What can be known beforehand
is: the build is then refused, with the reason, and the rest of a run goes on.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from annbench.algorithms.base import Algorithm
from annbench.errors import UnsupportedError


@dataclass(frozen=True)
class Processor:
    """What Linux says about an x86-64 processor: `vendor` as in `GenuineIntel`, and its instruction sets."""

    vendor: str
    flags: frozenset[str]


@cache
def processor(path: Path = Path("/proc/cpuinfo")) -> Processor | None:
    """The processor of this machine; None where nothing is known, so that nothing can be refused."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    try:
        lines = path.read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return None
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return Processor(facts.get("vendor_id", ""), frozenset(facts.get("flags", "").split()))


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
