"""What preset auto is asked for, and what is expected of it before the vectors are seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from annbench.indexes.choice import Choice, choose
from annbench.indexes.presets import AUTO, FLAT_ROWS, leanvec
from annbench.indexes.spec import IndexSpec, make_spec, with_choices

K = 10  # that recall is counted at


class Auto(Choice):
    """Dimension, bits, finer copy and structure chosen for the vectors at hand, and the reasons kept in the index.

    A sample is drawn under the index' seed: 8,192 vectors that codes are tried on, others whose spectrum is learned,
    and 256 held out as queries, or training `queries` where they are given. The sizes of codes that fill cache lines
    are tried from the smallest on, really coded and scanned; the first whose short list holds enough of the true
    neighbours is chosen, with 8 bits or float16 to decide among the short list where the codes alone do not suffice.
    Recall is extrapolated from a quarter of the sample and all of it to the number of vectors. Then searches by scan,
    lists and graph are timed over 2,048 of them, for processor time, about two seconds in all on one core below 1,024
    dimensions.

    Dimension, bits and finer copy depend on the vectors, the training queries and the seed alone. The structure is the
    one that the number of vectors suggests, flat up to 10,000 and a graph beyond, unless another one is measured to be
    twice as fast: so that chance does not decide between what is nearly equal.

    - `recall` is what recall@10 is to be reached with some search parameters.
    - `bytes_per_vector` is how many a vector may take, links and finer copy included, lists and tables not.
    """

    kind: Literal["auto"] = "auto"
    recall: float = Field(default=0.95, gt=0, lt=1)
    bytes_per_vector: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @property
    def needed(self) -> float:
        """The recall that codes must allow for: a search finds less than what they would."""
        return self.recall + (1 - self.recall) / 2


def named(preset: str | Mapping[str, Any] | Auto | None) -> tuple[Auto | None, str | None]:
    """The wish that `preset` is, `auto` or `{kind: auto, …}`, or None; and the name of the preset, None for none.

    Raises UnknownNameError and UsageError as `choose`.
    """
    if preset is None or (isinstance(preset, str) and preset != AUTO):
        return None, preset
    return choose("preset", {AUTO: Auto}, preset), AUTO


def expected_spec(n: int, dim: int, metric: str, choices: Mapping[str, Any]) -> IndexSpec:
    """About what auto makes of n vectors that nobody has seen yet, with those slots of `choices` that are not None."""
    return with_choices(make_spec() if n <= FLAT_ROWS else leanvec(n, dim, metric), choices)
