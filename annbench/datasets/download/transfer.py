"""Moves one file from the web to the disk, however often the connection breaks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from annbench.datasets.download.attempt import Attempt, Limits
from annbench.datasets.download.failures import InterruptedTransferError
from annbench.datasets.download.partial import Origin, PartialFile
from annbench.errors import DatasetError

# An attempt that came this much further than any before was not in vain: the count of failures starts anew.
WORTHWHILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Patience:
    """When to try again, and when to give up: after `attempts` in a row that brought next to nothing.

    The wait doubles from `first_wait_seconds` to at most `longest_wait_seconds`, less a random half (drawn with `seed`)
    so that many who were cut off together do not come back together. A server that asks to be left alone for longer
    than `obeyed_wait_seconds` is given up on.
    """

    attempts: int = 5
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 30.0
    obeyed_wait_seconds: float = 300.0
    seed: int = 42
    limits: Limits = field(default_factory=Limits)


def transfer(
    url: str,
    part: PartialFile,
    patience: Patience,
    *,
    on_bytes: Callable[[int, int | None], None],
    on_note: Callable[[str], None],
    first_bytes: int | None = None,
) -> Origin:
    """Fetch `url`, or its `first_bytes`, into `part`, going on from what is there if that is the same file.

    `on_bytes` is told the bytes that are there and the bytes of all (None if unknown), `on_note` what the user should
    know. Raises DatasetError; what has arrived stays in `part`, unless it turned out to be of another file.
    """
    complete = part.origin(url, first_bytes)
    if complete is not None and complete.total_bytes == part.bytes:
        return complete
    draw = random.Random(patience.seed)
    failures, farthest = 0, part.bytes
    while True:
        if part.bytes:
            on_note(f"going on after {part.bytes / 1e6:,.1f} MB")
        attempt = Attempt(url, part, patience.limits, on_bytes, first_bytes)
        try:
            origin = attempt.run()
        except InterruptedTransferError as error:
            failures = 1 if part.bytes - farthest >= WORTHWHILE_BYTES else failures + 1
            farthest = max(farthest, part.bytes)
            wait = _wait(error, failures, patience, draw)
            if wait is None:
                raise _gave_up(url, part, failures, error) from error
            on_note(f"{error}; trying again in {wait:.0f} s")
            time.sleep(wait)
        else:
            if attempt.restarted:
                on_note("the part that had arrived could not be used: the file was fetched from its beginning")
            return origin


def _wait(error: InterruptedTransferError, failures: int, patience: Patience, draw: random.Random) -> float | None:
    """Seconds until the next attempt; None to give up."""
    if failures >= patience.attempts or error.wait_seconds > patience.obeyed_wait_seconds:
        return None
    backoff = min(patience.longest_wait_seconds, patience.first_wait_seconds * 2.0 ** (failures - 1))
    return max(error.wait_seconds, backoff * draw.uniform(0.5, 1.0))


def _gave_up(url: str, part: PartialFile, failures: int, error: InterruptedTransferError) -> DatasetError:
    times = "once" if failures == 1 else f"{failures} times in a row"
    asked = f", which asks to be left alone for {error.wait_seconds:.0f} s" if error.wait_seconds else ""
    kept = f"; the {part.bytes / 1e6:,.1f} MB that arrived are kept" if part.bytes else ""
    return DatasetError(
        f"{error}{asked} (failed {times})", where=url, remedy=f"give the same command again later{kept}"
    )
