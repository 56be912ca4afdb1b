"""The base as the exact search wants it: without the rows that have no distance to anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.datasets.formats.rows import Rows
from annbench.doctor.scan import Scan

Ids = NDArray[np.int64]


class UsableRows:
    """Rows of an array in order, the unusable ones left out; dense ones as float32, passed through `place`.

    `rows[a:b]` reads just those. `original` turns its row numbers into those of the file.
    """

    def __init__(self, rows: Rows, scan: Scan, *, dense: bool, place: Callable[[Any], Any] = lambda vectors: vectors):
        self._rows, self._usable, self._dense, self._place = rows, scan.usable, dense, place
        count = len(rows) if scan.usable is None else len(scan.usable)
        self.shape = (count, *rows.shape[1:])
        self.dtype: np.dtype[Any] = np.dtype(np.float32) if dense else rows.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Any:
        start, stop, _ = rows.indices(len(self))
        if self._usable is None:
            return self._form(self._rows[start:stop])
        if stop <= start:
            return self._form(self._rows[0:0])
        wanted = self._usable[start:stop]
        first = int(wanted[0])
        return self._form(self._rows[first : int(wanted[-1]) + 1][wanted - first])

    def gather(self, ids: Ids) -> Any:
        """These rows (m, …), by their numbers here."""
        return self._form(self._rows.gather(self.original(ids)))

    def of_file(self, ids: Ids) -> Any:
        """These rows (m, …), by their numbers in the file, usable or not."""
        return self._form(self._rows.gather(ids))

    def original(self, ids: Any) -> Ids:
        """Row numbers of the file, for numbers here; negative ones (no neighbour) stay."""
        found = np.asarray(ids, np.int64)
        if self._usable is None or not self._usable.size:
            return found
        return np.asarray(np.where(found < 0, found, self._usable[np.maximum(found, 0)]))

    def _form(self, rows: Any) -> Any:
        return self._place(np.asarray(rows, np.float32)) if self._dense else rows
