"""A plan as rows and as a table."""

from __future__ import annotations

from typing import Any

from rich.markup import escape
from rich.table import Table

from annbench.cli.output import bytes_text, seconds_text
from annbench.results.store import ResultStore
from annbench.runner.estimate import STARTUP_SECONDS, Estimator
from annbench.runner.plan import Plan


def plan_rows(plan: Plan, store: ResultStore) -> list[dict[str, Any]]:
    """One row a build: its points, how many are stored, and what the rest is expected to need."""
    records = {record.key.digest: record for record in store.records()}
    estimator = Estimator.taught_by(records.values(), plan.points)
    rows = []
    for build in plan.builds:
        todo = [point for point in build.points if point.key.digest not in records]
        workers = len({point.key.worker_index for point in todo})
        search = sum(estimator.point_seconds(point) for point in todo) + workers * STARTUP_SECONDS
        rows.append(
            {
                "dataset": build.dataset.name,
                "build": build.label,
                "points": len(build.points),
                "stored": len(build.points) - len(todo),
                "build_seconds": round(estimator.build_seconds(build), 1) if todo else 0.0,
                "search_seconds": round(search, 1),
                "memory_bytes": estimator.memory_bytes(build),
                "unsupported": build.unsupported,
            }
        )
    return rows


def plan_totals(plan: Plan, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over the rows; memory is of the largest build, since builds follow each other."""
    return {
        "points": sum(row["points"] for row in rows),
        "stored": sum(row["stored"] for row in rows),
        "left_out_by_constraints": plan.left_out,
        "seconds": round(sum(row["build_seconds"] + row["search_seconds"] for row in rows), 1),
        "memory_bytes": max((row["memory_bytes"] for row in rows), default=0),
    }


def plan_table(plan: Plan, rows: list[dict[str, Any]]) -> Table:
    """For a terminal."""
    total = plan_totals(plan, rows)
    table = Table(
        title=f"{plan.name}: {total['points']} points, {total['stored']} stored, "
        f"{total['left_out_by_constraints']} left out by constraints",
        caption="times and memory are rough estimates; they improve once this machine has measured the algorithm",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("dataset and build", overflow="fold")
    for name in ("points", "stored", "build", "search", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, before in zip(rows, [None, *rows], strict=False):
        if before is None or before["dataset"] != row["dataset"]:
            table.add_row(f"[bold]{escape(row['dataset'])}")
        table.add_row(
            escape(row["build"] + (f"\n{row['unsupported']}" if row["unsupported"] else "")),
            str(row["points"]),
            str(row["stored"]),
            seconds_text(row["build_seconds"]),
            seconds_text(row["search_seconds"]),
            bytes_text(row["memory_bytes"]),
        )
    table.add_section()
    table.add_row(
        "total", str(total["points"]), str(total["stored"]), "", seconds_text(total["seconds"]),
        bytes_text(total["memory_bytes"]),
    )  # fmt: skip
    return table
