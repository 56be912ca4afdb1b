"""What a training run is asked for."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MOST_STEPS = 3

Objective = Literal["ranking", "info_nce"]

# What goes with an objective where it is not given.
_USUAL: dict[str, dict[str, Any]] = {
    "ranking": {"batch": 64, "learning_rate": 1e-4, "momentum": 0.998},
    "info_nce": {"batch": 512, "learning_rate": 5e-5, "momentum": 0.99},
}


class TrainingPlan(BaseModel):
    """`bits` of a code, of which each of its dimensions has `steps` + 1; what the rest is, is said by Gan et
    al. (KDD'23). The defaults are what has raised recall most with one step, of the little that was tried.

    By `ranking` (annbench/train/ranking.py) every anchor has `negatives`, looked for every `mine_every` batches. By
    `info_nce` (annbench/train/info_nce.py), where vectors are paired with their neighbours, a batch is made of
    neighbourhoods: some vectors with the `neighbourhood` nearest of each, itself among them; 1 for vectors at random.

    Without a `temperature` it is that of the objective; ranking's goes with the noise of codes of so many dimensions.
    Where training is evaluated, it is an average: of all batches so far, the later the more, or by `momentum`.

    It ends after `epochs` or `minutes`, or where recall on held-out queries has not risen for `patience` evaluations,
    one every `evaluate_every` batches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bits: int = Field(default=256, ge=8, le=1 << 15)
    steps: int = Field(default=1, ge=0, le=MOST_STEPS)
    objective: Objective = "ranking"
    hidden: int = Field(default=256, ge=0, le=1 << 14)
    blocks: int = Field(default=1, ge=1, le=4)
    neighbours: int = Field(default=10, ge=1, le=1000)
    neighbourhood: int = Field(default=32, ge=1, le=1000)
    batch: int = Field(ge=2, le=1 << 16)
    negatives: int = Field(default=40, ge=1, le=1000)
    mine_every: int = Field(default=32, ge=1)
    epochs: int = Field(default=30, ge=1)
    minutes: float | None = Field(default=10.0, gt=0)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    temperature: float | None = Field(default=None, gt=0)
    hardest: int = Field(default=256, ge=1)
    queue_batches: int = Field(default=0, ge=0, le=1024)
    momentum: float = Field(ge=0, lt=1)
    clip: float = Field(default=5.0, gt=0)
    evaluate_every: int = Field(default=128, ge=1)
    patience: int = Field(default=10, ge=1)
    held_out: int = Field(default=1000, ge=10)
    corpus: int = Field(default=50_000, ge=100)
    threads: int = Field(default=1, ge=1)
    device: str = "cpu"
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {**_USUAL.get(given.get("objective", "ranking"), {}), **given}

    @field_validator("device")
    @classmethod
    def _known(cls, device: str) -> str:
        if not re.fullmatch("cpu|cuda(:[0-9]{1,2})?", device):  # torch takes numbers above 127 for negative ones
            raise ValueError(f"got {device!r}; give cpu, cuda or cuda:N")
        return device

    @model_validator(mode="after")
    def _divisible(self) -> TrainingPlan:
        if self.bits % (self.steps + 1):
            raise ValueError(
                f"bits {self.bits} cannot be shared by dimensions of {self.steps + 1} bits; set a multiple of it"
            )
        if self.objective == "ranking" and self.evaluate_every % self.mine_every:
            raise ValueError(
                f"evaluate_every {self.evaluate_every} is no multiple of mine_every {self.mine_every}: "
                "runs are resumed at evaluations, where negatives are looked for"
            )
        return self

    @property
    def dim(self) -> int:
        """Of the codes."""
        return self.bits // (self.steps + 1)
