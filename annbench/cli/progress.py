"""Progress of a run on stderr, drawn between measurements and never during one."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Column

from annbench.cli.output import bytes_text, seconds_text, stderr
from annbench.cli.terminal import WISHES
from annbench.results.schema import BuildSummary, Record, parameters_text
from annbench.runner.estimate import Estimator
from annbench.runner.execute import Observer
from annbench.runner.plan import Plan, PlannedBuild, PlannedPoint


def say(text: str) -> None:
    """One remark on stderr; not with --quiet."""
    if not WISHES.quiet:
        warn(text)


def warn(text: str) -> None:
    """One line on stderr that is always said: what failed, what was passed over."""
    stderr().print(text, soft_wrap=True, markup=False)


def detail(text: str) -> None:
    """One line on stderr for who asked for more, with --verbose."""
    if WISHES.verbose:
        stderr().print(text, soft_wrap=True, markup=False, style="dim")


class ProgressObserver(Observer):
    """A bar with the time left; on anything but a terminal, a line per index. With --verbose, a line per point."""

    def __init__(self, plan: Plan, *, quiet: bool = False) -> None:
        self.quiet = quiet or WISHES.quiet
        self.console = stderr()
        self.count = len(plan.points)
        self.done = 0
        estimator = Estimator()
        # Expected seconds are only weights here: what was measured so far tells how long they really are.
        self.build_weight = {b.digest: estimator.build_seconds(b) for b in plan.builds}
        self.point_weight = {p.key.digest: estimator.point_seconds(p) for p in plan.points}
        self.weight_left = self.weight_done = 0.0

    def __enter__(self) -> ProgressObserver:
        # auto_refresh would wake a thread ten times a second in the middle of a measurement
        self.progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
            BarColumn(bar_width=max(4, min(24, self.console.width // 5))),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
            console=self.console,
            auto_refresh=False,
            transient=True,
            expand=True,
            disable=self.quiet or not self.console.is_terminal,
        )
        self.progress.start()
        self.task = self.progress.add_task("planning", total=self.count, left="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.progress.stop()

    def starting(self, builds: Sequence[PlannedBuild], points: Sequence[PlannedPoint]) -> None:
        self.started = time.monotonic()
        self.done = self.count - len(points)
        self.weight_left = sum(self.build_weight[build.digest] for build in builds)
        self.weight_left += sum(self.point_weight[point.key.digest] for point in points)
        if self.done and points and not self.quiet:
            say(f"{self.done} of {self.count} points are stored already; measuring the rest")

    def adding(self, points: Sequence[PlannedPoint]) -> None:
        self.count += len(points)
        self.progress.update(self.task, total=self.count)
        if not self.quiet:
            searches = dict.fromkeys(parameters_text(point.key.search) for point in points)
            say(f"{len(points)} points added around the recalls asked for: {', '.join(searches)}")

    def building(self, build: PlannedBuild, reused: bool) -> None:
        verb = "reusing" if reused else "building"
        if not self.progress.disable:
            self._show(f"{verb} {build.label}")
        elif not self.quiet:
            say(f"[{self.done}/{self.count}] {verb} {build.label} on {build.dataset.name}")

    def built(self, build: PlannedBuild, summary: BuildSummary) -> None:
        self._advance(self.build_weight[build.digest])
        if not self.quiet:
            size = bytes_text(summary.index_bytes)
            self._line(f"built {build.label}: {summary.build_seconds:.1f} s, {size}")

    def stored(self, record: Record) -> None:
        self.done += 1
        if WISHES.verbose:
            self._line(f"[{self.done}/{self.count}] {_outcome(record)}")
        self._advance(self.point_weight.get(record.key.digest, 0.0))
        self._show(record.label)

    def _advance(self, weight: float) -> None:
        self.weight_done += weight
        self.weight_left = max(0.0, self.weight_left - weight)

    def _show(self, text: str) -> None:
        left = ""
        if self.weight_done > 0 and self.weight_left > 0:
            elapsed = time.monotonic() - self.started
            left = f"about {seconds_text(elapsed * self.weight_left / self.weight_done)} left"
        self.progress.update(self.task, completed=self.done, description=text, left=left, refresh=True)

    def _line(self, text: str) -> None:
        self.progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _outcome(record: Record) -> str:
    """A point in one line, and below it why it is not `ok`; the end of the worker's output is part of a failure."""
    head = f"{record.label} ({record.key.mode}): "
    reasons = "".join(f"\n    {reason}" for reason in (*record.verdict_reasons, *record.notes))
    if record.stream is not None:
        recall = f"recall {record.stream.recall_mean:.4f}, lowest {record.stream.recall_min:.4f}"
        return f"{head}{recall}, {record.stream.qps:,.0f} QPS, {record.verdict}{reasons}"
    if record.recall is None or record.time is None:
        return f"{head}{record.status} in {record.failed_phase}\n" + textwrap.indent(record.status_detail, "    ")
    figures = f"recall {record.recall.recall_at_k:.4f}, {record.time.qps_best:,.0f} QPS, {record.verdict}"
    return f"{head}{figures}{reasons}"
