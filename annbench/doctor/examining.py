"""The child process of `annbench doctor`: it alone opens the file."""

from __future__ import annotations

import json
import sys
from typing import Any

from annbench.datasets.child import end_with_parent, error_line
from annbench.datasets.dataset import Dataset
from annbench.datasets.inspect import limit_memory
from annbench.doctor.examination import Examination
from annbench.doctor.examine import ExamineRequest
from annbench.errors import EXIT_INTERRUPTED, AnnbenchError, DatasetError


def _main() -> None:
    request = ExamineRequest.model_validate_json(sys.stdin.readline())
    end_with_parent()
    limit_memory(request.path)

    def say(line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    try:
        with Dataset(request.path) as dataset:
            progress = _Throttled(say)
            say({"result": Examination(dataset, request, progress).run().model_dump(mode="json")})
    except AnnbenchError as error:
        say(error_line(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except MemoryError:
        say(
            error_line(
                DatasetError(
                    "examining it takes more memory than it should",
                    where=str(request.path),
                    remedy="lower --sample; if that does not help, the file's sizes are not believable",
                )
            )
        )


class _Throttled:
    """Says progress when it has moved by a hundredth."""

    def __init__(self, say: Any) -> None:
        self._say, self._last = say, ("", -1.0)

    def __call__(self, phase: str, fraction: float) -> None:
        if phase != self._last[0] or fraction >= self._last[1] + 0.01:
            self._last = (phase, fraction)
            self._say({"progress": {"phase": phase, "fraction": fraction}})


if __name__ == "__main__":
    _main()
