"""`annbench budget`: what every method reaches in 1/2 to 1/64 of float32, from stored results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annbench.cli.completion import algorithm_names, dataset_names
from annbench.cli.options import RESULTS, AsJson


def budget(
    results: Annotated[
        Path, typer.Argument(help="Folder of the results.", envvar="ANNBENCH_RESULTS", show_default=True)
    ] = RESULTS,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write budget.md, budget.json and budget.png into.")
    ] = Path("report"),
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
    as_json: AsJson = False,
) -> None:
    """Say what each method reaches in a memory budget of 1/2 to 1/64 of float32."""
    from annbench.cli.output import print_json, stdout
    from annbench.cli.progress import warn
    from annbench.report.budget import budget_tables
    from annbench.report.budget_text import budget_view
    from annbench.report.budget_write import write_budget
    from annbench.report.select import select_records
    from annbench.results.store import ResultStore

    records = ResultStore(results).records(on_damage=lambda error: warn(f"passed over: {error}"))
    chosen = select_records(records, datasets=dataset or (), algorithms=algorithm or (), query_sets=queries or ())
    tables = budget_tables(chosen)
    paths = write_budget(tables, out)
    if as_json:
        print_json({"tables": [table.as_json() for table in tables], "paths": [str(path) for path in paths]})
        return
    stdout().print(budget_view(tables))
    for path in paths:
        typer.echo(str(path))
