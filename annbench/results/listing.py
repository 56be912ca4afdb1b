"""Stored records as a list for people and as one flat table for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from annbench.errors import NothingComparableError, UnknownNameError, UsageError
from annbench.results.schema import Record
from annbench.results.stale import Reasons


def select(records: Sequence[Record], *, dataset: str | None = None, algorithm: str | None = None) -> list[Record]:
    """The records of this dataset and algorithm; None takes all. Raises UnknownNameError for a name that none has."""
    known = {
        "dataset": (dataset, {record.dataset.name for record in records}),
        "algorithm": (algorithm, {record.key.algorithm for record in records}),
    }
    for kind, (name, there) in known.items():
        if name is not None and records and name not in there:
            raise UnknownNameError(f"{kind} in these results", name, there, where=f"--{kind}")
    return [
        record
        for record in records
        if dataset in (None, record.dataset.name) and algorithm in (None, record.key.algorithm)
    ]


def listing_rows(records: Iterable[Record]) -> list[dict[str, Any]]:
    """One row a record, with what identifies it and what came out."""
    return [_row(record) for record in records]


def stale_rows(records: Iterable[Record], reasons: Iterable[Reasons]) -> list[dict[str, Any]]:
    """The rows of stale records only, each with its reasons as `stale`."""
    pairs = zip(records, reasons, strict=True)
    return [{**_row(record), "stale": [reason.as_json() for reason in why]} for record, why in pairs if why]


def _row(record: Record) -> dict[str, Any]:
    return {
        "digest": record.key.digest[:12],
        "dataset": record.dataset.name,
        "configuration": record.label,
        "mode": record.key.mode,
        "threads": record.key.threads,
        "k": record.key.k,
        "worker_index": record.key.worker_index,
        "status": record.status,
        "verdict": record.verdict,
        **_figures(record),
        "started_at": record.started_at,
    }


def _figures(record: Record) -> dict[str, float | None]:
    """Of a runbook: the mean over its searches, and its largest index."""
    figures: tuple[float | None, float | None, float | None]
    if record.stream is not None:
        figures = (record.stream.recall_mean, record.stream.qps, record.stream.index_bytes_max)
    else:
        figures = (
            record.recall.recall_at_k if record.recall else None,
            record.time.qps_best if record.time else None,
            record.build.index_bytes if record.build else None,
        )
    return dict(zip(("recall_at_k", "qps_best", "index_bytes"), figures, strict=True))


def listing_table(rows: list[dict[str, Any]]) -> Table:
    """For a terminal."""
    table = Table(title=f"{len(rows)} points", title_justify="left")
    table.add_column("digest", no_wrap=True)
    table.add_column("configuration", overflow="fold", ratio=1)
    table.add_column("mode", no_wrap=True)
    for name in ("recall", "QPS"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    dataset = None
    for row in rows:  # they come ordered by dataset
        if row["dataset"] != dataset:
            dataset = row["dataset"]
            table.add_row("", Text(dataset, style="bold"))
        recall, qps = row["recall_at_k"], row["qps_best"]
        table.add_row(
            row["digest"],
            Text(row["configuration"]),
            row["mode"],
            "–" if recall is None else f"{recall:.4f}",
            "–" if qps is None else f"{qps:,.0f}",
            row["verdict"] if row["status"] == "ok" else row["status"],
        )
    return table


def stale_table(rows: list[dict[str, Any]]) -> Table:
    """The rows of `stale_rows` for a terminal: points that are stale for the same reasons stand together."""
    table = Table(title=f"{len(rows)} stale point{'s' * (len(rows) != 1)}", title_justify="left")
    table.add_column("digest", no_wrap=True)
    table.add_column("configuration", overflow="fold", ratio=1)
    table.add_column("mode", no_wrap=True)
    table.add_column("measured", no_wrap=True)
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], *(reason["text"] for reason in row["stale"])), []).append(row)
    for (dataset, *reasons), members in groups.items():
        table.add_section()
        table.add_row("", Text.assemble((dataset, "bold"), *(f"\n{reason}" for reason in reasons)))
        for row in members:
            table.add_row(row["digest"], Text(row["configuration"]), row["mode"], row["started_at"][:10])
    return table


def export_records(records: Iterable[Record], target: Path, kind: str | None = None) -> int:
    """Write all records to `target` as CSV or Parquet; returns how many. Raises UsageError, NothingComparableError."""
    chosen = kind or target.suffix.lower().lstrip(".")
    if chosen not in ("csv", "parquet"):
        raise UsageError(
            f"cannot tell the format of {target.name}", remedy="end it in .csv or .parquet, or give --format"
        )
    from annbench.results.frame import records_frame  # pandas: a listing need not wait for it

    frame = records_frame(records)
    if frame.empty:
        raise NothingComparableError("there are no results to export", remedy="measure some: annbench run quickstart")
    try:
        if chosen == "csv":
            frame.to_csv(target, index=False)
        else:
            frame.to_parquet(target, index=False)
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=str(target), remedy="choose another file") from error
    return len(frame)
