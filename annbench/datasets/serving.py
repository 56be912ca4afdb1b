"""What every child process that makes files does around its work: read the request, answer in lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from annbench.datasets.child import end_with_parent, error_line
from annbench.errors import EXIT_INTERRUPTED, AnnbenchError, DatasetError

# Address space beyond the files, which may be mapped, and what the request allows: libraries reserve much of it.
SPARE_BYTES = 8 << 30
SPARE_BYTES_PER_CPU = 256 << 20  # a thread's stack, and an arena of the allocator

Progress = Callable[[str, float], None]


def serve(work: Callable[[str, Progress], dict[str, Any]]) -> None:
    """Run `work(request line, progress)` and print its answer as `annbench.datasets.child.run_child` expects."""
    request = sys.stdin.readline()
    end_with_parent()

    def progress(phase: str, done: float) -> None:
        _say({"progress": {"phase": phase, "fraction": done}})

    try:
        _say({"result": work(request, progress)})
    except AnnbenchError as error:
        _say(error_line(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except MemoryError:
        remedy = "use fewer vectors, float16 or int8"
        _say(error_line(DatasetError("the data do not fit in memory", remedy=remedy)))


def limit_memory(files: Iterable[Path], more_bytes: int) -> None:
    """Keep a hostile file from taking the machine's memory: beyond the limit, allocation fails."""
    import resource

    limit = SPARE_BYTES + SPARE_BYTES_PER_CPU * (os.cpu_count() or 1) + more_bytes
    for path in files:
        with suppress(OSError):
            limit += 3 * path.stat().st_size
    with suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
