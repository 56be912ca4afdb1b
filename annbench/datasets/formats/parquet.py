"""Parquet: a column of lists, and perhaps one of ids. Read in batches, without a Python object a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from annbench.datasets.formats.mapped import regular_size
from annbench.datasets.formats.rows import ArrayRows, PiecewiseRows, Rows
from annbench.datasets.formats.vector_file import Blocks, Columns, VectorFile, check_matrix
from annbench.errors import DatasetError, UnknownNameError

BATCH_BYTES = 1 << 20  # stays in a cache between decoding and copying
GROUP_BYTES = 64 << 20
# Dictionaries and snappy shrink constant columns by a lot; vectors by less than 10.
MAX_COMPRESSION = 1000
SMALL_BYTES = 64 << 20
_REMEDY = "store one list of the same length in every row"
_NUMBERS = {
    pa.float32(): "float32",
    pa.float16(): "float16",
    pa.float64(): "float64",
    pa.int8(): "int8",
    pa.uint8(): "uint8",
    pa.int32(): "int32",
    pa.int64(): "int64",
    pa.uint32(): "uint32",
}


class Parquet:
    """A list of numbers in every row."""

    dtypes: tuple[str, ...] = tuple(_NUMBERS.values())

    def read(self, path: Path, columns: Columns) -> VectorFile:
        size = regular_size(path)
        try:
            file = pq.ParquetFile(path, memory_map=True, pre_buffer=False)
            schema = file.schema_arrow
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(path, error) from error
        column = _vector_column(schema, columns.vectors, path)
        check_matrix(file.metadata.num_rows, 1, str(path), "store at least one row")
        _check_sizes(file, size, path)
        rows = ParquetRows(file, column, path)
        ids = _id_column(schema, columns.ids, path)
        if ids is None:
            return VectorFile(rows)
        return _in_order_of_ids(rows, _ids(file, ids, path), ids, path)

    def write(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Blocks) -> None:
        dim = shape[1]
        kind = next(kind for kind, name in _NUMBERS.items() if name == dtype.name)
        schema = pa.schema([("id", pa.int64()), ("vector", pa.list_(kind, dim))])
        rows_a_group = max(1, GROUP_BYTES // (dim * dtype.itemsize))
        with pq.ParquetWriter(path, schema, use_dictionary=["id"], compression="none") as writer:
            for start, block in blocks:
                flat = pa.array(np.ascontiguousarray(block, dtype).ravel())
                vectors = pa.FixedSizeListArray.from_arrays(flat, dim)
                ids = pa.array(np.arange(start, start + len(block)))
                writer.write_table(pa.Table.from_arrays([ids, vectors], schema=schema), row_group_size=rows_a_group)


class ParquetRows(PiecewiseRows):
    """A list column as rows. To read on where the last slice ended is cheap; to go back starts at the row group."""

    def __init__(self, file: pq.ParquetFile, column: str, path: Path) -> None:
        self._file = file
        self._column = column
        self._path = path
        groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(groups, dtype=np.int64)])
        self._batches: Iterator[NDArray[Any]] = iter(())
        self._pending: NDArray[Any] | None = None
        self._next = -1  # the row that the next batch starts with
        number = file.schema_arrow.field(column).type.value_type
        super().__init__(str(path), (int(self._starts[-1]), 0), np.dtype(_NUMBERS[number]))
        self.shape = (self.shape[0], self._first_length())
        check_matrix(self.shape[0], self.shape[1], f"{path}: row 0", _REMEDY)

    def _read(self, start: int, stop: int) -> NDArray[Any]:
        if start < stop:
            batch, first = self._batch_with(start)
            if stop <= first + len(batch):
                return batch[start - first : stop - first]
        found = np.empty((stop - start, self.shape[1]), self.dtype)
        at = start
        while at < stop:
            batch, first = self._batch_with(at)
            piece = batch[at - first : stop - first]
            found[at - start : at - start + len(piece)] = piece
            at += len(piece)
        return found

    def _gather(self, ids: NDArray[np.integer[Any]]) -> NDArray[Any]:
        wanted, back = np.unique(ids, return_inverse=True)
        found = np.empty((len(wanted), self.shape[1]), self.dtype)
        at = 0
        while at < len(wanted):
            batch, first = self._batch_with(int(wanted[at]))
            end = int(np.searchsorted(wanted, first + len(batch)))
            found[at:end] = batch[wanted[at:end] - first]
            at = end
        return np.asarray(found[back.reshape(np.shape(ids))])

    def _batch_with(self, row: int) -> tuple[NDArray[Any], int]:
        """A batch that holds the row, and its first row."""
        if self._pending is None or not self._next - len(self._pending) <= row:
            self._open(row)
        # Skipping to another row group is cheaper than decoding all that lies between.
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        if self._next < self._starts[group]:
            self._open(row)
        while self._pending is None or row >= self._next:
            batch = next(self._batches, None)
            if batch is None:
                raise DatasetError(
                    f"ends at row {self._next}, and declares {len(self):,}",
                    where=self.where,
                    remedy="the file is damaged; get it again",
                )
            self._pending = batch
            self._next += len(batch)
        return self._pending, self._next - len(self._pending)

    def _open(self, row: int) -> None:
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        self._next, self._pending = int(self._starts[group]), None
        self._batches = self._decoded(range(group, self._file.num_row_groups))

    def _decoded(self, groups: range) -> Iterator[NDArray[Any]]:
        width = max(1, self.shape[1] * self.dtype.itemsize)
        row = int(self._starts[groups.start])
        try:
            for batch in self._file.iter_batches(
                batch_size=max(1, BATCH_BYTES // width),
                row_groups=list(groups),
                columns=[self._column],
                use_threads=False,
            ):
                lists = batch.column(0)
                yield _matrix(lists, self.shape[1], row, self._path)
                row += len(lists)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(self._path, error) from error

    def _first_length(self) -> int:
        """Numbers in the first row."""
        try:
            for batch in self._file.iter_batches(batch_size=1, columns=[self._column], use_threads=False):
                first = batch.column(0)
                return 0 if first.null_count else len(first.flatten())
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _damaged(self._path, error) from error
        return 0


def _matrix(lists: Any, dim: int, first: int, path: Path) -> NDArray[Any]:
    """The numbers of a batch of lists. Raises DatasetError at the first row that is no list of `dim` numbers."""
    if lists.null_count:
        row = int(np.flatnonzero(lists.is_null().to_numpy(zero_copy_only=False))[0])
        raise DatasetError("is null", where=f"{path}: row {first + row}", remedy=_REMEDY)
    if isinstance(lists, pa.FixedSizeListArray):
        lengths = np.full(len(lists), lists.type.list_size)
    else:
        lengths = np.diff(lists.offsets.to_numpy(zero_copy_only=False))
    wrong = np.flatnonzero(lengths != dim)
    if wrong.size:
        raise DatasetError(
            f"has {lengths[wrong[0]]} numbers, and the rows before it {dim}",
            where=f"{path}: row {first + int(wrong[0])}",
            remedy=_REMEDY,
        )
    flat = lists.flatten()
    if flat.null_count:
        at = int(np.flatnonzero(flat.is_null().to_numpy(zero_copy_only=False))[0])
        raise DatasetError(
            f"is null in column {at % dim}", where=f"{path}: row {first + at // dim}", remedy="replace the nulls"
        )
    return np.asarray(flat.to_numpy(zero_copy_only=True).reshape(-1, dim))


def _vector_column(schema: pa.Schema, wanted: str | None, path: Path) -> str:
    lists = [field.name for field in schema if _is_vector(field.type)]
    if wanted is not None:
        if wanted not in schema.names:
            raise UnknownNameError("column", wanted, schema.names, where=str(path))
        if wanted not in lists:
            raise DatasetError(
                f"column {wanted} is {schema.field(wanted).type}",
                where=str(path),
                remedy=f"give a column of lists of numbers: {', '.join(lists) or 'there is none'}",
            )
        return wanted
    if len(lists) != 1:
        raise DatasetError(
            f"has {len(lists)} columns of lists of numbers ({', '.join(lists)})" if lists else "has no column of lists",
            where=str(path),
            remedy="say which with --column" if lists else "store each vector as a list of numbers",
        )
    return str(lists[0])


def _is_vector(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and kind.value_type in _NUMBERS


def _id_column(schema: pa.Schema, wanted: str | None, path: Path) -> str | None:
    if wanted is not None and wanted not in schema.names:
        raise UnknownNameError("column", wanted, schema.names, where=str(path))
    return wanted if wanted is not None else "id" if "id" in schema.names else None


def _ids(file: pq.ParquetFile, column: str, path: Path) -> Any:
    try:
        return file.read(columns=[column], use_threads=False).column(0).combine_chunks()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _in_order_of_ids(rows: ParquetRows, ids: Any, column: str, path: Path) -> VectorFile:
    """The rows so that row i is that of id i, where ids are 0 … n − 1; elsewhere ids are left out, and it is said."""
    lost = f"{path.name}: the ids in column {column} are not kept; rows stay in their order"
    if not pa.types.is_integer(ids.type) or ids.null_count:
        return VectorFile(rows, (lost,))
    numbers = ids.to_numpy(zero_copy_only=False)
    if np.array_equal(numbers, np.arange(len(rows))):
        return VectorFile(rows)
    order = np.argsort(numbers, kind="stable")
    if not np.array_equal(numbers[order], np.arange(len(rows))):
        return VectorFile(rows, (lost,))
    sorted_rows: Rows = ArrayRows(rows.stored()[order], rows.where)
    return VectorFile(sorted_rows, (f"{path.name}: rows were put in the order of column {column}",))


def _check_sizes(file: pq.ParquetFile, size: int, path: Path) -> None:
    """What the metadata declares against the file, before anything is decoded."""
    declared, rows = 0, 0
    for i in range(file.num_row_groups):
        group = file.metadata.row_group(i)
        rows += group.num_rows
        for j in range(group.num_columns):
            chunk = group.column(j)
            declared += max(0, chunk.total_uncompressed_size)
            if chunk.total_compressed_size < 0 or chunk.total_compressed_size > size or group.num_rows < 0:
                raise _damaged(path, f"row group {i} declares {chunk.total_compressed_size:,} bytes")
    if rows != file.metadata.num_rows:
        raise _damaged(path, f"{file.metadata.num_rows:,} rows declared, {rows:,} in its row groups")
    if declared > max(SMALL_BYTES, MAX_COMPRESSION * size):
        raise _damaged(path, f"{declared:,} bytes declared in {size:,}")


def _damaged(path: Path, error: object) -> DatasetError:
    return DatasetError(f"is not a readable Parquet file: {str(error)[:300]}", where=str(path), remedy="get it again")


PARQUET = Parquet()
