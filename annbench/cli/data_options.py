"""Options of the commands that read files of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from annbench.distances import Metric


def _bytes(text: str) -> int:
    from annbench.config.model import parse_bytes

    return cast(int, parse_bytes(text))


Queries = Annotated[Path | None, typer.Option("--queries", help="Queries; else some rows are held out.")]
Truth = Annotated[
    Path | None, typer.Option("--truth", help="Their nearest rows (.ivecs, .ibin …), checked; else computed.")
]
Learn = Annotated[Path | None, typer.Option("--learn", help="Further queries, that an index may be fitted on.")]
AnyMetric = Annotated[Metric | None, typer.Option("--metric", help="Needed for vectors.")]
Neighbors = Annotated[int, typer.Option("--k", min=1, help="True neighbours kept per query.")]
HeldOut = Annotated[
    int | None, typer.Option("--held-out", min=1, help="Rows held out as queries; default min(1000, n / 10).")
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of the choice of held-out rows.")]
Column = Annotated[str | None, typer.Option("--column", help="The vectors of a Parquet file.")]
IdColumn = Annotated[str | None, typer.Option("--id-column", help="The ids of a Parquet file; default: id.")]
Dimension = Annotated[
    int | None, typer.Option("--dimension", min=1, help="Bits of a packed row, where the last byte is not full.")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Default: every core.")]
Memory = Annotated[
    int,
    typer.Option(
        "--memory", parser=_bytes, metavar="SIZE", show_default="1GiB", help="For computing the truth, at most."
    ),
]
