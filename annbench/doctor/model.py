"""What `annbench doctor` answers: findings, and the figures they rest on. This is the form of `--json`.

Keys are stable: a change of meaning raises SCHEMA_VERSION. Rows are counted from 0, as in the file. A figure that could
not be worked out (an array that cannot be read, a quantity that the metric does not define) is null.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from annbench.distances import Metric
from annbench.metrics.difficulty import Verdict

SCHEMA_VERSION = 1

Severity = Literal["error", "warning", "note", "ok"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note", "ok")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null")


class Finding(_Model):
    """One thing that was looked for. `code` names it for programs; `subject` is what part of the file it is about.

    error: the file cannot be used, or gives false results; warning: results will mislead those who do not know;
    note: good to know; ok: looked for, not found. `count` is how many rows, columns or queries are concerned, `rows`
    the first of them.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    remedy: str = ""
    count: int | None = None
    rows: tuple[int, ...] = ()


class Spread(_Model):
    """Summary of a sample of numbers."""

    mean: float
    std: float
    minimum: float
    p05: float
    median: float
    p95: float
    maximum: float


class Duplicates(_Model):
    """Rows that are exactly alike, over the whole array. `groups` counts distinct vectors that occur more than once,
    `copies` the rows beyond the first of each; `example` are the first rows of the largest group.
    """

    groups: int
    copies: int
    largest_group: int
    example: tuple[int, ...] = ()


class ArrayFigures(_Model):
    """One array of vectors, read whole. The counts before `lengths` are of rows; `lengths` are L2 norms, or set bits,
    or elements of sets, of the rows that can be used.
    """

    name: str
    rows: int
    nan_rows: int
    inf_rows: int
    overflow_rows: int  # finite, but a distance to them overflows float32
    undefined_rows: int  # the metric gives them no distance to anything
    zero_rows: int
    duplicates: Duplicates | None
    lengths: Spread | None
    examples: dict[str, tuple[int, ...]] = {}  # the first rows of `nan`, `inf`, `overflow`, `undefined`, `zero`


class Overlap(_Model):
    """Rows of one array that are exactly rows of another; `example` is (row, row of the other)."""

    rows: int
    example: tuple[int, int] | None = None


class Disagreement(_Model):
    """The first list found with a distance that is not the true one, and the worst of that list."""

    query: int
    column: int
    row: int
    stored: float
    true: float
    explanation: str


class TruthFigures(_Model):
    """The stored neighbours and distances of a query set. The `lists_…` are counts over the whole truth;
    the others come from a sample of queries.
    """

    lists: int  # one a query
    stored_k: int
    lists_with_unknown_ids: int
    lists_with_repeats: int
    lists_not_finite: int
    lists_unsorted: int
    sampled_queries: int = 0
    distances_compared: int = 0
    distances_agreeing: int = 0
    largest_relative_error: float | None = None  # |stored − true| ÷ |true|, over true distances that are not 0
    disagreement: Disagreement | None = None
    neighbors_compared: int = 0
    neighbors_true: int = 0  # no farther than the last true one, ties allowed
    queries_with_wrong_neighbors: int = 0
    examples: dict[str, tuple[int, ...]] = {}  # the first of `unknown_ids`, `repeats`, `not_finite`, `unsorted`
    largest_excess: float | None = None  # how much farther than the last true one a wrong one is, relative to that


class TieFigures(_Model):
    """How often the k-th place is a matter of rounding: shares of the sampled queries whose (k+1)-th neighbour is at
    most this much farther than the k-th, relative to the k-th distance.
    """

    k: int
    sampled_queries: int
    exact: float
    within_1e_6: float
    within_1e_3: float


class LidFigures(_Model):
    """Local intrinsic dimensionality by maximum likelihood over k neighbours: means over `points`."""

    k: int
    points: int
    undefined: int  # points with too few neighbours that are not copies, or all of them equally far
    plain_mean: float | None
    plain_harmonic: float | None
    unbiased_mean: float | None
    unbiased_harmonic: float | None
    unbiased_median: float | None
    unbiased_p05: float | None
    unbiased_p95: float | None


class NeighborhoodFigures(_Model):
    """What a sample of points (rows of the base, or queries) sees of the base, zero distances left out."""

    name: str
    points: int
    lid: tuple[LidFigures, ...]
    mean_distance: float | None
    nearest: Spread | None
    kth: Spread | None
    contrast_nearest: float | None  # mean distance ÷ mean distance to the nearest
    contrast_kth: float | None
    near_copies: int  # points whose nearest is closer than a thousandth of the mean distance, without being a copy
    zero_distance: int  # points at distance 0, to rounding, from some row
    hub_share: float | None  # of the points' k nearest: the share of lists that the most frequent row is in


class VarianceFigures(_Model):
    """Variance of the base by principal direction, from a sample of rows."""

    rows: int
    dims_90: int
    dims_95: int
    dims_99: int
    participation: float  # (Σλ)² ÷ Σλ²: dimensions, if all counted alike
    mean_share: float  # ‖mean vector‖ ÷ root mean square length: 0 centred, 1 all alike
    constant_columns: int
    constant_example: tuple[int, ...]
    zero_columns: int
    shares: tuple[float, ...]  # cumulative share of the variance after each direction


class ShiftFigures(_Model):
    """Queries against held-out rows of the base. Each `…_exceedance` is the probability that a query has the greater
    value: ½ if they are alike; `separability` is that along the line that tells the two apart best.
    """

    query_set: str
    queries: int
    base_rows: int
    mahalanobis_exceedance: float | None
    mahalanobis_base: float | None  # medians
    mahalanobis_queries: float | None
    nearest_exceedance: float | None
    kth_exceedance: float | None
    separability: float | None
    verdict: Verdict


class Curve(_Model):
    """Histograms over common edges: for each name the share of its sample in each bin. Outliers are in none."""

    edges: tuple[float, ...]
    shares: dict[str, tuple[float, ...]]


class Diagnosis(_Model):
    """Everything. Arrays are named `base`, and after their query set: `test`, `test learn`, …"""

    schema_version: int = SCHEMA_VERSION
    name: str
    path: str
    metric: Metric
    dtype: str
    n: int
    dim: int
    k: int
    sample: int
    seed: int
    measured_in: str  # the distance that LID, contrast and nearest neighbours are of
    not_defined: tuple[str, ...]  # what the metric does not define
    findings: tuple[Finding, ...]
    arrays: tuple[ArrayFigures, ...]
    leaks: dict[str, Overlap]  # by array name: rows that are rows of the base
    learn_overlaps: dict[str, Overlap]  # by query set: queries that are among those an index may be fitted on
    truth: dict[str, TruthFigures]
    ties: dict[str, TieFigures]
    neighborhoods: tuple[NeighborhoodFigures, ...]
    variance: VarianceFigures | None
    shifts: tuple[ShiftFigures, ...]
    curves: dict[str, Curve]  # `lid`, `nearest`, `lengths`

    @property
    def worst(self) -> Severity:
        """The severity of the worst finding."""
        found = {finding.severity for finding in self.findings}
        return next((severity for severity in SEVERITIES if severity in found), "ok")

    def count(self, severity: Severity) -> int:
        """How many findings there are of it."""
        return sum(finding.severity == severity for finding in self.findings)
