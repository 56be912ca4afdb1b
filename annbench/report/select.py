"""Which of the stored records a report is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from annbench.errors import UnknownNameError
from annbench.results.frame import OVERHEAD_ALGORITHM
from annbench.results.schema import Record


def select_records(
    records: Iterable[Record], *, datasets: Sequence[str] = (), algorithms: Sequence[str] = ()
) -> list[Record]:
    """The records of these datasets and algorithms; an empty choice takes all.

    The null adapter always stays, since it says what the harness cost. Raises UnknownNameError for a name
    that no record has.
    """
    rows = list(records)
    known = {r.dataset.name for r in rows}, {r.key.algorithm for r in rows}
    for kind, names, there in zip(("dataset", "algorithm"), (datasets, algorithms), known, strict=True):
        for name in names:
            if rows and name not in there:
                raise UnknownNameError(f"{kind} in these results", name, there, where=f"--{kind}")
    wanted = {*algorithms, OVERHEAD_ALGORITHM}
    return [
        r
        for r in rows
        if (not datasets or r.dataset.name in datasets) and (not algorithms or r.key.algorithm in wanted)
    ]
