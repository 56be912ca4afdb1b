"""The `streaming:` part of a configuration: what happens to an index while it is searched.

task: streaming
streaming:
  generate: {kind: sliding-window, parts: 20}
# or a file of big-ann-benchmarks:
#   runbook: final_runbook.yaml
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from annbench.config.base import Model

RunbookKind = Literal["sliding-window", "random-replace", "expiration"]


class Generate(Model):
    """A runbook made for the dataset: its first `rows` rows (None: all) in `parts` of equal size.

    `share` is how much of it is there at once: for `sliding-window` the width of the window, for `random-replace` what
    is inserted before the rest replaces it, for `expiration` what never expires.
    """

    kind: RunbookKind
    rows: Annotated[int, Field(ge=4)] | None = None
    parts: Annotated[int, Field(ge=2, le=3000)] = 20
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42


class Streaming(Model):
    """A runbook, from a file or generated, and how its steps are measured.

    `runbook` is relative to the config file; of a file about several datasets, `section` names the one. Vectors are
    inserted, deleted and replaced `update_batch` at a time, each call timed by itself; None hands over a step as a
    whole. `index_bytes: false` leaves out saving the index at every search, where that takes too long.
    """

    runbook: Annotated[str, Field(min_length=1)] | None = None
    section: Annotated[str, Field(min_length=1)] | None = None
    generate: Generate | None = None
    update_batch: Annotated[int, Field(ge=1)] | None = 1000
    index_bytes: bool = True

    @model_validator(mode="after")
    def _one_runbook(self) -> Streaming:
        if (self.runbook is None) == (self.generate is None):
            raise ValueError("give a runbook or generate, one of the two")
        if self.section is not None and self.runbook is None:
            raise ValueError("a section is of a runbook: give its file")
        return self
