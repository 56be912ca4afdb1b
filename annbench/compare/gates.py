"""What fails a comparison: `recall=0.002,bytes=1%,qps=5%`, and the recalls at which time is compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from annbench.compare.frontier import RECALL_TARGETS
from annbench.compare.statistics import MIN_SLOWDOWN
from annbench.errors import UnknownNameError, UsageError

OPTION = "--fail-on"
EXAMPLE = "recall=0.002,bytes=1%,qps=5%"
RECALL_TOLERANCE = 0.002
BYTES_TOLERANCE = 0.01
COUNTER_TOLERANCE = 0.005  # where index, instruction set or threads differ; elsewhere counters agree exactly

GATES: Mapping[str, str] = {
    "recall": "absolute, as in recall=0.002: recall@k of the same parameters falls by more",
    "bytes": "in percent: the serialized index grows by more",
    "counters": "in percent: distances computed and the like grow by more",
    "qps": f"in percent, at least {MIN_SLOWDOWN:.1%}: a query proven to take so much longer",
    "p99": f"in percent, at least {MIN_SLOWDOWN:.1%}: the 99th percentile of latency likewise",
}
_TIMED = ("qps", "p99")


@dataclass(frozen=True)
class Gates:
    """The tolerances; what has none is shown and fails nothing. `counters` None with `gates_counters` is the rule."""

    recall: float | None = RECALL_TOLERANCE
    bytes: float | None = BYTES_TOLERANCE
    counters: float | None = None
    gates_counters: bool = True
    qps: float | None = MIN_SLOWDOWN
    p99: float | None = None

    @property
    def text(self) -> str:
        """As it would be typed."""
        parts = [
            "" if self.recall is None else f"recall={self.recall:g}",
            "" if self.bytes is None else f"bytes={_percent(self.bytes)}",
            "" if self.counters is None else f"counters={_percent(self.counters)}",
            "" if self.qps is None else f"qps={_percent(self.qps)}",
            "" if self.p99 is None else f"p99={_percent(self.p99)}",
        ]
        return ",".join(part for part in parts if part)


def parse_gates(text: str | None) -> Gates:
    """The gates of `--fail-on`; without it the defaults. Raises UsageError for anything not understood."""
    if text is None:
        return Gates()
    found: dict[str, float] = {}
    for item in text.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not name and not value:
            raise UsageError("an empty part", where=f"{OPTION} {text}", remedy=f"write it like {EXAMPLE}")
        if name not in GATES:
            raise UnknownNameError("gate", name, GATES, where=OPTION)
        if not equals:
            raise UsageError(
                f"{name} has no value", where=f"{OPTION} {text}", remedy=f"{name} is {GATES[name]}; like {EXAMPLE}"
            )
        if name in found:
            raise UsageError(f"{name} is given twice", where=f"{OPTION} {text}", remedy="give it once")
        found[name] = _value(name, value)
    return Gates(
        recall=found.get("recall"),
        bytes=found.get("bytes"),
        counters=found.get("counters"),
        gates_counters="counters" in found,
        qps=found.get("qps"),
        p99=found.get("p99"),
    )


def parse_targets(text: str | None) -> tuple[float, ...]:
    """The recalls of `--at-recall 0.90,0.95`, ascending. Raises UsageError."""
    if text is None:
        return RECALL_TARGETS
    targets = set()
    for item in text.split(","):
        try:
            target = float(item)
        except ValueError:
            target = 0.0
        if not 0 < target < 1:
            raise UsageError(
                f"{item.strip()!r} is no recall between 0 and 1",
                where="--at-recall",
                remedy="write it like --at-recall 0.90,0.95",
            )
        targets.add(target)
    return tuple(sorted(targets))


def _value(name: str, text: str) -> float:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(%?)", text)
    if match is None:
        raise UsageError(f"{text!r} is no number", where=f"{OPTION} {name}", remedy=f"write it like {EXAMPLE}")
    number, percent = float(match.group(1)), bool(match.group(2))
    if name == "recall":
        if percent or not 0 <= number < 1:
            raise UsageError(
                f"{text!r} is no difference of recalls",
                where=f"{OPTION} {name}",
                remedy="recall is absolute: write it like recall=0.002",
            )
        return number
    if not percent:
        raise UsageError(
            f"{text!r} has no %", where=f"{OPTION} {name}", remedy=f"{name} is in percent: write it like {name}=5%"
        )
    if name in _TIMED and number / 100 < MIN_SLOWDOWN - 1e-12:
        raise UsageError(
            f"{text} is less than the test ever flags",
            where=f"{OPTION} {name}",
            remedy=f"write at least {name}={_percent(MIN_SLOWDOWN)}",
        )
    return number / 100


def _percent(value: float) -> str:
    return f"{100 * value:g}%"
