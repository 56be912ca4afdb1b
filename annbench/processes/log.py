"""The end of what a child prints."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import IO

LOG_BYTES = 16 << 10


class LogTail(threading.Thread):
    """Drains a pipe and keeps the end of it: a child that prints a gigabyte neither blocks nor fills."""

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self.pipe = pipe
        self._kept = b""
        self.start()

    def run(self) -> None:
        with suppress(OSError, ValueError):
            while data := os.read(self.pipe.fileno(), 1 << 16):
                self._kept = (self._kept + data)[-LOG_BYTES:]

    def tail(self, characters: int = 800) -> str:
        """The last lines, printable."""
        self.join(0.5)
        text = self._kept.decode("utf-8", "replace")[-characters:].strip()
        return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)

    def finish(self) -> None:
        """Let go of the pipe."""
        self.join(0.5)
        if not self.is_alive():
            self.pipe.close()
