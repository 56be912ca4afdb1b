"""Lines out of bytes that arrive in pieces."""

from __future__ import annotations


class LineBuffer:
    """Collects bytes and gives them back by line, without the newline."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._bytes = bytearray()

    def feed(self, data: bytes) -> bool:
        """Add what arrived; False if a line is longer than `max_bytes`."""
        self._bytes += data
        return len(self._bytes) <= self.max_bytes or b"\n" in self._bytes

    def next(self) -> bytes | None:
        """The next complete line, if there is one."""
        line, newline, rest = self._bytes.partition(b"\n")
        if not newline:
            return None
        self._bytes = bytearray(rest)
        return bytes(line)
