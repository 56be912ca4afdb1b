"""`annbench run` and `annbench plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annbench.cli.completion import algorithm_names, config_names, dataset_names
from annbench.cli.options import RESULTS, AsJson, DataDir, ResultsDir

if TYPE_CHECKING:
    from annbench.runner.execute import More
    from annbench.runner.plan import Plan

SHOWN_POINTS = 16
SHOWN_FAILURES = 10

ConfigArgument = Annotated[
    str,
    typer.Argument(metavar="CONFIG", help="A YAML file, or a bundled name: quickstart.", autocompletion=config_names),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        help="Only algorithms whose name or label matches; * is allowed; repeatable.",
        autocompletion=algorithm_names,
    ),
]
Datasets = Annotated[
    list[str] | None,
    typer.Option("--dataset", help="These datasets instead of the config's; repeatable.", autocompletion=dataset_names),
]
QuerySets = Annotated[
    list[str] | None,
    typer.Option("--queries", metavar="NAME", help="These query sets instead of the config's; repeatable."),
]


def run(
    config: ConfigArgument,
    only: Only = None,
    dataset: Datasets = None,
    queries: QuerySets = None,
    results: ResultsDir = RESULTS,
    data_dir: DataDir = None,
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Measure again what is stored already, or only what is missing.")
    ] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try points again that failed.")] = False,
    report: Annotated[Path | None, typer.Option("--report", help="Also write the report into this folder.")] = None,
    at_recall: Annotated[
        str | None,
        typer.Option(
            "--at-recall",
            metavar="R,R,…",
            help="Also measure points that CONFIG does not name, until those around each of these recalls are close "
            "enough to be compared: at most 2x apart in 1 − recall.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure every point of CONFIG that is not measured yet, then print the answer."""
    from annbench.cli.output import print_json, stdout
    from annbench.cli.progress import ProgressObserver, detail, say, warn
    from annbench.cli.terminal import WISHES
    from annbench.errors import EXIT_RUNS_FAILED
    from annbench.report import write_report
    from annbench.report.streaming import stream_settings
    from annbench.report.terminal import answer_table, points_table, streams_as_tables
    from annbench.results.store import ResultStore
    from annbench.runner.execute import Execution

    more = _points_around(at_recall)
    store = ResultStore(results)
    busy = "another run is measuring into this folder; waiting for it to finish"
    with store.measuring(lambda: say(busy)) as scratch:
        planned = _plan(config, only, dataset, queries, data_dir)
        detail(_decisions(planned, results))
        with ProgressObserver(planned, quiet=as_json) as observer:
            execution = Execution(planned, store, scratch, observer, fresh, retry_failed, more)
            outcome = execution.run()
    planned = execution.plan
    wanted = {point.key.digest for point in planned.points}
    records = [record for record in store.records() if record.key.digest in wanted]
    if as_json:
        print_json({"points": len(wanted), "measured": outcome.measured, "statuses": dict(outcome.statuses)})
    else:
        console = stdout()
        if streams := stream_settings(records):
            console.print(streams_as_tables(streams))
        if len(records) <= SHOWN_POINTS:  # more would push the answer out of sight; `annbench results ls` has them all
            console.print(points_table(records))
        console.print(answer_table(records))
    say(f"{len(wanted)} points, {outcome.measured} measured now, {outcome.failed} failed; stored in {results}/")
    if report is not None and any(record.status == "ok" for record in records):
        paths = write_report(records, report, title=planned.name)
        say(f"report: {paths.html or paths.markdown}")
    if outcome.failed:
        failed = [record for record in records if record.status != "ok"]
        for record in failed if WISHES.verbose else failed[:SHOWN_FAILURES]:
            warn(f"failed: {record.label}: {record.status}: {record.status_detail}")
        if len(failed) > SHOWN_FAILURES and not WISHES.verbose:
            warn(f"… and {len(failed) - SHOWN_FAILURES} more: `annbench results ls --results {results}`")
        raise typer.Exit(EXIT_RUNS_FAILED)


def plan(
    config: ConfigArgument,
    only: Only = None,
    dataset: Datasets = None,
    queries: QuerySets = None,
    results: ResultsDir = RESULTS,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what CONFIG would measure, with estimated time and memory. Nothing is run."""
    from annbench.cli.output import print_json, stdout
    from annbench.cli.plan_view import plan_rows, plan_table, plan_totals
    from annbench.cli.progress import detail
    from annbench.results.store import ResultStore

    planned = _plan(config, only, dataset, queries, data_dir)
    detail(_decisions(planned, results))
    rows = plan_rows(planned, ResultStore(results))
    if as_json:
        print_json({"builds": rows, "total": plan_totals(planned, rows)})
    else:
        stdout().print(plan_table(planned, rows))


def _points_around(at_recall: str | None) -> More | None:
    if at_recall is None:
        return None
    from annbench.compare.gates import parse_targets
    from annbench.compare.refine import points_to_add

    targets = parse_targets(at_recall)
    return lambda records: points_to_add(records, targets)


def _plan(
    config: str,
    only: list[str] | None,
    dataset: list[str] | None,
    queries: list[str] | None,
    data_dir: Path | None,
) -> Plan:
    from annbench.config.load import find_config, load_config
    from annbench.datasets.library import find_dataset
    from annbench.runner.plan import make_plan

    loaded = load_config(find_config(config))
    if dataset:
        loaded = loaded.with_datasets(tuple(dict.fromkeys(dataset)))
    if queries:
        loaded = loaded.with_query_sets(tuple(dict.fromkeys(queries)))
    return make_plan(loaded, lambda name: find_dataset(name, data_dir), only=tuple(only or ()))


def _decisions(plan: Plan, results: Path) -> str:
    """What was decided before anything is measured, for --verbose: from the config, or for want of it."""
    from annbench.cli.output import bytes_text
    from annbench.isa import isa
    from annbench.results.schema import parameters_text
    from annbench.runner.environment import memory_ceiling
    from annbench.runner.execute import MEMORY_SHARE
    from annbench.runner.pinning import available_cores

    limits, measure = plan.config.limits, plan.config.measure
    memory = limits.memory or int(MEMORY_SHARE * memory_ceiling())
    why = "as the config says" if limits.memory else f"{MEMORY_SHARE:.0%} of what there is"
    lines = [
        f"results in {results.absolute()}",
        f"cores {', '.join(map(str, available_cores()))}; instruction set {isa()}",
        f"a worker gets {bytes_text(memory)} ({why}), {limits.build:g} s for a build, {limits.point:g} s for a point",
        f"{measure.passes} passes after {measure.warmup} to warm up; "
        + ("all builds interleaved" if measure.interleave else "one build after the other"),
    ]
    for build in plan.builds:
        lines.append(f"{build.label} on {build.dataset.name}: {build.unsupported or f'{len(build.points)} points'}")
        lines += [f"  {parameters_text(p.key.search) or 'default'} ({p.key.mode})" for p in build.points]
    if plan.left_out:
        lines.append(f"{plan.left_out} points left out by constraints")
    return "\n".join(lines)
