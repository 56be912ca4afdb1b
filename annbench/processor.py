"""What Linux says about the processor, read and not worked out: asking takes no time."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Processor:
    """An x86-64 processor: `vendor` as in `GenuineIntel`, the model's name, and its instruction sets."""

    vendor: str
    model: str
    flags: frozenset[str]


@cache
def processor(path: Path = Path("/proc/cpuinfo")) -> Processor | None:
    """The processor of this machine; None where the system does not say."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    try:
        lines = path.read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return None
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = frozenset(facts.get("flags", "").split())
    return Processor(facts.get("vendor_id", ""), facts.get("model name", ""), flags)
