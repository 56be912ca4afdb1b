"""`annbench doctor`: what is wrong with a dataset, and how difficult it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annbench.cli.completion import dataset_names
from annbench.cli.options import AsJson, DataDir

PICTURES = (".png", ".svg")
PHASES = {
    "read": "reading every row",
    "copies": "looking for rows that are alike",
    "variance": "measuring the variance",
}


def doctor(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="A name of `data list`, or the path of a .hdf5 file.", autocompletion=dataset_names
        ),
    ],
    query_set: Annotated[list[str] | None, typer.Option("--query-set", help="Only this query set; repeatable.")] = None,
    k: Annotated[int, typer.Option("--k", min=1, max=1000, help="Neighbours that answers will have.")] = 10,
    sample: Annotated[
        int, typer.Option("--sample", min=1, help="Rows of the base, and queries a set, to find neighbours of.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the samples.")] = 42,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Default: every core.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw the distributions (.png or .svg).")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> int:
    """Examine a dataset: faults in vectors and truth, copies and leaks, difficulty, and shift of the queries.

    Exit code 2, as of every command that would refuse the file, if a finding is an error; else 0.
    """
    from annbench.cli.output import print_json, stdout
    from annbench.cli.phases import phase_bar
    from annbench.doctor.examine import examine_dataset
    from annbench.errors import EXIT_OK, EXIT_USAGE, UsageError

    if picture is not None and picture.suffix.lower() not in PICTURES:
        raise UsageError(f"{picture} is no picture", where="--picture", remedy=f"end it in {' or '.join(PICTURES)}")
    with phase_bar(PHASES) as show:
        diagnosis = examine_dataset(
            dataset,
            folder=data_dir,
            query_sets=tuple(query_set or ()),
            sample=sample,
            seed=seed,
            k=k,
            threads=threads,
            on_progress=show,
        )
    if as_json:
        print_json(diagnosis.model_dump(mode="json"))
    else:
        from annbench.doctor.text import diagnosis_text

        stdout().print(diagnosis_text(diagnosis))
    if picture is not None:
        from annbench.cli.progress import say
        from annbench.doctor.picture import write_picture

        write_picture(diagnosis, picture)
        say(f"picture: {picture}")
    return EXIT_USAGE if diagnosis.worst == "error" else EXIT_OK
