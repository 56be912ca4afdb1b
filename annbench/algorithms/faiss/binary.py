"""What the faiss indexes over packed bits share. They compare by Hamming distance, and count it exactly.

A vector whose bits do not fill its last byte is padded with zero bits, which differ in no pair: any number of
dimensions works, though the library itself takes multiples of 8 only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from annbench.algorithms.base import Ids, PointContext, Vectors
from annbench.algorithms.faiss.common import WRAPPER, FaissFamily
from annbench.datasets.info import Metric

FILE = "index.faissbinary"
TIES = "Hamming distances tie often: which of the equally near come back is the library's choice"


class FaissBinaryFamily(FaissFamily):
    """Base of the adapters for metric hamming."""

    metrics = frozenset({"hamming"})
    known_limits: ClassVar[tuple[str, ...]] = (WRAPPER, TIES)

    def create_binary(self, dim: int, params: Any) -> Any:
        """The empty index over `dim` bits, a multiple of 8."""
        raise NotImplementedError

    def build(self, base: Vectors, metric: Metric, params: Any, threads: int) -> None:
        """Train on the whole base (n, bytes) uint8 and add it."""
        import faiss

        faiss.omp_set_num_threads(threads)
        index = self.create_binary(8 * base.shape[1], params)
        self.prepare(index, params)
        index.train(base)
        index.add(base)
        self._open(index, metric, params)

    def search(self, query: Vectors, k: int) -> Ids:
        """One query (bytes,) uint8 as a batch of one."""
        ids: Ids = self._search(query[None], k)[1][0]
        return ids

    def search_batch(self, queries: Vectors, k: int) -> Ids:
        """All queries (q, bytes) uint8 in one call."""
        ids: Ids = self._search(queries, k)[1]
        return ids

    def save(self, folder: Path) -> None:
        """Write the library's own file."""
        import faiss

        faiss.write_index_binary(self._index, str(folder / FILE))

    def load(self, folder: Path, metric: Metric, dim: int, params: Any) -> None:
        """Read the library's own file."""
        import faiss

        self._open(faiss.read_index_binary(str(folder / FILE)), metric, params)


def packed_words(context: PointContext) -> float:
    """64-bit words of a code: comparing one counts as one multiply-add."""
    return max(1.0, context.dim / 64)


def packed_size(context: PointContext) -> float:
    """Bytes of all codes."""
    return float(context.n * -(-context.dim // 8))
