"""`annbench data`: list, describe and add datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annbench.cli.completion import dataset_names
from annbench.cli.data_convert import convert
from annbench.cli.data_get import get
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
from annbench.cli.options import AsJson, DataDir

if TYPE_CHECKING:
    from rich.table import Table

    from annbench.datasets.library import Listed

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_PHASES = {
    "read": "reading and checking the vectors",
    "truth": "computing the exact neighbours",
    "write": "writing",
    "check": "checking the file",
}


@app.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the bundled set, what is in the data folder, and the public sets of the field."""
    from annbench.cli.output import print_json, stdout
    from annbench.datasets.library import data_dir as find_folder
    from annbench.datasets.library import list_datasets

    found = list_datasets(find_folder(data_dir))
    if as_json:
        print_json([listed.as_json() for listed in found])
    else:
        stdout().print(_table(found))


@app.command("info")
def info(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A name of `data list`, or the path of a .hdf5 file.", autocompletion=dataset_names
        ),
    ],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Describe one dataset; a file is checked whole, the first time."""
    from annbench.cli.output import print_json, print_mapping
    from annbench.datasets.library import describe_any

    facts = describe_any(name, data_dir)
    if as_json:
        print_json(facts)
    else:
        print_mapping(facts)


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new dataset's name.")],
    base: Annotated[Path, typer.Option("--base", help="Vectors (.npy, .fvecs, .fbin …), or a whole dataset (.hdf5).")],
    queries: Queries = None,
    truth: Truth = None,
    learn: Learn = None,
    metric: AnyMetric = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Only the first rows of the base.")] = None,
    k: Neighbors = 100,
    held_out: HeldOut = None,
    seed: Seed = 42,
    column: Column = None,
    id_column: IdColumn = None,
    dimension: Dimension = None,
    threads: Threads = None,
    memory: Memory = 1 << 30,
    force: Annotated[bool, typer.Option("--force", help="Replace a dataset of this name.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make a dataset of your own vectors, with exact truth. Interrupted, the same command goes on."""
    from annbench.cli.output import bytes_text, stdout
    from annbench.cli.phases import phase_bar
    from annbench.cli.progress import say
    from annbench.datasets.add import AddRequest, add_dataset
    from annbench.datasets.library import data_dir as find_folder

    request = AddRequest(
        name=name, base=base, queries=queries, truth=truth, learn=learn, metric=metric, k=k, limit=limit,
        held_out=held_out, seed=seed, column=column, id_column=id_column, dimension=dimension, threads=threads,
        memory_bytes=memory, folder=find_folder(data_dir), force=force,
    )  # fmt: skip
    with phase_bar(_PHASES) as show:
        added = add_dataset(request, show)
    for note in added.notes:
        say(note)
    made = added.info
    queries_made = made.query_sets["test"]
    stdout().print(
        f"{made.name}: {made.n:,} x {made.dim} {made.dtype}, {made.metric}, {queries_made.count:,} queries, "
        f"{queries_made.truth_k} neighbours each, {bytes_text(made.file_bytes)}\n{made.path}",
        soft_wrap=True,
        markup=False,
    )


app.command("get")(get)
app.command("convert")(convert)


def _table(found: list[Listed]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from annbench.cli.output import bytes_text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("dataset", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("metric", no_wrap=True)
    for heading in ("n", "dim", "size"):
        table.add_column(heading, justify="right", no_wrap=True)
    source = None
    for listed in found:
        if listed.source != source:
            source = listed.source
            table.add_section()
            table.add_row(Text(source, style="bold"))
        status = "–" if listed.path is None else listed.status
        dim = "–" if listed.dim is None else str(listed.dim)
        cells = (status if listed.readable else "no", listed.metric or "–", _count(listed.n), dim)
        table.add_row(Text(f"  {listed.name}"), *cells, bytes_text(listed.file_bytes))
    table.caption = "–: `data get NAME` fetches it; no: cannot be read, `data info NAME` says why"
    table.caption_justify = "left"
    return table


def _count(n: int | None) -> str:
    """`10,000`, `1.18 M`."""
    return "–" if n is None else f"{n:,}" if n < 1_000_000 else f"{n / 1e6:,.4g} M"
