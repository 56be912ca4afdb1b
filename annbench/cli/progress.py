"""Progress of a run on stderr, drawn between measurements and never during one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from annbench.cli.output import bytes_text, seconds_text, stderr
from annbench.results.schema import BuildSummary, Record
from annbench.runner.estimate import Estimator
from annbench.runner.execute import Observer
from annbench.runner.plan import Plan, PlannedBuild, PlannedPoint


def say(text: str) -> None:
    """One remark on stderr."""
    stderr().print(text, soft_wrap=True, markup=False)


class ProgressObserver(Observer):
    """A bar with the time left; on anything but a terminal, a line per index."""

    def __init__(self, plan: Plan, *, quiet: bool) -> None:
        self.quiet = quiet
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
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=self.console,
            auto_refresh=False,
            transient=True,
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
            self.progress.console.print(
                f"built {build.label}: {summary.build_seconds:.1f} s, {size}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    def stored(self, record: Record) -> None:
        self.done += 1
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
        self.progress.update(self.task, completed=self.done, description=text[:60], left=left, refresh=True)
