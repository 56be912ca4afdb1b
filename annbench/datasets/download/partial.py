"""The part of a download that has arrived, and what the server said of the whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError

_MAX_STATE_BYTES = 1 << 16


class Origin(BaseModel):
    """What the server said of the file whose first part is here.

    `total_bytes` of the `whole_bytes` of the file are wanted, None if the server does not say. `validator` names
    exactly that file, or is None; `stated_sha256` is the server's own checksum of it, where it gives one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    total_bytes: int | None
    whole_bytes: int | None
    etag: str | None
    last_modified: str | None
    validator: str | None
    stated_sha256: str | None = None

    @classmethod
    def of(
        cls,
        url: str,
        headers: Mapping[str, str],
        *,
        total_bytes: int | None,
        whole_bytes: int | None,
        stated_sha256: str | None,
    ) -> Origin:
        """From the headers of an answer."""
        etag, modified = headers.get("ETag"), headers.get("Last-Modified")
        return cls(
            url=url,
            total_bytes=total_bytes,
            whole_bytes=whole_bytes,
            etag=etag,
            last_modified=modified,
            validator=_validator(etag, modified, headers.get("Date")),
            stated_sha256=stated_sha256,
        )


class PartialFile:
    """A file that is still arriving, at `path`, with its Origin beside it as JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._state = path.with_name(path.name + ".json")

    @property
    def bytes(self) -> int:
        """How much has arrived."""
        try:
            return self.path.lstat().st_size
        except FileNotFoundError:
            return 0

    def origin(self, url: str, first_bytes: int | None = None) -> Origin | None:
        """Where the part came from, if it is of `url`, or of the first bytes of it; else None."""
        try:
            with self._state.open("rb") as stream:
                origin = Origin.model_validate_json(stream.read(_MAX_STATE_BYTES))
        except (OSError, ValidationError):
            return None
        fits = origin.total_bytes is None or self.bytes <= origin.total_bytes
        as_wanted = first_bytes is None or origin.total_bytes == first_bytes
        return origin if self.bytes and origin.url == url and fits and as_wanted else None

    def is_complete(self, url: str) -> bool:
        """Whether all of `url` that was wanted is here."""
        origin = self.origin(url)
        return origin is not None and origin.total_bytes == self.bytes

    def start_over(self, origin: Origin) -> None:
        """Drop what is here, and expect the file that `origin` describes."""
        self.discard()
        # In this order: a part never lies beside the description of another file.
        temporary = self._state.with_name(self._state.name + ".tmp")
        temporary.write_text(origin.model_dump_json(), "utf-8")
        os.replace(temporary, self._state)

    def append(self) -> BinaryIO:
        """The part, open at its end; unbuffered, so that what was written outlives this process."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.fdopen(os.open(self.path, flags, 0o666), "ab", buffering=0)

    def discard(self) -> None:
        """Forget the part."""
        for path in (self.path, self._state):
            with suppress(FileNotFoundError):
                path.unlink()


def _validator(etag: str | None, modified: str | None, date: str | None) -> str | None:
    """What If-Range may carry: a strong ETag, or a date that the file cannot have changed within (RFC 9110, 8.8)."""
    if etag and etag.startswith('"'):
        return etag
    if modified and date:
        with suppress(ValueError, TypeError):
            if (parsedate_to_datetime(date) - parsedate_to_datetime(modified)).total_seconds() >= 1:
                return modified
    return None
