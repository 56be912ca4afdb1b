"""`annbench results`: list, show, export and clean up what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annbench.cli import results_gc, results_show
from annbench.cli.options import RESULTS, AsJson, DataDir, OfAlgorithm, OfDataset, ResultsDir

if TYPE_CHECKING:
    from annbench.results.schema import Record

app = typer.Typer(no_args_is_help=True)


class Format(StrEnum):
    """What `export` writes."""

    CSV = "csv"
    PARQUET = "parquet"
    ANN_BENCHMARKS = "ann-benchmarks"


@app.command("ls")
def ls(
    results: ResultsDir = RESULTS,
    dataset: OfDataset = None,
    algorithm: OfAlgorithm = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Only points whose data, library, code or machine changed since, and why.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List the stored points."""
    from annbench.cli.output import print_json, stdout
    from annbench.results.listing import listing_rows, listing_table, select, stale_rows, stale_table

    records = list(_records(results))
    chosen = select(records, dataset=dataset, algorithm=algorithm)
    if stale:
        from annbench.cli.here import present
        from annbench.results.stale import stale_reasons

        # Over all records: what supersedes a chosen one need not be chosen.
        reasons = dict(zip(map(id, records), stale_reasons(records, present(data_dir)), strict=True))
        rows = stale_rows(chosen, [reasons[id(record)] for record in chosen])
    else:
        rows = listing_rows(chosen)
    if as_json:
        print_json(rows)
    else:
        empty = stale and not rows
        stdout().print("no stale points" if empty else stale_table(rows) if stale else listing_table(rows))


app.command("show")(results_show.show)


@app.command("export")
def export(
    target: Annotated[
        Path, typer.Argument(help="File to write; its ending chooses the format. For ann-benchmarks, a folder.")
    ],
    results: ResultsDir = RESULTS,
    dataset: OfDataset = None,
    algorithm: OfAlgorithm = None,
    kind: Annotated[
        Format | None, typer.Option("--format", help="csv, parquet or ann-benchmarks; default: by the ending.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write all records as one flat table, or as the files that ann-benchmarks plots."""
    from annbench.cli.progress import say
    from annbench.results.listing import export_records, select

    chosen = select(list(_records(results)), dataset=dataset, algorithm=algorithm)
    if kind is not Format.ANN_BENCHMARKS:
        count = export_records(chosen, target, kind.value if kind else None)
        say(f"{count} points written to {target}")
        return
    from annbench.datasets.library import data_dir as find_folder
    from annbench.results.ann_benchmarks import export_ann_benchmarks
    from annbench.results.present import DataFiles
    from annbench.results.store import ResultStore

    done = export_ann_benchmarks(ResultStore(results), chosen, target, DataFiles(find_folder(data_dir)))
    for reason, left_out in done.left_out.items():
        say(f"{left_out} left out: {reason}")
    say(f"{done.points} points written below {target}, which stands for the folder `results` of ann-benchmarks")
    for name, path in done.datasets.items():
        say(f"its scripts look for the data at data/{name}.hdf5: ln -s {path}")


app.command("rm")(results_show.rm)
app.command("gc")(results_gc.gc)


def _records(folder: Path) -> Iterator[Record]:
    from annbench.cli.progress import warn
    from annbench.results.store import ResultStore

    return ResultStore(folder).records(on_damage=lambda error: warn(f"passed over: {error}"))
