"""How the supervisor and its children talk: JSON lines over a socket of their own, so that nothing a library prints
can be mistaken for a message."""

from __future__ import annotations

import json
import socket
from typing import Any

from annbench.errors import WorkerError
from annbench.processes.lines import LineBuffer

PROTOCOL_VERSION = 4
MAX_MESSAGE_BYTES = 64 << 20

Message = dict[str, Any]


class Channel:
    """One end of the conversation; every message has a `type`."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._lines = LineBuffer(MAX_MESSAGE_BYTES)

    @classmethod
    def from_descriptor(cls, descriptor: int) -> Channel:
        """The child's end."""
        return cls(socket.socket(fileno=descriptor))

    def fileno(self) -> int:
        """For selectors."""
        return self.connection.fileno()

    def send(self, kind: str, **fields: Any) -> None:
        """Send one message. Raises OSError if the other side is gone."""
        self.connection.sendall(json.dumps({"type": kind, **fields}).encode() + b"\n")

    def receive(self) -> Message | None:
        """Block until a message is there; None when the other side has closed."""
        while True:
            message = self.pending()
            if message is not None:
                return message
            if not self.read_some():
                return None

    def read_some(self) -> bool:
        """Take what has arrived; False at the end of the conversation."""
        try:
            data = self.connection.recv(1 << 16)
        except ConnectionResetError:
            return False
        if not self._lines.feed(data):
            raise WorkerError("a message without end", remedy="the algorithm's process misbehaves; see its log")
        return bool(data)

    def pending(self) -> Message | None:
        """The next complete message, if there is one. Raises WorkerError if it is not one."""
        line = self._lines.next()
        if line is None:
            return None
        try:
            message = json.loads(line)
        except ValueError as error:
            raise WorkerError("a message that is not JSON") from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise WorkerError("a message without a type")
        return message

    def close(self) -> None:
        """Hang up."""
        self.connection.close()
