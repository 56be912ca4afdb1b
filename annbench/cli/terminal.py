"""What the user asked of the terminal, and what it can show: how much is said, in colour or not, in which letters.

Standard library only: `annbench --help` must not wait for anything.
"""

from __future__ import annotations

import codecs
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

from annbench.errors import UsageError

# How a letter is spelt where the terminal's encoding lacks it.
_PLAIN = {
    "–": "-", "—": "-", "−": "-", "…": "...", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "×": "x", "÷": "/", "·": "|",
    "µ": "u", "μ": "u", "¼": "1/4", "½": "1/2", "¾": "3/4", "σ": "sigma", "Δ": "d", "→": "->", "←": "<-", "±": "+-",
    "²": "2", "³": "3", "‖": "|", "∞": "inf", "‘": "'", "’": "'", "“": '"', "”": '"', "•": "*", "✓": "yes", "✗": "no",
    "█": "#", "━": "-", "╸": "-", "╺": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
}  # fmt: skip
_ERRORS = "annbench.plain"


class Color(StrEnum):
    """When to use colour."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass
class Wishes:
    """What the options that every command has were set to."""

    quiet: bool = False
    verbose: bool = False
    color: Color = Color.AUTO


WISHES = Wishes()


def forget_wishes() -> None:
    """Back to the defaults, before a command line is read."""
    WISHES.quiet, WISHES.verbose, WISHES.color = False, False, Color.AUTO


def colored(stream: TextIO) -> bool:
    """Whether to send colour: as --color says; else NO_COLOR and FORCE_COLOR decide, else whether it is a terminal
    that can show it.
    """
    if WISHES.color is not Color.AUTO:
        return WISHES.color is Color.ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")


def moving(stream: TextIO) -> bool:
    """Whether a line may be drawn again over itself: only on a terminal that can, whatever the colours."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")


def speaks_unicode(stream: TextIO) -> bool:
    """Whether every letter can be written."""
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def prepare_streams() -> None:
    """From now on no text is refused by stdout or stderr: a letter they cannot encode is spelt otherwise."""
    codecs.register_error(_ERRORS, _spelt)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - closed by who started us
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_ERRORS)


def finish_streams() -> None:
    """What could not be written goes nowhere, so that the interpreter does not fail over it on its way out."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            silence(stream)
        except ValueError:  # closed
            pass


def silence(stream: TextIO) -> None:
    """Send what is written to `stream`, or waits in it, nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def writing() -> Iterator[None]:
    """Around what writes results: a full disk is the user's to mend. Raises UsageError; BrokenPipeError passes."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        silence(sys.stdout)
        raise UsageError(
            f"cannot write the output: {error.strerror}", remedy="make room, or send it elsewhere"
        ) from error


class Plain:
    """A stream without Unicode: replaces letters, and takes a longer spelling out of the next gap of its line, so that
    columns stay columns.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        """Write `text`, spelt in letters that there are."""
        self._stream.write("\n".join(self._line(line) for line in text.split("\n")))
        return len(text)

    def flush(self) -> None:
        """As the stream's own."""
        self._stream.flush()

    def isatty(self) -> bool:
        """As the stream's own."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """As the stream's own."""
        return self._stream.fileno()

    def _line(self, line: str) -> str:
        done, owed = "", 0
        for part in re.split(r"( {2,})", line):
            if part.startswith("  "):
                taken = min(owed, len(part) - 1)
                owed -= taken
                done += part[taken:]
            else:
                plain = "".join(self._letter(letter) for letter in part)
                owed += len(plain) - len(part)
                done += plain
        return done

    def _letter(self, letter: str) -> str:
        try:
            letter.encode(self.encoding)
        except UnicodeEncodeError:
            return _PLAIN.get(letter, "?") if not "\udc80" <= letter <= "\udcff" else letter
        return letter


def _spelt(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name that was no UTF-8: hand it back as it came
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return _PLAIN.get(letter, "?"), error.start + 1
