"""File formats of datasets: one module each, found here by the file's ending.

A format is a module with a class that satisfies `source.Source`; adding one is a file and a line in FORMATS.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from annbench.errors import DatasetError

if TYPE_CHECKING:
    from annbench.datasets.formats.source import Source

# Named, not imported: only the process that opens a file loads the library that reads it.
FORMATS = {
    ".hdf5": "annbench.datasets.formats.hdf5:Hdf5Source",
    ".h5": "annbench.datasets.formats.hdf5:Hdf5Source",
}


def open_source(path: Path) -> Source:
    """Open a dataset file by its ending.

    Raises DatasetError when it is not one, or fails the structural checks.
    """
    target = FORMATS.get(path.suffix.lower())
    if target is None:
        raise DatasetError(
            f"{path.suffix or 'a file without ending'} is not a dataset format",
            where=str(path),
            remedy=f"give one of {', '.join(FORMATS)}, or import .npy with `annbench data add`",
        )
    module, _, name = target.partition(":")
    return cast("Source", getattr(importlib.import_module(module), name)(path))
