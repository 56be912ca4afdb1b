"""A web server on loopback that misbehaves as asked: a Site with Pages, whose `misdeeds` are made by the functions
below."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CERTIFICATE = Path(__file__).with_name("loopback.pem")


@dataclass
class Asked:
    """One request as the server saw it, and how many bytes of the body it sent."""

    path: str
    range: str | None
    if_range: str | None
    sent_bytes: int = 0


@dataclass
class Page:
    """What lies at a path; each of `misdeeds` answers one request, in order, and then it is served as it should be."""

    content: bytes
    etag: str | None = '"one"'
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    misdeeds: list[Callable[[Handler], None]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Serves the pages of its site."""

    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        self.asked = Asked(self.path, self.headers.get("Range"), self.headers.get("If-Range"))
        self.server.log.append(self.asked)
        self.page = self.server.pages[self.path.partition("?")[0]]
        if self.page.misdeeds:
            self.page.misdeeds.pop(0)(self)
        else:
            self.serve()

    def head(self, status: int, **headers: str | int) -> None:
        """Status and headers, `_` for `-`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def body(self, content: bytes) -> None:
        """Send, and count."""
        for start in range(0, len(content), 1 << 14):
            chunk = content[start : start + (1 << 14)]
            self.wfile.write(chunk)
            self.asked.sent_bytes += len(chunk)

    def wanted(self) -> tuple[int, bytes, dict[str, str]]:
        """Status, bytes and headers that a good server answers with."""
        page, size = self.page, len(self.page.content)
        headers = {"ETag": page.etag} if page.etag else {}
        headers |= {"Content-Type": "application/octet-stream", **page.headers}
        if not (page.ranges and self.asked.range and self.asked.if_range in (None, page.etag)):
            return 200, page.content, headers | {"Content-Length": str(size)}
        first, _, last = self.asked.range.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(size, int(last) + 1) if last else size
        headers |= {"Content-Length": str(stop - start), "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        return 206, page.content[start:stop], headers

    def serve(self, limit: int | None = None) -> None:
        """As it should be; but hang up after `limit` bytes."""
        status, content, headers = self.wanted()
        self.head(status, **headers)
        self.body(content[:limit])
        if limit is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep stderr clean."""


class Site(ThreadingHTTPServer):
    """https://127.0.0.1:port, or http for a site that is not to be trusted."""

    daemon_threads = True

    def __init__(self, *, tls: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.log: list[Asked] = []
        self.root = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_address[1]}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""

    def __enter__(self) -> Site:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


# --- misdeeds ---


def drop(after: int) -> Callable[[Handler], None]:
    """Hang up after some bytes."""
    return lambda handler: handler.serve(limit=after)


def answer(status: int, content: bytes = b"no", **headers: str | int) -> Callable[[Handler], None]:
    """Answer something else."""

    def act(handler: Handler) -> None:
        handler.head(status, **{"Content_Length": len(content), **headers})
        handler.body(content)

    return act


def stall(after: int, seconds: float) -> Callable[[Handler], None]:
    """Stand still after some bytes."""

    def act(handler: Handler) -> None:
        status, content, headers = handler.wanted()
        handler.head(status, **headers)
        handler.body(content[:after])
        handler.wfile.flush()
        time.sleep(seconds)
        handler.close_connection = True

    return act


def pause(after: int, until: threading.Event) -> Callable[[Handler], None]:
    """Everything, with a rest after some bytes until something has happened, which it should within a minute."""

    def act(handler: Handler) -> None:
        status, content, headers = handler.wanted()
        handler.head(status, **headers)
        handler.body(content[:after])
        handler.wfile.flush()
        until.wait(60)
        handler.body(content[after:])

    return act


def trickle(pieces: int, pause: float) -> Callable[[Handler], None]:
    """Everything, slowly."""

    def act(handler: Handler) -> None:
        status, content, headers = handler.wanted()
        handler.head(status, **headers)
        size = -(-len(content) // pieces)
        for start in range(0, len(content), size):
            handler.body(content[start : start + size])
            handler.wfile.flush()
            time.sleep(pause)

    return act


def claim(**headers: str | int) -> Callable[[Handler], None]:
    """Everything, under headers that are not true."""

    def act(handler: Handler) -> None:
        status, content, good = handler.wanted()
        replaced = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        handler.head(status, **{**good, **replaced})
        handler.body(content)
        handler.close_connection = True

    return act


def in_chunks(handler: Handler) -> None:
    """Everything, without saying how much it is."""
    status, content, headers = handler.wanted()
    del headers["Content-Length"]
    handler.head(status, Transfer_Encoding="chunked", **headers)
    for start in range(0, len(content), 100_000):
        chunk = content[start : start + 100_000]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
    handler.wfile.write(b"0\r\n\r\n")
