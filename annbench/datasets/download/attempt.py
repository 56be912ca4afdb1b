"""One HTTP request for what is missing of a file: pooch moves the bytes, this decides whether they are wanted."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urljoin

from annbench.datasets.download.failures import (
    EARLY,
    REPORT,
    InterruptedTransferError,
    check_https,
    meaning,
    refusal,
)
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
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")
_SHA256 = re.compile(r'"?([0-9a-f]{64})"?')


class _EnoughError(Exception):
    """All that was wanted is here."""


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

    With `first_bytes`, so many bytes from the beginning of a larger file are all that is wanted. `restarted` says
    afterwards that an earlier part could not be used.
    """

    def __init__(
        self,
        url: str,
        part: PartialFile,
        limits: Limits,
        on_bytes: Callable[[int, int | None], None],
        first_bytes: int | None = None,
    ) -> None:
        check_https(url)
        self.url, self.part, self.limits, self.first_bytes = url, part, limits, first_bytes
        self.restarted = False
        self._on_bytes = on_bytes
        self._known = part.origin(url, first_bytes)
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
        last = "" if self.first_bytes is None else str(self.first_bytes - 1)
        if self._known is not None and self._known.validator is not None:
            headers |= {"Range": f"bytes={self._here_bytes}-{last}", "If-Range": self._known.validator}
        elif last:
            headers["Range"] = f"bytes=0-{last}"
        url = self.url
        for _ in range(MAX_REDIRECTS + 1):
            try:
                self._request(url, headers)
            except _MovedError as moved:
                check_https(moved.target, said_by=url)
                url = moved.target
            else:
                return self._whole()
        raise DatasetError("redirects without end", where=self.url, remedy=REPORT)

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
        except _EnoughError:
            pass
        except exceptions.RequestException as error:
            raise meaning(error, self.url, self.limits.stall_seconds) from error
        finally:
            self._close()

    def write(self, chunk: bytes) -> None:
        """Called by pooch with what arrived. Raises DatasetError if the disk refuses it."""
        assert self._file is not None
        rest = memoryview(chunk)
        enough = self.first_bytes is not None and self._here_bytes + len(chunk) >= self.first_bytes
        if enough:
            rest = rest[: self._allowed_bytes - self._here_bytes]
        elif self._here_bytes + len(chunk) > self._allowed_bytes:
            raise DatasetError("sends more than it said, or than there is room for", where=self.url, remedy=REPORT)
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
        if enough:
            raise _EnoughError

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
            raise refusal(response, self.url)

    def _accept(self, response: Response) -> None:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in ("text/html", "application/xhtml+xml"):
            raise DatasetError(f"is a web page ({kind}), not a file", where=self.url, remedy=REPORT)
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DatasetError("was sent compressed though asked for as it is", where=self.url, remedy=REPORT)
        length = response.headers.get("Content-Length")
        if length is not None and not re.fullmatch(r"[0-9]{1,18}", length):
            raise DatasetError(f"states a length of {length[:40]!r}", where=self.url, remedy=REPORT)
        stated = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status_code == 206 and (stated is None or int(stated[1]) != 0):
            self._origin = self._continued(response, stated)
        else:
            whole = length if stated is None else stated[2]
            self._origin = self._from_the_beginning(response, int(whole) if whole and whole != "*" else None)
        self._make_room(self._origin.total_bytes)
        if self._here_bytes == 0:
            self.part.start_over(self._origin)
        self._file = self.part.append()

    def _from_the_beginning(self, response: Response, whole_bytes: int | None) -> Origin:
        if self.first_bytes is not None and whole_bytes is not None and whole_bytes < self.first_bytes:
            raise DatasetError(
                f"has {whole_bytes:,} bytes, and the first {self.first_bytes:,} are wanted",
                where=self.url,
                remedy=REPORT,
            )
        self.restarted = self._here_bytes > 0
        self.part.discard()
        self._here_bytes = 0
        return Origin.of(
            self.url,
            response.headers,
            total_bytes=whole_bytes if self.first_bytes is None else self.first_bytes,
            whole_bytes=whole_bytes,
            stated_sha256=self._stated_sha256 if self.first_bytes is None else None,
        )

    def _continued(self, response: Response, stated: re.Match[str] | None) -> Origin:
        """The known origin, if these bytes are the next ones of that very file."""
        known = self._known
        if (
            known is None
            or stated is None
            or int(stated[1]) != self._here_bytes
            or (known.whole_bytes is not None and stated[2] not in ("*", str(known.whole_bytes)))
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
            raise InterruptedTransferError(EARLY)
        if not self._here_bytes:
            raise DatasetError("is empty", where=self.url, remedy=REPORT)
        return self._origin
