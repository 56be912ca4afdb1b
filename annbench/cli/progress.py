"""Progress of a run on stderr, drawn between measurements and never during one."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from annbench.cli.output import bytes_text, seconds_text, stderr
from annbench.results.schema import BuildSummary, Record
from annbench.results.store import ResultStore
from annbench.runner.estimate import Estimator
from annbench.runner.execute import Observer
from annbench.runner.plan import Plan, PlannedBuild


def say(text: str) -> None:
    """One remark on stderr."""
    stderr().print(text, soft_wrap=True, markup=False)


class ProgressObserver(Observer):
    """A bar with the time left; on anything but a terminal, a line per index."""

    def __init__(self, plan: Plan, store: ResultStore, *, quiet: bool) -> None:
        self.quiet = quiet
        self.console = stderr()
        digests = {p.key.digest for p in plan.points}
        stored = {p.stem for p in store.paths()}
        self.missing = {digest for digest in digests if digest[:32] not in stored}
        self.estimator = Estimator.taught_by((), plan.points)
        # Expected seconds are only weights here: what was measured so far tells how long they really are.
        self.build_weight = {b.digest: self.estimator.build_seconds(b) for b in plan.builds}
        self.point_weight = {p.key.digest: self.estimator.point_seconds(p) for p in plan.points}
        todo = [b for b in plan.builds if any(p.key.digest in self.missing for p in b.points)]
        self.weight_left = sum(self.build_weight[b.digest] for b in todo)
        self.weight_left += sum(self.point_weight[digest] for digest in self.missing)
        self.weight_done = 0.0
        self.count = len(digests)
        self.done = len(digests) - len(self.missing)

    def __enter__(self) -> ProgressObserver:
        self.started = time.monotonic()
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
        self.task = self.progress.add_task("planning", total=self.count, completed=self.done, left="")
        if self.done and self.done < self.count and not self.quiet:
            say(f"{self.done} of {self.count} points are stored already; measuring the rest")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.progress.stop()

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
