"""`annbench data get`: fetches public datasets, or any by its address."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from annbench.cli.completion import dataset_names
from annbench.cli.options import AsJson, DataDir
from annbench.cli.terminal import WISHES

if TYPE_CHECKING:
    from rich.progress import Progress, Task, TaskID

    from annbench.datasets.download.get import Got


def get(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Names of `data list`.", autocompletion=dataset_names)
    ],
    url: Annotated[
        str | None,
        typer.Option("--url", help="Fetch from this https address: a mirror, or a set of your own under NAME."),
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", help="What the fetched file must have.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Fetch again what is here, and believe what comes now.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Fetch nothing: is the file still the one that was fetched?")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Download datasets, check them, install them whole. Interrupted, the same command goes on."""
    from annbench.datasets.library import data_dir as find_folder
    from annbench.errors import UsageError

    if (url or sha256) and len(names) > 1:
        raise UsageError("--url and --sha256 are of one dataset", remedy="give one NAME")
    if verify and (url or sha256 or force):
        raise UsageError("--verify fetches nothing", remedy="leave out --url, --sha256 and --force")
    folder = find_folder(data_dir)
    facts = [_verified(name, folder) if verify else _got(name, folder, url, sha256, force) for name in names]
    if as_json:
        from annbench.cli.output import print_json

        print_json([fact for fact, _ in facts])
    else:
        from annbench.cli.output import stdout

        for _, text in facts:
            stdout().print(text, soft_wrap=True, markup=False)


def _verified(name: str, folder: Path) -> tuple[dict[str, Any], str]:
    from dataclasses import asdict

    from annbench.datasets.download.verify import verify_dataset

    found = verify_dataset(name, folder)
    return asdict(found), f"{name}: sha256 {found.sha256}, {found.because}"


def _got(name: str, folder: Path, url: str | None, sha256: str | None, force: bool) -> tuple[dict[str, Any], str]:
    from annbench.datasets.download.get import GetRequest, get_dataset

    with _listener() as listener:
        got = get_dataset(GetRequest(name, folder, url, sha256, force), listener)
    facts = {
        "fetched": got.receipt is not None,
        "info": got.info.model_dump(mode="json"),
        "receipt": got.receipt.model_dump(mode="json") if got.receipt else None,
    }
    return facts, _summary(got)


def _summary(got: Got) -> str:
    from annbench.cli.output import bytes_text

    made, queries = got.info, got.info.query_sets["test"]
    here = "" if got.receipt else " (here already)"
    return (
        f"{made.name}: {made.n:,} x {made.dim} {made.dtype}, {made.metric}, {queries.count:,} queries, "
        f"{queries.truth_k} neighbours each, {bytes_text(made.file_bytes)}{here}\n{made.path}"
    )


class _Bars:
    """Shows bytes, speed and time left on a terminal; elsewhere only the notes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None
        self._phase = ""

    def progress(self, phase: str, done: int, total: int | None) -> None:
        if phase != self._phase:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._phase = phase
            # What was here before counts as done, not as speed.
            self._task = self._progress.add_task(phase, completed=done, total=total)
        elif self._task is not None:
            self._progress.update(self._task, completed=done, total=total)

    def note(self, text: str) -> None:
        if not WISHES.quiet:
            # Through the bar's own console, which moves the bar out of the way.
            self._progress.console.print(text, soft_wrap=True, markup=False)


@contextmanager
def _listener() -> Iterator[_Bars]:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.text import Text

    from annbench.cli.output import stderr

    class Bytes(DownloadColumn):
        def render(self, task: Task) -> Text:
            return super().render(task) if task.completed else Text()  # a check counts no bytes

    class Speed(TransferSpeedColumn):
        def render(self, task: Task) -> Text:
            return super().render(task) if task.speed else Text()

    console = stderr()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        Bytes(),
        Speed(),
        TimeRemainingColumn(),
    )
    hidden = WISHES.quiet or not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=hidden) as progress:
        yield _Bars(progress)
