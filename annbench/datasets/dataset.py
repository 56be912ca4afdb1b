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
    from annbench.datasets.formats.source import QuerySource


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
    def base_raw(self) -> Rows:
        """The base as stored: slices give rows (m, dim) of the file's dtype, without reading the rest."""
        return self._source.base

    def base(self) -> NDArray[np.float32]:
        """The whole base (n, dim), float32, C-contiguous; takes `info.bytes_float32` bytes."""
        return self._source.base.float32()

    def base_rows(self, ids: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Base vectors (*ids.shape, dim) float32 of the given row ids.

        Raises IndexError for an id outside 0 … n − 1.
        """
        return self._source.base.gather(ids).astype("float32", copy=False)

    def queries(self, query_set: str = DEFAULT_QUERY_SET) -> NDArray[np.float32]:
        """Queries (q, dim), float32, C-contiguous."""
        return self._queries(query_set).test.float32()

    def learn(self, query_set: str = DEFAULT_QUERY_SET) -> NDArray[np.float32] | None:
        """Queries (m, dim) that an index may be fitted on, disjoint from `queries`; None if the file has
        none.
        """
        learn = self._queries(query_set).learn
        return None if learn is None else learn.float32()

    def neighbors(self, query_set: str = DEFAULT_QUERY_SET) -> NDArray[np.int64]:
        """Row ids (q, truth_k) of the true neighbours, nearest first."""
        return self._queries(query_set).neighbors[:].astype("int64", copy=False)

    def distances(self, query_set: str = DEFAULT_QUERY_SET) -> NDArray[np.float64]:
        """Stored distances (q, truth_k): L2 (not squared), 1 − cosine, or −dot; float64 whatever the file
        holds.
        """
        return self._queries(query_set).distances[:].astype("float64", copy=False)

    def relevant(self, query_set: str = DEFAULT_QUERY_SET) -> NDArray[np.int64] | None:
        """Row (q,) that each query was made from (known-item search); None if the file has none."""
        relevant = self._queries(query_set).relevant
        return None if relevant is None else relevant[:].astype("int64", copy=False)

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
