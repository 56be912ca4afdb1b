"""What is found of an upgrade, as a report and JSON have it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Quality(_Part):
    """Means over queries. `hit_*` and `mrr_at_10` are of known items, None where the data name none; `recall_at_10` is
    against the exact neighbours by the newest model's vectors. `*_low` and `*_high` are 95 % bootstrap intervals.
    """

    hit_at_1: float | None
    hit_at_10: float | None
    hit_at_10_low: float | None
    hit_at_10_high: float | None
    mrr_at_10: float | None
    recall_at_10: float
    recall_at_10_low: float
    recall_at_10_high: float

    @property
    def main(self) -> float:
        """What models are compared by: known items where there are such, else the newest model's neighbours."""
        return self.recall_at_10 if self.hit_at_10 is None else self.hit_at_10


class FlipFigures(_Part):
    """Queries whose known item was found among the first k and is not any more, and the other way round."""

    k: int
    negative: int
    positive: int
    negative_rate: float


class Outcome(_Part):
    """New queries over the old gallery in one way. `compatible`: more of the main measure than the old system has."""

    way: str
    about: str
    keeps_codes: bool
    quality: Quality
    gain: float | None
    compatible: bool
    flips: tuple[FlipFigures, ...]


class Point(_Part):
    """`share` of the gallery re-embedded by the new model, 0 to 1."""

    share: float
    quality: Quality


class Curve(_Part):
    """Of one way; the old part's score s counts as slope·s + offset."""

    way: str
    slope: float
    offset: float
    points: tuple[Point, ...]


class Family(_Part):
    """All ways over one kind of codes. `old_alone` and `new_alone` are both models by themselves."""

    codes: str
    old_bytes_per_vector: float
    new_bytes_per_vector: float
    old_alone: Quality
    new_alone: Quality
    new_flips: tuple[FlipFigures, ...]
    outcomes: tuple[Outcome, ...]
    curves: tuple[Curve, ...]


class Upgrade(_Part):
    """From one model to a newer one."""

    old: str
    new: str
    families: tuple[Family, ...]


class Compatibility(_Part):
    """C[i, j] of queries of model i in the gallery of model j by the main measure, None above the diagonal; `ac` is
    None with one model.
    """

    way: str
    codes: str
    matrix: tuple[tuple[float | None, ...], ...]
    ac: float | None
    am: float


class ModelFacts(_Part):
    """One generation. `about` is what the file says of the model."""

    name: str
    dim: int
    sha256: str
    about: str


class UpgradeReport(_Part):
    """All of it. `measure` names the main measure: hit@10 or recall@10."""

    models: tuple[ModelFacts, ...]
    items: int
    queries: int
    query_set: str
    measure: str
    pairs: int
    pairs_of: str
    seed: int
    upgrades: tuple[Upgrade, ...]
    compatibility: tuple[Compatibility, ...]
