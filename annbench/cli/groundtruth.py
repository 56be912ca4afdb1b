"""`annbench groundtruth`: the exact nearest rows, computed, written, or compared with what a dataset has stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annbench.cli.completion import dataset_names
from annbench.cli.data_options import AnyMetric, Column, Dimension, IdColumn, Memory, Threads
from annbench.cli.options import AsJson, DataDir

if TYPE_CHECKING:
    from annbench.datasets.truth import Found

_PHASES = {
    "read": "reading and checking the vectors",
    "truth": "computing the exact neighbours",
    "compare": "comparing with the stored truth",
    "write": "writing",
}


def groundtruth(
    base: Annotated[
        str,
        typer.Argument(
            metavar="DATASET", help="A dataset by name or path, or a file of vectors.", autocompletion=dataset_names
        ),
    ],
    queries: Annotated[Path | None, typer.Option("--queries", help="A file of queries; else the dataset's.")] = None,
    query_set: Annotated[str, typer.Option("--query-set", help="Which queries of the dataset.")] = "test",
    k: Annotated[
        int | None, typer.Option("--k", min=1, help="Neighbours per query; default: as many as are stored, or 100.")
    ] = None,
    metric: AnyMetric = None,
    rows: Annotated[
        str | None, typer.Option("--rows", metavar="A:B", help="Only rows A to B − 1 of the base; :B the first B.")
    ] = None,
    rows_filter: Annotated[
        Path | None,
        typer.Option("--filter", help="Only rows it admits: booleans or packed bits (.npy), or labels (.csr, .spmat)."),
    ] = None,
    query_labels: Annotated[
        Path | None,
        typer.Option("--query-labels", help="With labels as filter: a row must have all labels of the query."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write it: .hdf5, .ibin, .bin, .npy or .ivecs.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with the stored truth; exit 1 if it is wrong.")
    ] = False,
    dimension: Dimension = None,
    column: Column = None,
    id_column: IdColumn = None,
    threads: Threads = None,
    memory: Memory = 1 << 30,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compute the exact nearest rows of every query, by any metric. Interrupted, the same command goes on."""
    from dataclasses import asdict

    from annbench.cli.output import print_json, stdout
    from annbench.cli.phases import phase_bar
    from annbench.cli.progress import say
    from annbench.datasets.convert import find_source
    from annbench.datasets.formats import FORMATS
    from annbench.datasets.library import data_dir as find_folder
    from annbench.datasets.library import find_dataset
    from annbench.datasets.truth import TruthRequest, find_truth
    from annbench.errors import EXIT_REGRESSION, UsageError

    path = find_source(base, data_dir)
    dataset = find_dataset(base, data_dir) if path.suffix.lower() in FORMATS else None
    metric = metric or (None if dataset is None else dataset.metric)
    if metric is None:
        raise UsageError("vectors need a metric", remedy="give --metric cosine, euclidean, ip …")
    first, stop = _range(rows)
    request = TruthRequest(
        base=path, dataset=dataset, queries=queries, query_set=query_set, metric=metric, k=k, first_row=first,
        stop_row=stop, rows_filter=rows_filter, query_labels=query_labels, out=out, check=check, force=force,
        dimension=dimension, column=column, id_column=id_column, threads=threads, memory_bytes=memory,
        partial=find_folder(data_dir) / ".partial",
    )  # fmt: skip
    with phase_bar(_PHASES) as show:
        found = find_truth(request, show)
    if as_json:
        comparison = (
            None if found.comparison is None else asdict(found.comparison) | {"agrees": found.comparison.agrees}
        )
        print_json(asdict(found) | {"written": list(map(str, found.written)), "comparison": comparison})
    else:
        for note in found.notes:
            say(note)
        for line in _summary(found):
            stdout().print(line, soft_wrap=True, markup=False, highlight=False)
    if found.comparison is not None and not found.comparison.agrees:
        raise typer.Exit(EXIT_REGRESSION)


def _range(text: str | None) -> tuple[int | None, int | None]:
    """`A:B`, either end left out."""
    from annbench.errors import UsageError

    first, colon, stop = (text or ":").partition(":")
    if not colon or not all(end.strip().isdigit() for end in (first, stop) if end.strip()):
        raise UsageError(f"--rows {text!r} is not understood", remedy="write it like 0:1000000, or :1000000")
    return (int(first) if first.strip() else None), (int(stop) if stop.strip() else None)


def _summary(found: Found) -> list[str]:
    rows = f"{found.n:,} rows" if found.rows == found.n else f"{found.rows:,} of {found.n:,} rows"
    lines = [f"{found.metric}: {found.queries:,} queries, {found.k} nearest of {rows}"]
    if found.tied_queries:
        lines.append(f"{found.tied_queries:,} queries have further rows exactly as near as the last of their {found.k}")
    if found.short_queries:
        lines.append(f"{found.short_queries:,} queries have fewer than {found.k} rows that count; the rest is −1")
    lines += [f"wrote {path}" for path in found.written]
    if found.comparison is not None:
        checked = found.comparison
        verdict = "the stored truth is exact" if checked.agrees else "the stored truth is wrong"
        lines.append(
            f"{verdict}: of {checked.neighbors:,} stored neighbours {checked.wrong_neighbors:,} are not among the "
            f"nearest, {checked.wrong_distances:,} distances are not those of their ids"
        )
        lines += [f"  {example}" for example in checked.examples]
    return lines
