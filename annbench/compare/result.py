"""What a comparison says, as it is written with `--json`; docs/compare.schema.json is made from this."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["regression", "inconclusive", "improvement", "pass", "not comparable", "not reached", "shown"]
Scope = Literal["point", "build", "recall"]
Metric = Literal["status", "recall", "bytes", "counter", "qps", "p99", "build_seconds"]
Mark = Literal["", "≥", "≈"]

# Worst first.
ORDER: tuple[Verdict, ...] = (
    "regression",
    "inconclusive",
    "not reached",
    "not comparable",
    "improvement",
    "pass",
    "shown",
)


class Part(BaseModel):
    """Base of the document's parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(Part):
    """One side's figure; `low` and `high` are a 95 % interval for its median over workers, or None with one worker.

    `mark` is ≥ where even the fastest point exceeds the recall asked for, ≈ where the points around it are too far
    apart. `configuration` names the point, or the two points that it lies between.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    mark: Mark = ""
    recall: float | None = None
    configuration: str = ""


class Evidence(Part):
    """What a verdict on time rests on: `pairs` tested after a pilot, Holm-adjusted p, marked outliers."""

    pairs: int
    slowdown: float  # 0.05: the new side takes 5 % longer
    low: float
    high: float
    p_slower: float
    p_faster: float
    outliers: int
    same_ids: bool


class Cell(Part):
    """One figure of one thing, on both sides.

    `scope`: `point` (the same parameters), `build` (the same index) or `recall` (at equal recall, `target`). `change`
    is new − base for recall and new ÷ base − 1 for all else, None where it would mean nothing. `gates` tells whether
    a regression here fails the comparison.
    """

    scope: Scope
    metric: Metric
    counter: str | None = None
    series: str
    setting: str
    subject: str  # parameters, or `recall 0.95`
    target: float | None = None
    base: Figure
    new: Figure
    change: float | None = None
    tolerance: float | None = None
    gates: bool
    verdict: Verdict
    reason: str = ""
    evidence: Evidence | None = None

    @property
    def verdict_text(self) -> str:
        """`pass`, `not comparable (taken apart)`, `inconclusive: machine too noisy (detects ≥ 7 %)`."""
        if not self.reason:
            return self.verdict
        return f"{self.verdict}: {self.reason}" if self.verdict == "inconclusive" else f"{self.verdict} ({self.reason})"


class SideFacts(Part):
    """What was read on one side."""

    name: str
    measurements: int
    machines: int
    versions: dict[str, list[str]]


class Comparison(Part):
    """The whole document; cells come worst first."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="annbench compare")

    schema_version: Literal[1] = 1
    annbench: str
    base: SideFacts
    new: SideFacts
    at_recall: tuple[float, ...]
    fail_on: str
    outcome: Literal["fine", "regression", "nothing comparable"]
    exit_code: Literal[0, 1, 3]
    tested_cells: int = Field(description="how many cells of time share the error rate of the test")
    cells: tuple[Cell, ...]
    notes: tuple[str, ...] = ()

    def count(self, verdict: Verdict) -> int:
        """How many cells have this verdict."""
        return sum(cell.verdict == verdict for cell in self.cells)


def json_schema() -> dict[str, Any]:
    """The JSON schema of the document."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Comparison.model_json_schema()}
