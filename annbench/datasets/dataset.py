"""The vectors of a dataset. They are only ever opened in a child process, because what comes from a file is hostile
until checked; everyone else has the description, `annbench.datasets.info`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from annbench.datasets.info import DEFAULT_QUERY_SET, DatasetShape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from annbench.datasets.formats.rows import Rows
    from annbench.datasets.formats.source import BaseSet, QuerySource


class Dataset:
    """The vectors of a dataset file, read when asked for. A context manager; for child processes only.

    The structure is checked on opening (links, shapes, dtypes, sizes against the file); the values are
    checked by `annbench.datasets.inspect`, once per file version. Raises DatasetError on opening and on
    reading.
    """

    def __init__(self, path: Path) -> None:
        from annbench.datasets.formats import open_source

        self.path = path
        self._source = open_source(path)

    @property
    def info(self) -> DatasetShape:
        """Shapes, metric, dtype and query sets."""
        return self._source.shape

    @property
    def base_set(self) -> BaseSet | None:
        """The other set whose base this one uses, for files without vectors of their own."""
        return self._source.base_set

    @property
    def base_raw(self) -> Rows:
        """The base as stored: slices give rows (m, dim) of the file's dtype, without reading the rest."""
        return self._source.base

    def base(self) -> Any:
        """The whole base, for an index: (n, dim) float32; packed bits (n, ⌈dim/8⌉) uint8; or Sets. C-contiguous; takes
        `info.raw_bytes` bytes.
        """
        return self._source.base.whole()

    def base_rows(self, ids: NDArray[np.integer[Any]]) -> Any:
        """Base vectors of the given row ids: (*ids.shape, dim) float32, (*ids.shape, ⌈dim/8⌉) uint8, or for ids (m,)
        the Sets.

        Raises IndexError for an id outside 0 … n − 1.
        """
        rows = self._source.base.gather(ids)
        return rows if self.info.dtype in ("bits", "sets") else rows.astype("float32", copy=False)

    def queries(self, query_set: str = DEFAULT_QUERY_SET) -> Any:
        """Queries, in the form of `base`."""
        return self._queries(query_set).test.whole()

    def learn(self, query_set: str = DEFAULT_QUERY_SET) -> Any | None:
        """Queries that an index may be fitted on, disjoint from `queries`, in the form of `base`; None if the file has
        none.
        """
        learn = self._queries(query_set).learn
        return None if learn is None else learn.whole()

    def neighbors(self, query_set: str = DEFAULT_QUERY_SET) -> NDArray[np.int64]:
        """Row ids (q, truth_k) of the true neighbours, nearest first."""
        found: NDArray[np.int64] = self._queries(query_set).neighbors.stored().astype("int64", copy=False)
        return found

    def distances(self, query_set: str = DEFAULT_QUERY_SET) -> NDArray[np.float64]:
        """Stored distances (q, truth_k), as `annbench.distances` defines them, smaller is nearer; float64 whatever the
        file holds.
        """
        found: NDArray[np.float64] = self._queries(query_set).distances.stored().astype("float64", copy=False)
        return found

    def relevant(self, query_set: str = DEFAULT_QUERY_SET) -> NDArray[np.int64] | None:
        """Row (q,) that each query was made from (known-item search); None if the file has none."""
        relevant = self._queries(query_set).relevant
        return None if relevant is None else relevant.stored().astype("int64", copy=False)

    def max_norm(self) -> float:
        """The length of the longest vector of a dense base, reading it once in blocks."""
        longest = 0.0
        for _, block in self.base_raw.blocks():
            wide = block.astype("float64")
            longest = max(longest, float((wide * wide).sum(axis=1).max()))
        return float(longest**0.5)

    def query_rows(self) -> Iterator[tuple[str, QuerySource]]:
        """Each query set's name and its arrays as stored, to be read in blocks."""
        yield from self._source.query_sets.items()

    def close(self) -> None:
        """Close the file; arrays already read stay valid."""
        self._source.close()

    def __enter__(self) -> Dataset:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _queries(self, query_set: str) -> QuerySource:
        from annbench.errors import UnknownNameError

        if query_set not in self._source.query_sets:
            raise UnknownNameError("query set", query_set, self._source.query_sets, where=str(self.path))
        return self._source.query_sets[query_set]
