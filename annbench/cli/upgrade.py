"""`annbench upgrade`: queries of a new embedding model over the index of an old one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from annbench.cli.completion import dataset_names
from annbench.cli.options import AsJson, DataDir

_PHASES = {"read": "reading the vectors", "truth": "exact neighbours", "measure": "measuring"}


def upgrade(
    old: Annotated[
        list[str],
        typer.Option(
            "--old",
            help="The old model's vectors, by name or path; repeatable, oldest first.",
            autocompletion=dataset_names,
        ),
    ],
    new: Annotated[
        str,
        typer.Option("--new", help="The new model's: row i is the same thing in all.", autocompletion=dataset_names),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write upgrade.md, .json and .png into.")] = Path(
        "report"
    ),
    query_set: Annotated[str, typer.Option("--query-set", help="Which queries are asked.")] = "test",
    queries: Annotated[int | None, typer.Option("--queries", min=1, help="How many of them; default: all.")] = None,
    codes: Annotated[
        list[str] | None,
        typer.Option(
            "--codes",
            help="What galleries are stored as: float32, uniform-1 to uniform-8, or a preset; repeatable; default: "
            "float32, uniform-4.",
        ),
    ] = None,
    fit_on: Annotated[
        Literal["learn", "base", "both"],
        typer.Option("--fit-on", help="The pairs: training queries, base rows that no query seeks, or both."),
    ] = "both",
    pairs: Annotated[int, typer.Option("--pairs", min=1, help="At most so many of each.")] = 20_000,
    extra: Annotated[int, typer.Option("--extra", min=0, help="Dimensions beside the old ones, of BT².")] = 128,
    anchors: Annotated[int, typer.Option("--anchors", min=2, help="Of relative representations.")] = 512,
    old_binarizer: Annotated[
        Path | None, typer.Option("--old-binarizer", help="BEBR's, of the last --old: annbench train bebr.")
    ] = None,
    new_binarizer: Annotated[
        Path | None, typer.Option("--new-binarizer", help="BEBR's, of --new, trained --compatible-with the old one.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of everything random.")] = 0,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: every core.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let a new model's queries search the old one's vectors and codes, in every way there is."""
    from pydantic import ValidationError

    from annbench.cli.output import print_json, stdout
    from annbench.cli.phases import phase_bar
    from annbench.cli.usage import refused
    from annbench.datasets.library import find_dataset
    from annbench.report.upgrade import upgrade_view
    from annbench.report.upgrade_write import write_upgrade
    from annbench.report.write import report_folder
    from annbench.runner.pinning import available_cores
    from annbench.tasks.upgrade import DEFAULT_CODES, UpgradeRequest, measure_upgrade

    report_folder(out)  # told before minutes of measuring
    try:
        request = UpgradeRequest(
            models=tuple(find_dataset(name, data_dir) for name in (*old, new)),
            query_set=query_set,
            count=queries,
            codes=tuple(dict.fromkeys(codes or DEFAULT_CODES)),
            fit_on=fit_on,
            most_pairs=pairs,
            extra=extra,
            anchors=anchors,
            old_binarizer=old_binarizer and old_binarizer.absolute(),
            new_binarizer=new_binarizer and new_binarizer.absolute(),
            seed=seed,
            threads=threads or len(available_cores()),
        )
    except ValidationError as error:
        raise refused(error) from None
    with phase_bar(_PHASES) as show:
        report = measure_upgrade(request, show)
    paths = write_upgrade(report, out)
    if as_json:
        print_json({**report.model_dump(mode="json"), "paths": [str(path) for path in paths]})
        return
    stdout().print(upgrade_view(report))
    for path in paths:
        typer.echo(str(path))
