"""`annbench run` and `annbench plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annbench.cli.options import RESULTS, AsJson, DataDir, ResultsDir

if TYPE_CHECKING:
    from annbench.runner.plan import Plan

SHOWN_POINTS = 16

ConfigArgument = Annotated[str, typer.Argument(metavar="CONFIG", help="A YAML file, or a bundled name: quickstart.")]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only algorithms whose name matches; * is allowed; repeatable.")
]
Datasets = Annotated[
    list[str] | None, typer.Option("--dataset", help="These datasets instead of the config's; repeatable.")
]


def run(
    config: ConfigArgument,
    only: Only = None,
    dataset: Datasets = None,
    results: ResultsDir = RESULTS,
    data_dir: DataDir = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Measure again what is stored already, or only what is missing.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try points again that failed.")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Also write the report into this folder.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the answer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure every point of CONFIG that is not measured yet, then print the answer."""
    from annbench.cli.output import print_json, stdout
    from annbench.cli.progress import ProgressObserver, say
    from annbench.errors import EXIT_RUNS_FAILED
    from annbench.report import write_report
    from annbench.report.terminal import answer_table, points_table
    from annbench.results.store import ResultStore
    from annbench.runner.execute import Execution

    store = ResultStore(results)
    busy = "another run is measuring into this folder; waiting for it to finish"
    with store.measuring(lambda: say(busy)) as scratch:
        planned = _plan(config, only, dataset, data_dir)
        with ProgressObserver(planned, quiet=quiet or as_json) as observer:
            outcome = Execution(planned, store, scratch, observer, fresh, retry_failed).run()
    wanted = {point.key.digest for point in planned.points}
    records = [record for record in store.records() if record.key.digest in wanted]
    if as_json:
        print_json({"points": len(wanted), "measured": outcome.measured, "statuses": dict(outcome.statuses)})
    else:
        console = stdout()
        if len(records) <= SHOWN_POINTS:  # more would push the answer out of sight; `annbench results ls` has them all
            console.print(points_table(records))
        console.print(answer_table(records))
    say(f"{len(wanted)} points, {outcome.measured} measured now, {outcome.failed} failed; stored in {results}/")
    if report is not None:
        paths = write_report(records, report, title=planned.name)
        say(f"report: {paths.html or paths.markdown}")
    if outcome.failed:
        for record in [r for r in records if r.status != "ok"][:10]:
            say(f"failed: {record.label}: {record.status}: {record.status_detail}")
        raise typer.Exit(EXIT_RUNS_FAILED)


def plan(
    config: ConfigArgument,
    only: Only = None,
    dataset: Datasets = None,
    results: ResultsDir = RESULTS,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what CONFIG would measure, with estimated time and memory. Nothing is run."""
    from annbench.cli.output import print_json, stdout
    from annbench.cli.plan_view import plan_rows, plan_table, plan_totals
    from annbench.results.store import ResultStore

    planned = _plan(config, only, dataset, data_dir)
    rows = plan_rows(planned, ResultStore(results))
    if as_json:
        print_json({"builds": rows, "total": plan_totals(planned, rows)})
    else:
        stdout().print(plan_table(planned, rows))


def _plan(config: str, only: list[str] | None, dataset: list[str] | None, data_dir: Path | None) -> Plan:
    from annbench.config.load import find_config, load_config
    from annbench.datasets.library import find_dataset
    from annbench.runner.plan import make_plan

    loaded = load_config(find_config(config))
    if dataset:
        loaded = loaded.with_datasets(tuple(dataset))
    return make_plan(loaded, lambda name: find_dataset(name, data_dir), only=tuple(only or ()))
