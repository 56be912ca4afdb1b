"""`annbench results gc`: get rid of what is of no use any more."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annbench.cli.options import RESULTS, AsJson, DataDir, OfAlgorithm, OfDataset, ResultsDir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from annbench.results.garbage import Waste
    from annbench.results.stale import Reasons
    from annbench.results.store import ResultStore

SHOWN = 20


def gc(
    results: ResultsDir = RESULTS,
    dataset: OfDataset = None,
    algorithm: OfAlgorithm = None,
    delete: Annotated[bool, typer.Option("--delete", help="Do it; without, only say what would be deleted.")] = False,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Delete damaged files; without, they are set aside in .damaged/.")
    ] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Also points that failed.")] = False,
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Also points that were measured again with other versions or data.")
    ] = False,
    stale: Annotated[
        bool, typer.Option("--stale", help="Also points whose data, library or code changed since.")
    ] = False,
    other_machines: Annotated[
        bool, typer.Option("--other-machines", help="Also points of other machines and instruction sets.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Delete leftovers of dead runs, and on demand failed and stale points. Shows what would go, unless --delete."""
    from annbench.cli.here import refuse_to_wait
    from annbench.cli.output import print_json
    from annbench.cli.progress import warn
    from annbench.results.garbage import Choice, find_garbage, remove
    from annbench.results.store import ResultStore

    store = ResultStore(results)
    store.check_names(dataset, algorithm)
    held = not delete and store.is_held()
    if held:
        warn("a run is writing into this folder: indexes and temporary files are not looked at")
    with store.holding(refuse_to_wait(results)) if delete and results.exists() else nullcontext():
        going = _stale(store, superseded, stale, other_machines, data_dir)
        choice = Choice(damaged=damaged, failed=failed, stale=going, dataset=dataset, algorithm=algorithm)
        garbage = find_garbage(store, choice, held_by_another=held)
        freed = (
            remove(store, garbage) if delete else sum(0 if waste.set_aside else waste.file_bytes for waste in garbage)
        )
    if as_json:
        print_json({"deleted": delete, "freed_bytes": freed, "items": [waste.as_json() for waste in garbage]})
    else:
        _print(garbage, results, freed, deleted=delete)


def _stale(
    store: ResultStore, superseded: bool, stale: bool, other_machines: bool, data_dir: Path | None
) -> Mapping[str, Reasons]:
    """The stale points that are to go, with the reasons that count."""
    if not (superseded or stale or other_machines):
        return {}
    from annbench.cli.here import present
    from annbench.results.stale import ELSEWHERE, stale_reasons

    records = list(store.records())
    found = {}
    for record, reasons in zip(records, stale_reasons(records, present(data_dir)), strict=True):
        counted = tuple(
            reason
            for reason in reasons
            if (other_machines if reason.cause in ELSEWHERE else stale or (superseded and reason.cause == "superseded"))
        )
        if counted:
            found[record.key.digest] = counted
    return found


def _print(garbage: Sequence[Waste], folder: Path, freed: int, *, deleted: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from annbench.cli.output import bytes_text, stdout

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("what", "size"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "size" else "left")
    for heading in ("where", "why"):
        table.add_column(heading, overflow="fold")
    for waste in garbage[:SHOWN]:
        where = str(waste.path.relative_to(folder))
        table.add_row(waste.kind, bytes_text(waste.file_bytes), Text(where), Text(waste.why))
    if garbage:
        stdout().print(table)
    if len(garbage) > SHOWN:
        stdout().print(f"… and {len(garbage) - SHOWN} more (--json lists all)", markup=False)
    aside = sum(waste.set_aside for waste in garbage)
    count = len(garbage) - aside
    parts = [f"{count} item{'s' * (count != 1)}, {bytes_text(freed)}, {'deleted' if deleted else 'would be deleted'}"]
    if aside:
        parts.append(f"{aside} damaged {'set' if deleted else 'would be set'} aside in {folder}/.damaged")
    if garbage and not deleted:
        parts.append("nothing was done; --delete does it")
    stdout().print("; ".join(parts) if garbage else "nothing to delete", markup=False, soft_wrap=True)
