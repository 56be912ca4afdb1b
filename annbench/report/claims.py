"""Published claims beside what was measured: a config may carry one, and its records keep it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annbench.config.model import Claim, Figure
from annbench.report import formatting as fmt
from annbench.report.budget import bytes_over_a_million
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


@dataclass(frozen=True)
class _Labelled:
    """A point with what it takes a vector where its tables are shared by a million; None if they are not known."""

    point: Point
    bytes_million: float | None

    def value(self, measure: str) -> float | None:
        """The measured figure; None for one that is missing, or a time of 0, with which nothing can be compared."""
        point = self.point
        if measure == "recall":
            return point.recall
        values = {"bytes": point.bytes_per_vector, "qps": point.qps, "build_seconds": point.build_seconds}
        return values[measure] or None


def _by_label(setting: Setting) -> dict[str, _Labelled]:
    """Of every label, the point with the highest recall; the faster of equals."""
    best: dict[str, _Labelled] = {}
    for row in setting.points.to_dict("records"):
        name = str(row["algorithm"])
        if not name.endswith(")"):
            continue
        label, point = name[name.rindex("(") + 1 : -1], Point.of(row)
        known = best.get(label)
        if known is None or (point.recall, point.qps) > (known.point.recall, known.point.qps):
            best[label] = _Labelled(point, bytes_over_a_million(point, row["table_bytes"], setting.n))
    return best


def _measured(figure: Figure, labelled: dict[str, _Labelled]) -> Measured:
    of = None if figure.of is None else labelled.get(figure.of)
    against = None if figure.against is None else labelled.get(figure.against)
    complete = of is not None and (figure.against is None or against is not None)
    value = _text(figure.measure, of, against) if of is not None and complete else None
    return Measured(figure, value, None if of is None else of.point, None if against is None else against.point)


_WORDS = {
    "bytes": ("bytes/vector", "smaller"),
    "qps": ("QPS", "faster"),
    "build_seconds": ("s to build", "faster"),
}
_WORSE = {"smaller": "larger", "faster": "slower"}


def _text(measure: str, of: _Labelled, against: _Labelled | None) -> str | None:
    mine, other = of.value(measure), None if against is None else against.value(measure)
    if mine is None or (against is not None and other is None):
        return None
    if measure == "recall":
        if other is None:
            return fmt.recall_text(mine)
        return f"{fmt.recall_text(mine)} against {fmt.recall_text(other)}: {mine - other:+.4f}"
    shown, word = _WORDS[measure]
    if other is None:
        return f"{fmt.significant(mine)} {shown}"
    ratio = mine / other if measure == "qps" else other / mine
    better = f"{fmt.significant(ratio)} × {word}" if ratio >= 1 else f"{fmt.significant(1 / ratio)} × {_WORSE[word]}"
    text = f"{better} ({fmt.significant(mine)} against {fmt.significant(other)} {shown})"
    return text + (_over_a_million(of, against) if measure == "bytes" else "")


def _over_a_million(of: _Labelled, against: _Labelled | None) -> str:
    """The same ratio where tables hardly weigh: papers speak of many vectors."""
    if against is None or of.bytes_million is None or against.bytes_million is None:
        return ""
    return f"; {fmt.significant(against.bytes_million / of.bytes_million)} × with tables shared by a million vectors"
