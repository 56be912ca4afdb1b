"""Every error that annbench raises on purpose.

    AnnbenchError                  what went wrong, where, and what to do   exit
    ├── UsageError                 a wrong argument of the command line        2
    ├── ConfigError                a configuration that cannot be run          2
    │   └── UnknownNameError       with the closest known names                2
    ├── DatasetError               data that cannot be believed or read        2
    ├── UnsupportedError           an adapter that cannot do what is asked     2
    ├── InvalidOutputError         an adapter that returned no matrix of ids   4
    ├── MissingLibraryError        with the command that installs it           2
    ├── NothingComparableError     no result answers the question              3
    ├── RunFailedError             some points of a run did not succeed        4
    ├── ResultError                a result file that fails its checks         2
    ├── IndexFileError             a file that is no intact index of annbench  2
    └── WorkerError                a worker process that broke the protocol    4

Anything else that escapes is a bug of annbench: exit 70.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_OK = 0
EXIT_REGRESSION = 1
EXIT_USAGE = 2
EXIT_NOTHING_COMPARABLE = 3
EXIT_RUNS_FAILED = 4
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130


class AnnbenchError(Exception):
    """Base of all expected errors.

    `where` names the file, field or row; `message` says what was found; `remedy` says what to do about it.
    """

    exit_code = EXIT_USAGE

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        self.message = message
        self.where = where
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}; {self.remedy}" if self.remedy else head


class UsageError(AnnbenchError):
    """A command-line argument that cannot be used."""


class ConfigError(AnnbenchError):
    """A configuration that cannot be run; `where` is `file:line`."""


class UnknownNameError(ConfigError):
    """A name that is not known, with the closest ones that are."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "", remedy: str = "") -> None:
        choices = sorted(known)
        folded = {choice.casefold(): choice for choice in choices}
        close = [folded[c] for c in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(choices)}"
        super().__init__(f"unknown {kind} {name!r}", where=where, remedy=f"{hint} {remedy}".strip())


class DatasetError(AnnbenchError):
    """Data that are missing, malformed, or contradict themselves."""


class UnsupportedError(AnnbenchError):
    """A combination that the adapter's library cannot do."""


class InvalidOutputError(AnnbenchError):
    """An adapter returned something that is not a matrix of ids."""

    exit_code = EXIT_RUNS_FAILED


class MissingLibraryError(AnnbenchError):
    """A library that is not installed in the interpreter that needs it."""

    def __init__(self, library: str, install: str, *, where: str = "") -> None:
        super().__init__(f"{library} is not installed", where=where, remedy=f"install it with: {install}")


class NothingComparableError(AnnbenchError):
    """No result answers the question that was asked."""

    exit_code = EXIT_NOTHING_COMPARABLE


class RunFailedError(AnnbenchError):
    """Some points of a run ended with a status other than ok."""

    exit_code = EXIT_RUNS_FAILED


class ResultError(AnnbenchError):
    """A result file that is truncated, corrupted, or of another schema."""


class IndexFileError(AnnbenchError):
    """A file that is no index of annbench, not an intact one, or that cannot be written."""


class ModelFileError(AnnbenchError):
    """A file that is no learned transform or checkpoint of annbench, not an intact one, or of another run."""


class TrainingError(AnnbenchError):
    """A training run that cannot go on."""

    exit_code = EXIT_RUNS_FAILED


class WorkerError(AnnbenchError):
    """A worker process that died or broke the protocol outside a point."""

    exit_code = EXIT_RUNS_FAILED
