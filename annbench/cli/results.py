"""`annbench results`: list and export what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annbench.cli.completion import algorithm_names, dataset_names
from annbench.cli.options import RESULTS, AsJson, ResultsDir

if TYPE_CHECKING:
    from annbench.results.schema import Record

app = typer.Typer(no_args_is_help=True)


class Format(StrEnum):
    """What `export` writes."""

    CSV = "csv"
    PARQUET = "parquet"


@app.command("ls")
def ls(
    results: ResultsDir = RESULTS,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Only this dataset.", autocompletion=dataset_names)
    ] = None,
    algorithm: Annotated[
        str | None, typer.Option("--algorithm", help="Only this algorithm.", autocompletion=algorithm_names)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the stored points."""
    from annbench.cli.output import print_json, stdout
    from annbench.results.listing import listing_rows, listing_table

    rows = listing_rows(_records(results), dataset=dataset, algorithm=algorithm)
    if as_json:
        print_json(rows)
    else:
        stdout().print(listing_table(rows))


@app.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="File to write; its ending chooses the format.")],
    results: ResultsDir = RESULTS,
    kind: Annotated[Format | None, typer.Option("--format", help="csv or parquet; default: by the ending.")] = None,
) -> None:
    """Write all records as one flat table."""
    from annbench.cli.progress import say
    from annbench.results.listing import export_records

    count = export_records(_records(results), target, kind.value if kind else None)
    say(f"{count} points written to {target}")


def _records(folder: Path) -> Iterator[Record]:
    from annbench.cli.progress import warn
    from annbench.results.store import ResultStore

    return ResultStore(folder).records(on_damage=lambda error: warn(f"passed over: {error}"))
