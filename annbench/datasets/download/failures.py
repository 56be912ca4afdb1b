"""What goes wrong on the web. InterruptedTransferError: it is worth another try; DatasetError: it is not."""

from __future__ import annotations

import http.client
import ssl
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from annbench.errors import DatasetError

if TYPE_CHECKING:
    from requests import Response

EARLY = "the connection ended early"
REPORT = "open the address in a browser; if the publisher has moved the file, give its new address with --url"
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class InterruptedTransferError(Exception):
    """The transfer stopped for a reason that may pass; `wait_seconds` is what the server asked to be left alone for."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_seconds = wait_seconds


def check_https(url: str, *, said_by: str = "") -> None:
    """Raise DatasetError for an address that anybody on the way could answer for."""
    if urlsplit(url).scheme != "https":
        what = f"redirects to {url}, which is not https" if said_by else "is not an https address"
        raise DatasetError(
            what, where=said_by or url, remedy="nothing is fetched over a connection that can be tampered with"
        )


def refusal(response: Response, url: str) -> Exception:
    """The error about an answer that brings no file: is it worth another try?"""
    said = f"the server answered {response.status_code} {response.reason}".rstrip()
    if response.status_code in _PASSING:
        return InterruptedTransferError(said, _retry_after(response.headers.get("Retry-After", "")))
    return DatasetError(said, where=url, remedy=REPORT)


def _retry_after(text: str) -> float:
    """Seconds from a Retry-After header, which holds seconds or a date; 0 if it holds neither."""
    if text.isascii() and text.isdigit():
        return float(text)
    with suppress(ValueError, TypeError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    return 0.0


def meaning(error: Exception, url: str, stall_seconds: float) -> Exception:
    """What an error of the HTTP library means: is it worth another try?"""
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
        return DatasetError(f"is not an address: {error}", where=url, remedy=REPORT)
    if any(isinstance(c, urllib3.exceptions.IncompleteRead | http.client.IncompleteRead) for c in causes):
        return InterruptedTransferError(EARLY)
    if any("timed out" in str(c) for c in causes) and not isinstance(error, exceptions.ConnectTimeout):
        return InterruptedTransferError(f"nothing arrived for {stall_seconds:g} s")
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
