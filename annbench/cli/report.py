"""`annbench report`: the answer, the fronts and the evidence, from stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annbench.cli.completion import algorithm_names, dataset_names
from annbench.cli.options import RESULTS, AsJson


def report(
    results: Annotated[
        Path, typer.Argument(help="Folder of the results.", envvar="ANNBENCH_RESULTS", show_default=True)
    ] = RESULTS,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write the report into.")] = Path("report"),
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", help="Only this dataset; repeatable.", autocompletion=dataset_names)
    ] = None,
    algorithm: Annotated[
        list[str] | None,
        typer.Option("--algorithm", help="Only this algorithm; repeatable.", autocompletion=algorithm_names),
    ] = None,
    queries: Annotated[
        list[str] | None, typer.Option("--queries", metavar="NAME", help="Only this query set; repeatable.")
    ] = None,
    title: Annotated[str, typer.Option("--title", help="Title of the report.")] = "annbench report",
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="md, csv, png, svg or html; repeatable; default: all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which index to use at which recall, and write the report."""
    from annbench.cli.output import print_json, stdout
    from annbench.cli.progress import warn
    from annbench.report import FORMATS, report_content, write_content
    from annbench.report.select import select_records
    from annbench.report.terminal import answers_as_tables, claims_as_tables, shifts_as_tables, streams_as_tables
    from annbench.results.store import ResultStore

    records = ResultStore(results).records(on_damage=lambda error: warn(f"passed over: {error}"))
    chosen = select_records(records, datasets=dataset or (), algorithms=algorithm or (), query_sets=queries or ())
    content = report_content(chosen, title=title)
    paths = write_content(content, out, formats=formats or FORMATS)
    if as_json:
        print_json(
            {
                "answers": content.answers_json(),
                "streams": [stream.as_json() for stream in content.streams],
                "claims": [claim.as_json() for claim in content.claims],
                "query_sets": [shift.as_json() for shift in content.shifts],
                "paths": [str(path) for path in paths.all()],
            }
        )
        return
    if content.streams:
        stdout().print(streams_as_tables(content.streams))
    stdout().print(answers_as_tables(zip(content.settings, content.answers, strict=True)))
    if content.claims:
        stdout().print(claims_as_tables(content.claims))
    if content.shifts:
        stdout().print(shifts_as_tables(content.shifts))
    for path in paths.all():
        typer.echo(str(path))
