"""Published claims beside what was measured: a config may carry one, and its records keep it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annbench.config.model import Claim, Figure
from annbench.report import formatting as fmt
from annbench.report.point import Point
from annbench.report.setting import Setting
from annbench.results.schema import Record

SOURCES = {
    "abstract": "as the paper's abstract claims",
    "documentation": "as its authors' documentation says",
    "recalled": "as recalled; not verified against the paper",
}
NOT_MEASURED = "not measured"
NOT_AGAIN = "cannot be measured again here"


@dataclass(frozen=True)
class Measured:
    """A figure of a claim with the points that were measured for it; `value` is None where one of them is missing."""

    figure: Figure
    value: str | None
    of: Point | None
    against: Point | None

    @property
    def text(self) -> str:
        """The measured figure, or why there is none."""
        return self.value or (NOT_AGAIN if self.figure.measure == "nothing" else NOT_MEASURED)

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            **self.figure.model_dump(mode="json"),
            "measured": self.value,
            "of_point": self.of and asdict(self.of),
            "against_point": self.against and asdict(self.against),
        }


@dataclass(frozen=True)
class ClaimMeasured:
    """A claim in one setting: `title` is the setting's."""

    claim: Claim
    title: str
    n: int
    dim: int
    figures: tuple[Measured, ...]

    @property
    def source(self) -> str:
        """Where the claim was taken from, in words."""
        return SOURCES[self.claim.source]

    def as_json(self) -> dict[str, Any]:
        """JSON types only."""
        claim = self.claim.model_dump(mode="json", exclude={"figures"})
        return {**claim, "setting": self.title, "figures": [figure.as_json() for figure in self.figures]}


def claims_measured(records: Iterable[Record], settings: Sequence[Setting]) -> list[ClaimMeasured]:
    """Every claim among `records`, in every setting in which one of its figures was measured.

    A point that two configs ask for is measured once and keeps the claim of the first: figures are therefore looked up
    by label among all points of a setting.
    """
    claims = {record.claim.model_dump_json(): record.claim for record in records if record.claim is not None}
    found = []
    for claim in claims.values():
        for setting in settings:
            points = _by_label(setting)
            figures = tuple(_measured(figure, points) for figure in claim.figures)
            if any(figure.value is not None for figure in figures):
                found.append(ClaimMeasured(claim, setting.title, setting.n, setting.dim, figures))
    return found


def _by_label(setting: Setting) -> dict[str, Point]:
    """Of every label, the point with the highest recall; the faster of equals."""
    best: dict[str, Point] = {}
    for row in setting.points.to_dict("records"):
        name = str(row["algorithm"])
        if not name.endswith(")"):
            continue
        label, point = name[name.rindex("(") + 1 : -1], Point.of(row)
        known = best.get(label)
        if known is None or (point.recall, point.qps) > (known.recall, known.qps):
            best[label] = point
    return best


def _measured(figure: Figure, points: dict[str, Point]) -> Measured:
    of = None if figure.of is None else points.get(figure.of)
    against = None if figure.against is None else points.get(figure.against)
    complete = of is not None and (figure.against is None or against is not None)
    return Measured(figure, _text(figure, of, against) if of is not None and complete else None, of, against)


def _text(figure: Figure, of: Point, against: Point | None) -> str | None:
    mine, other = _value(figure, of), None if against is None else _value(figure, against)
    if mine is None or (against is not None and other is None):
        return None
    if figure.measure == "recall":
        if other is None:
            return fmt.recall_text(mine)
        return f"{fmt.recall_text(mine)} against {fmt.recall_text(other)}: {mine - other:+.4f}"
    shown, word = _WORDS[figure.measure]
    if other is None:
        return f"{fmt.significant(mine)} {shown}"
    ratio = mine / other if figure.measure == "qps" else other / mine
    return f"{fmt.significant(ratio)} × {word} ({fmt.significant(mine)} against {fmt.significant(other)} {shown})"


_WORDS = {
    "bytes": ("bytes/vector", "smaller"),
    "qps": ("QPS", "faster"),
    "build_seconds": ("s to build", "faster"),
}


def _value(figure: Figure, point: Point) -> float | None:
    values = {
        "recall": point.recall,
        "bytes": point.bytes_per_vector,
        "qps": point.qps,
        "build_seconds": point.build_seconds,
    }
    value = values[figure.measure]
    return value if value or figure.measure == "recall" else None  # nothing is compared with a build of no time
