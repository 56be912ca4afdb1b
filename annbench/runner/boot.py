"""First steps of every child process, before any library is imported: standard library only."""

from __future__ import annotations

import json
import resource
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass

from annbench.processes.kernel import die_with_parent
from annbench.runner.pinning import pin

# Address space is not memory: room for thread stacks and allocator arenas that are reserved and never touched.
_DATA_SLACK_BYTES = 1 << 29


@dataclass(frozen=True)
class Boot:
    """What a child must know before it does anything."""

    descriptor: int
    protocol: int
    parent: int
    cores: tuple[int, ...]
    memory_bytes: int | None

    def argument(self) -> str:
        """As one command-line argument."""
        return json.dumps(asdict(self))


def boot() -> Boot:
    """Read the argument, die with the parent, and take cores and memory limit."""
    fields = json.loads(sys.argv[1])
    settings = Boot(**{**fields, "cores": tuple(fields["cores"])})
    die_with_parent(settings.parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's business
    pin(settings.cores)
    if settings.memory_bytes is not None:
        limit = settings.memory_bytes + _DATA_SLACK_BYTES
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return settings
