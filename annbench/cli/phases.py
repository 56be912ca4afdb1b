"""A progress bar for work that tells its phase and the fraction done of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def phase_bar(names: Mapping[str, str]) -> Iterator[Callable[[str, float], None]]:
    """A bar on stderr, for a terminal and not with --quiet; yields what is told the phase and the fraction. `names`
    says in words what a phase does.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from annbench.cli.output import stderr
    from annbench.cli.terminal import WISHES

    console = stderr()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    silent = WISHES.quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=silent) as progress:
        task = progress.add_task(next(iter(names.values()), ""), total=1.0)

        def show(phase: str, fraction: float) -> None:
            progress.update(task, description=names.get(phase, phase), completed=fraction)

        yield show
