"""`annbench results show` and `rm`: single points, by the first digits of their digests."""

from __future__ import annotations

from typing import Annotated

import typer

from annbench.cli.options import RESULTS, AsJson, DataDir, ResultsDir


def show(
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="As `results ls` shows it; the first digits do.")],
    results: ResultsDir = RESULTS,
    config: Annotated[
        bool, typer.Option("--config", help="Only the config that measures this point again, as YAML.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one point: its figures, raw times, versions, and the config that measures it again."""
    from annbench.cli.here import present
    from annbench.cli.output import print_json, print_mapping, stdout
    from annbench.results.showing import point_facts, readable
    from annbench.results.stale import stale_reasons
    from annbench.results.store import ResultStore

    store = ResultStore(results)
    record = store.read(store.path_starting(digest))
    if config:
        typer.echo(record.config_yaml, nl=False)
        return
    (stale,) = stale_reasons([record], present(data_dir))
    facts = point_facts(record, store.arrays(record), stale)
    path = str(store.path_of(record))
    if as_json:
        print_json({**facts, "path": path, "config_yaml": record.config_yaml, "environment": record.environment})
        return
    print_mapping({**readable(facts), "path": path})
    stdout().print(f"\n# measures it again: annbench results show {digest} --config > again.yaml", markup=False)
    stdout().print(record.config_yaml, markup=False, end="", soft_wrap=True)


def rm(
    digests: Annotated[list[str], typer.Argument(metavar="DIGEST...", help="As `results ls` shows them.")],
    results: ResultsDir = RESULTS,
) -> None:
    """Delete single points; the next run of their config measures them again."""
    from annbench.cli.here import refuse_to_wait
    from annbench.cli.progress import say
    from annbench.results.garbage import Waste, remove, size_of
    from annbench.results.store import ResultStore

    store = ResultStore(results)
    paths = dict.fromkeys(store.path_starting(digest) for digest in digests)  # all are known before one is deleted
    with store.holding(refuse_to_wait(results)):
        remove(store, [Waste("failed", path, size_of(path), "asked for") for path in paths])
    for path in paths:
        say(f"deleted {path}")
