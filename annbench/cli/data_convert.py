"""`annbench data convert`: from one format of vectors to another, and between datasets and their parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from annbench.cli.completion import dataset_names
from annbench.cli.data_options import (
    AnyMetric,
    Column,
    Dimension,
    HeldOut,
    IdColumn,
    Learn,
    Memory,
    Neighbors,
    Queries,
    Seed,
    Threads,
    Truth,
)
from annbench.cli.options import DataDir

_PHASES = {
    "read": "reading and checking the vectors",
    "truth": "finding the exact neighbours",
    "write": "writing",
    "check": "checking the file",
}

PartName = Literal["base", "queries", "neighbors", "distances", "truth", "learn"]
DTypeName = Literal["float32", "float16", "float64", "int8", "uint8", "int32", "int64"]


def convert(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="[SRC] DST",
            help="A file of vectors, or a dataset; and the file to write. With --base, DST alone: a .hdf5 dataset.",
            autocompletion=dataset_names,
        ),
    ],
    part: Annotated[PartName | None, typer.Option("--part", help="Of a dataset, or of a truth file.")] = None,
    query_set: Annotated[str, typer.Option("--query-set", help="Whose queries, neighbours, distances.")] = "test",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first rows.")] = None,
    dtype: Annotated[DTypeName | None, typer.Option("--dtype", help="Default: as it is, or as DST stores.")] = None,
    lossy: Annotated[bool, typer.Option("--lossy", help="Allow values to change, and say how many did.")] = False,
    base: Annotated[Path | None, typer.Option("--base", help="Vectors to make a dataset of.")] = None,
    queries: Queries = None,
    truth: Truth = None,
    learn: Learn = None,
    metric: AnyMetric = None,
    k: Neighbors = 100,
    held_out: HeldOut = None,
    seed: Seed = 42,
    column: Column = None,
    id_column: IdColumn = None,
    dimension: Dimension = None,
    threads: Threads = None,
    memory: Memory = 1 << 30,
    force: Annotated[bool, typer.Option("--force", help="Replace DST.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Convert vectors between .npy, .fvecs, .fbin, .parquet …, take a part out of a dataset, or make one of parts.

    Values stay what they are, or it says what is lost. DST appears whole or not at all.
    """
    from annbench.cli.output import bytes_text, stdout
    from annbench.cli.phases import phase_bar
    from annbench.cli.progress import say
    from annbench.datasets.convert import ConvertRequest, convert_files, find_source
    from annbench.datasets.parts import Parts
    from annbench.errors import UsageError

    if len(files) != (2 if base is None else 1):
        expected = "SRC and DST" if base is None else "DST alone, with --base"
        raise UsageError(f"{len(files)} files were given, and {expected} are expected", remedy="see --help")
    parts = None
    if base is not None:
        parts = Parts(
            base=base, queries=queries, truth=truth, learn=learn, metric=metric, k=k, limit=limit, held_out=held_out,
            seed=seed, dimension=dimension, column=column, id_column=id_column, threads=threads, memory_bytes=memory,
        )  # fmt: skip
    elif queries or truth or learn or metric or held_out:
        raise UsageError(
            "--queries, --truth, --learn, --metric and --held-out are about a dataset", remedy="give --base"
        )
    request = ConvertRequest(
        source=None if base is not None else find_source(files[0], data_dir), target=Path(files[-1]), part=part,
        query_set=query_set, limit=limit, dtype=dtype, lossy=lossy, force=force, column=column, id_column=id_column,
        parts=parts,
    )  # fmt: skip
    with phase_bar(_PHASES) as show:
        made = convert_files(request, show)
    for note in made.notes:
        say(note)
    shape = " x ".join(f"{extent:,}" for extent in made.shape)
    stdout().print(f"{made.path}: {shape} {made.dtype}, {bytes_text(made.file_bytes)}", soft_wrap=True, markup=False)
