"""Makes a dataset of someone's own vectors: checked, with exact truth, in the data folder, all of it or
nothing.

`add_dataset` starts `python -m annbench.datasets.making`, which does the work: input files are
opened in that process only. A second call after an interruption goes on with the truth that is computed
already.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annbench.datasets.child import run_child
from annbench.datasets.info import DatasetInfo
from annbench.datasets.inspect import remember
from annbench.datasets.library import ENDINGS, cache_dir, check_name, stored_path
from annbench.datasets.parts import Parts, check_parts
from annbench.errors import DatasetError, UsageError


class AddRequest(Parts):
    """What is to be made: the dataset of these parts under this name in `folder`.

    If the base is a whole HDF5 dataset, it is imported as it is.
    """

    name: str
    folder: Path
    force: bool = False

    @property
    def target(self) -> Path:
        """Where the dataset will be."""
        return stored_path(self.name, self.folder)

    @property
    def imports_hdf5(self) -> bool:
        """Whether the base is a whole dataset already."""
        return self.base.name.lower().endswith(ENDINGS)


@dataclass(frozen=True)
class Added:
    """A dataset that was made, and what its owner should know about it."""

    info: DatasetInfo
    notes: tuple[str, ...]


def add_dataset(request: AddRequest, on_progress: Callable[[str, float], None] | None = None) -> Added:
    """Make the dataset; `on_progress` is told the phase and the fraction done of it.

    Raises UsageError for arguments that contradict each other, DatasetError for data that cannot be used and
    for a name that exists.
    """
    check_request(request)

    def progress(fields: dict[str, Any]) -> None:
        if on_progress is not None:
            on_progress(str(fields["phase"]), float(fields["fraction"]))

    answer = run_child(
        "annbench.datasets.making",
        [],
        where=str(request.base),
        request=request.model_dump_json(),
        threads=request.threads,
        on_progress=progress,
    )
    info = DatasetInfo.model_validate(answer["info"])
    remember(info, cache_dir(request.folder), Path(info.path).stat())
    return Added(info, tuple(answer["notes"]))


def check_request(request: AddRequest) -> None:
    """Raise for what can be refused before a file is read."""
    from annbench.datasets.catalog import load_catalog

    check_name(request.name)
    entry = load_catalog().get(request.name)
    if entry is not None and (entry.source == "bundled" or not request.imports_hdf5):
        raise DatasetError(f"{request.name} is the name of a public dataset", remedy="choose another name")
    if request.target.exists() and not request.force:
        raise DatasetError(
            f"{request.name} exists already",
            where=str(request.target),
            remedy="choose another name, or give --force",
        )
    if not request.imports_hdf5:
        check_parts(request)
        return
    own = {"--queries": request.queries, "--truth": request.truth, "--learn": request.learn,
           "--held-out": request.held_out, "--limit": request.limit}  # fmt: skip
    given = [option for option, value in own.items() if value is not None]
    if given:
        raise UsageError("an HDF5 dataset brings its own queries and truth", remedy=f"leave out {', '.join(given)}")
