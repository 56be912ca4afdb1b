"""The child process that alone touches algorithms and data: it describes, builds, searches or scores on request.

Started as `<python> -m annbench.runner.worker` by the supervisor; one process serves one role.
"""

from __future__ import annotations

from annbench.runner.boot import boot

SETTINGS = boot()  # limits and cores hold before any library is imported

import sys  # noqa: E402
import traceback  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from annbench.errors import (  # noqa: E402
    AnnbenchError,
    DatasetError,
    InvalidOutputError,
    MissingLibraryError,
    UnsupportedError,
)
from annbench.runner.protocol import PROTOCOL_VERSION, Channel, Message  # noqa: E402


class Worker:
    """Answers requests one at a time."""

    def __init__(self) -> None:
        self.session: Any = None
        self.scoring: Any = None

    def describe(self, request: Message) -> dict[str, Any]:
        """Facts and checked parameters of the algorithms of a plan."""
        from annbench.runner.describe import describe_entry

        return {"entries": [describe_entry(entry) for entry in request["entries"]]}

    def build(self, request: Message) -> dict[str, Any]:
        """Build one index over a dataset and save it."""
        from annbench.runner.session import build_and_save

        return build_and_save(request)

    def load(self, request: Message) -> dict[str, Any]:
        """Make one index ready for searches."""
        from annbench.runner.session import SearchSession

        self.session = SearchSession(request)
        return dict(self.session.summary)

    def point(self, request: Message) -> dict[str, Any]:
        """Measure one search point of the loaded index."""
        return dict(self.session.measure(request))

    def stream(self, request: Message) -> dict[str, Any]:
        """Go through a runbook with an index made for it."""
        from annbench.runner.streaming import run_stream

        return run_stream(request)

    def score(self, request: Message) -> dict[str, Any]:
        """Score the ids of a point; this role reads the base, so it is never the process that is measured."""
        from annbench.runner.scoring import Scoring

        self.scoring = self.scoring or Scoring()
        return dict(self.scoring.score(request))


def failure(error: BaseException) -> dict[str, str]:
    """An exception as a status that a record can carry."""
    match error:
        case InvalidOutputError():
            status = "invalid_output"
        case UnsupportedError():
            status = "unsupported"
        case MissingLibraryError() | DatasetError():
            status = "config_error"
        case MemoryError():
            status = "oom"
        case _:
            status = "oom" if "bad_alloc" in str(error) else "crashed"
    if isinstance(error, AnnbenchError):
        return {"status": status, "detail": str(error)[:4000]}
    traceback.print_exception(error, file=sys.stderr)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    return {"status": status, "detail": f"{type(error).__name__}: {error}{place}"[:4000]}


def main() -> None:
    """Serve until the supervisor hangs up."""
    channel = Channel.from_descriptor(SETTINGS.descriptor)
    if SETTINGS.protocol != PROTOCOL_VERSION:
        channel.send("failed", status="config_error", detail=(
            f"annbench here speaks protocol {PROTOCOL_VERSION}, the supervisor {SETTINGS.protocol}; "
            "install the same version of annbench in both environments"
        ))  # fmt: skip
        return
    worker = Worker()
    handlers = {name: getattr(worker, name) for name in ("describe", "build", "load", "point", "stream", "score")}
    while (request := channel.receive()) is not None and request["type"] != "end":
        try:
            answer = handlers[request["type"]](request)
        except Exception as error:
            channel.send("failed", **failure(error))
        else:
            channel.send("done", **answer)


if __name__ == "__main__":
    main()
