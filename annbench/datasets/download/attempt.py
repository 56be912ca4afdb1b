"""One HTTP request for what is missing of a file: pooch moves the bytes, this decides whether they are wanted."""

from __future__ import annotations

import re
import shutil
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from annbench.datasets.download.partial import Origin, PartialFile
from annbench.errors import DatasetError

if TYPE_CHECKING:
    from requests import Response

CHUNK_BYTES = 1 << 16
MAX_REDIRECTS = 10
# What Hugging Face says of its large files, in the answer that redirects to them.
_STATED_SHA256 = "X-Linked-ETag"
# Left free on the disk by a download whose size the server does not say.
SPARE_BYTES = 1 << 30
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')


class InterruptedTransferError(Exception):
    """The transfer stopped for a reason that may pass; `wait_seconds` is what the server asked to be left alone for."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


class _MovedError(Exception):
    """A redirect."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target


@dataclass(frozen=True)
class Limits:
    """How long one request may take to connect, and to stand still."""

    connect_seconds: float = 20.0
    stall_seconds: float = 60.0


class Attempt:
    """A request for the rest of `url`, into `part`. `on_bytes` is told how much is there, of how much.

    `restarted` says afterwards that an earlier part could not be used.
    """

    def __init__(
        self, url: str, part: PartialFile, limits: Limits, on_bytes: Callable[[int, int | None], None]
    ) -> None:
        check_https(url)
        self.url, self.part, self.limits = url, part, limits
        self.restarted = False
        self._on_bytes = on_bytes
        self._known = part.origin(url)
        self._origin: Origin | None = None
        self._file: BinaryIO | None = None
        self._response: Response | None = None
        self._stated_sha256: str | None = None
        self._here_bytes = part.bytes
        self._allowed_bytes = 0

    def run(self) -> Origin:
        """Receive the rest. Raises InterruptedTransferError, or DatasetError when there is no point in asking again."""
        # A part that nothing vouches for is not added to: the file may be another by now.
        headers = {"Accept-Encoding": "identity", "User-Agent": "annbench"}
        if self._known is not None and self._known.validator is not None:
            headers |= {"Range": f"bytes={self._here_bytes}-", "If-Range": self._known.validator}
        url = self.url
        for _ in range(MAX_REDIRECTS + 1):
            try:
                self._request(url, headers)
            except _MovedError as moved:
                check_https(moved.target, said_by=url)
                url = moved.target
            else:
                return self._whole()
        raise DatasetError("redirects without end", where=self.url, remedy=_REPORT)

    def _request(self, url: str, headers: dict[str, str]) -> None:
        import pooch
        from requests import exceptions

        download = pooch.HTTPDownloader(
            chunk_size=CHUNK_BYTES,
            headers=headers,
            timeout=(self.limits.connect_seconds, self.limits.stall_seconds),
            hooks={"response": self._answered},
            allow_redirects=False,  # followed here: each is checked, and its body, which may be endless, left unread
        )
        try:
            download(url, self, None)
        except exceptions.RequestException as error:
            raise _meaning(error, self.url, self.limits) from error
        finally:
            self._close()

    def write(self, chunk: bytes) -> None:
        """Called by pooch with what arrived. Raises DatasetError if the disk refuses it."""
        assert self._file is not None
        if self._here_bytes + len(chunk) > self._allowed_bytes:
            raise DatasetError("sends more than it said, or than there is room for", where=self.url, remedy=_REPORT)
        rest = memoryview(chunk)
        try:
            while rest:
                written = self._file.write(rest)
                self._here_bytes += written
                rest = rest[written:]
        except OSError as error:
            raise DatasetError(
                f"cannot write {self.part.path}: {error.strerror}",
                where=self.url,
                remedy="make room and give the same command again: it goes on from what has arrived, "
                "unless you delete that file",
            ) from error
        assert self._origin is not None
        self._on_bytes(self._here_bytes, self._origin.total_bytes)

    def flush(self) -> None:
        """Called by pooch; nothing is held back."""

    def _close(self) -> None:
        if self._response is not None:
            self._response.close()
        if self._file is not None:
            self._file.close()

    def _answered(self, response: Response, **_: Any) -> None:
        """Judge an answer by its head, before any of its body is read."""
        self._response = response
        status = response.status_code
        if found := _SHA256.fullmatch(response.headers.get(_STATED_SHA256, "")):
            self._stated_sha256 = found[1]
        if status in _REDIRECTS and "Location" in response.headers:
            raise _MovedError(urljoin(response.url, response.headers["Location"]))
        if status == 416:
            self.part.discard()
            raise InterruptedTransferError("the part that had arrived does not belong to the file any more")
        if status in (200, 206):
            self._accept(response)
        else:
            raise _refusal(response, self.url)

    def _accept(self, response: Response) -> None:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            raise DatasetError(f"is a web page ({kind}), not a file", where=self.url, remedy=_REPORT)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DatasetError("was sent compressed though asked for as it is", where=self.url, remedy=_REPORT)
        length = response.headers.get("Content-Length")
        if length is not None and not re.fullmatch(r"[0-9]{1,18}", length):
            raise DatasetError(f"states a length of {length[:40]!r}", where=self.url, remedy=_REPORT)
        body_bytes = None if length is None else int(length)
        if response.status_code == 206:
            self._origin = self._continued(response)
        else:
            self.restarted = self._here_bytes > 0
            self._origin = Origin.of(self.url, response.headers, body_bytes, self._stated_sha256)
            self.part.discard()
            self._here_bytes = 0
        self._make_room(self._origin.total_bytes)
        if response.status_code == 200:
            self.part.start_over(self._origin)
        self._file = self.part.append()

    def _continued(self, response: Response) -> Origin:
        """The known origin, if these bytes are the next ones of that very file."""
        stated = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("Content-Range", ""))
        known = self._known
        if (
            known is None
            or stated is None
            or int(stated[1]) != self._here_bytes
            or (known.total_bytes is not None and stated[2] not in ("*", str(known.total_bytes)))
            or (known.etag is not None and response.headers.get("ETag", known.etag) != known.etag)
        ):
            self.part.discard()
            raise InterruptedTransferError("the server went on with something else than the part that had arrived")
        return known

    def _make_room(self, total_bytes: int | None) -> None:
        free_bytes = shutil.disk_usage(self.part.path.parent).free
        here = self._here_bytes
        if total_bytes is not None and total_bytes - here > free_bytes:
            raise DatasetError(
                f"needs {(total_bytes - here) / 1e6:,.0f} MB, and {free_bytes / 1e6:,.0f} MB are free "
                f"in {self.part.path.parent.parent}",
                where=self.url,
                remedy="make room, or choose another folder with --data-dir",
            )
        self._allowed_bytes = here + free_bytes - SPARE_BYTES if total_bytes is None else total_bytes

    def _whole(self) -> Origin:
        assert self._origin is not None
        if self._here_bytes < (self._origin.total_bytes or 0):
            raise InterruptedTransferError(_EARLY)
        if not self._here_bytes:
            raise DatasetError("is empty", where=self.url, remedy=_REPORT)
        return self._origin


