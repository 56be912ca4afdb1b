"""Which of the stored records a report is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from annbench.errors import UnknownNameError
from annbench.results.frame import OVERHEAD_ALGORITHM
from annbench.results.schema import Record


def select_records(
    records: Iterable[Record],
    *,
    datasets: Sequence[str] = (),
    algorithms: Sequence[str] = (),
    query_sets: Sequence[str] = (),
) -> list[Record]:
    """The records of these datasets, algorithms and query sets; an empty choice takes all.

    The null adapter always stays, since it says what the harness cost. Raises UnknownNameError for a name
    that no record has.
    """
    rows = list(records)
    choices = (
        ("dataset", "--dataset", datasets, {r.dataset.name for r in rows}),
        ("algorithm", "--algorithm", algorithms, {r.key.algorithm for r in rows}),
        ("query set", "--queries", query_sets, {r.key.query_set for r in rows}),
    )
    for kind, option, names, there in choices:
        for name in names:
            if rows and name not in there:
                raise UnknownNameError(f"{kind} in these results", name, there, where=option)
    wanted = {*algorithms, OVERHEAD_ALGORITHM}
    return [
        r
        for r in rows
        if (not datasets or r.dataset.name in datasets)
        and (not algorithms or r.key.algorithm in wanted)
        and (not query_sets or r.key.query_set in query_sets)
    ]