_EARLY = "the connection ended early"
_REPORT = "open the address in a browser; if the publisher has moved the file, give its new address with --url"


def check_https(url: str, *, said_by: str = "") -> None:
    """Raise DatasetError for an address that anybody on the way could answer for."""
    if urlsplit(url).scheme != "https":
        what = f"redirects to {url}, which is not https" if said_by else "is not an https address"
        raise DatasetError(
            what, where=said_by or url, remedy="nothing is fetched over a connection that can be tampered with"
        )


def _refusal(response: Response, url: str) -> Exception:
    said = f"the server answered {response.status_code} {response.reason}".rstrip()
    if response.status_code in _PASSING:
        return InterruptedTransferError(said, _retry_after(response.headers.get("Retry-After", "")))
    return DatasetError(said, where=url, remedy=_REPORT)


def _retry_after(text: str) -> float:
    """Seconds from a Retry-After header, which holds seconds or a date; 0 if it holds neither."""
    if text.isascii() and text.isdigit():
        return float(text)
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return 0.0


def _meaning(error: Exception, url: str, limits: Limits) -> Exception:
    """What an error of the HTTP library means: is it worth another try?"""
    import http.client

    import urllib3
    from requests import exceptions

    causes = list(_causes(error))
    if untrusted := [c for c in causes if isinstance(c, ssl.SSLCertVerificationError)]:
        return DatasetError(
            f"its certificate is not trusted: {untrusted[0].verify_message}",
            where=url,
            remedy="nothing is fetched from a server that cannot prove who it is",
        )
    if isinstance(error, exceptions.InvalidURL | exceptions.InvalidSchema | exceptions.MissingSchema):
        return DatasetError(f"is not an address: {error}", where=url, remedy=_REPORT)
    if any(isinstance(c, urllib3.exceptions.IncompleteRead | http.client.IncompleteRead) for c in causes):
        return InterruptedTransferError(_EARLY)
    if any("timed out" in str(c) for c in causes) and not isinstance(error, exceptions.ConnectTimeout):
        return InterruptedTransferError(f"nothing arrived for {limits.stall_seconds:g} s")
    return InterruptedTransferError(f"the connection failed: {str(causes[-1])[:200]}")


def _causes(error: BaseException) -> list[BaseException]:
    """The error and what it was made from; the libraries hand causes on as arguments as well."""
    found: list[BaseException] = []
    queue: list[Any] = [error]
    while queue and len(found) < 20:
        one = queue.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            queue += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return found
