"""Every format of vector files: files written here, by numpy and struct alone, are read right; others are refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annbench.datasets.formats import VECTOR_FORMATS, open_vectors, vector_format
from annbench.datasets.formats.vector_file import Columns
from annbench.errors import DatasetError, UnknownNameError

N, DIM, SEED = 23, 5, 3
STORED = {
    ".npy": "float32",
    ".fbin": "float32",
    ".f16bin": "float16",
    ".u8bin": "uint8",
    ".i8bin": "int8",
    ".ibin": "int32",
    ".bin": "float32",
    ".fvecs": "float32",
    ".ivecs": "int32",
    ".bvecs": "uint8",
    ".csr": "float32",
    ".spmat": "float32",
    ".parquet": "float32",
}


def matrix(dtype: str, shape: tuple[int, int] = (N, DIM)) -> Any:
    values = np.random.default_rng(SEED).standard_normal(shape) * 40
    return (np.abs(values) if dtype == "uint8" else values).astype(dtype)


def xbin(values: Any) -> bytes:
    return struct.pack("<II", *values.shape) + values.astype(values.dtype.newbyteorder("<")).tobytes()


def texmex(values: Any) -> bytes:
    return b"".join(struct.pack("<i", len(row)) + row.astype(row.dtype.newbyteorder("<")).tobytes() for row in values)


def spmat(values: Any) -> bytes:
    rows, columns = np.nonzero(values)
    head = struct.pack("<qqq", *values.shape, len(rows))
    indptr = np.searchsorted(rows, np.arange(len(values) + 1)).astype("<i8")
    return head + indptr.tobytes() + columns.astype("<i4").tobytes() + values[rows, columns].astype("<f4").tobytes()


def write(path: Path, values: Any) -> Path:
    """The file as its own project would write it."""
    ending = path.suffix
    if ending == ".npy":
        np.save(path, values)
    elif ending == ".parquet":
        pq.write_table(pa.table({"emb": pa.array(list(values))}), path)
    elif ending in (".csr", ".spmat"):
        path.write_bytes(spmat(values))
    else:
        path.write_bytes((texmex if ending.endswith("vecs") else xbin)(values))
    return path


@pytest.mark.parametrize("ending", VECTOR_FORMATS)
def test_a_sound_file_is_read(tmp_path: Path, ending: str) -> None:
    values = matrix(STORED[ending])
    rows = open_vectors(write(tmp_path / f"a{ending}", values)).rows
    assert (rows.shape, len(rows), rows.dtype) == (values.shape, N, values.dtype)
    np.testing.assert_array_equal(rows.stored(), values)
    np.testing.assert_array_equal(rows.whole(), values.astype(np.float32))
    np.testing.assert_array_equal(rows[7:19], values[7:19])
    np.testing.assert_array_equal(rows[19:99], values[19:])
    np.testing.assert_array_equal(rows[3:3], values[3:3])
    ids = np.array([[22, 0, 0], [13, 21, 7]])
    np.testing.assert_array_equal(rows.gather(ids), values[ids])
    blocks = list(rows.blocks(3 * 8 * DIM))
    assert [start for start, _ in blocks] == list(range(0, N, 3))
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), values)
    for outside in (-1, N):
        with pytest.raises(IndexError):
            rows.gather(np.array([outside]))


@pytest.mark.parametrize("ending", [e for e in VECTOR_FORMATS if e != ".bin"])
def test_what_is_written_is_what_their_projects_write(tmp_path: Path, ending: str) -> None:
    values = matrix(STORED[ending])
    if ending in (".csr", ".spmat"):
        values[values < 20] = 0
    vector_format(tmp_path / f"a{ending}").write(
        tmp_path / f"a{ending}", values.shape, values.dtype, [(0, values[:9]), (9, values[9:])]
    )
    if ending == ".parquet":
        table = pq.read_table(tmp_path / "a.parquet")
        assert table["id"].to_pylist() == list(range(N))
        np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), values)
    else:
        assert (tmp_path / f"a{ending}").read_bytes() == write(tmp_path / f"b{ending}", values).read_bytes()


def truncations(content: bytes) -> list[bytes]:
    return [content[:length] for length in range(len(content))]


@pytest.mark.fault(10)
@pytest.mark.parametrize("ending", VECTOR_FORMATS)
def test_every_truncation_is_refused_or_fewer_rows(tmp_path: Path, ending: str) -> None:
    """A texmex file cut between two rows is a sound one of fewer rows: nothing in it says how many there were."""
    values = matrix(STORED[ending], (4, 3))
    path = write(tmp_path / f"a{ending}", values)
    row = 4 + 3 * values.itemsize
    for content in truncations(path.read_bytes()):
        path.write_bytes(content)
        if ending.endswith("vecs") and content and len(content) % row == 0:
            np.testing.assert_array_equal(open_vectors(path).rows.stored(), values[: len(content) // row])
            continue
        with pytest.raises(DatasetError) as caught:
            open_vectors(path).rows.stored()
        assert str(path) in caught.value.where
        assert caught.value.remedy


@pytest.mark.parametrize("ending", [e for e in VECTOR_FORMATS if e not in (".npy", ".parquet")])
def test_bytes_behind_the_end_are_refused(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", matrix(STORED[ending]))
    with path.open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(DatasetError):
        open_vectors(path)


LIES = {
    ".fbin": [struct.pack("<II", n, d) for n, d in ((2**23, 1024), (2**32 - 1, 2**32 - 1), (0, 5), (5, 0), (2, 1))],
    ".bin": [struct.pack("<II", n, d) for n, d in ((2**23, 1024), (2**31, 2**31), (0, 0))],
    ".fvecs": [struct.pack("<i", d) for d in (2**31 - 1, 0, -1, -(2**31), 1 << 28)],
    ".bvecs": [struct.pack("<i", d) for d in (2**31 - 1, 0, -1)],
    ".spmat": [
        struct.pack("<qqq", *head)
        for head in (
            (2**33, 5, 0),
            (-1, 5, 0),
            (0, 5, 6),
            (1, 5, -1),
            (1, 2**40, 0),
            (2**63 - 1, 1, 1),
            (1, 1, 2**63 - 1),
            (5, -3, 1),
        )
    ],
}


@pytest.mark.fault(10)
@pytest.mark.parametrize(("ending", "head"), [(ending, head) for ending, heads in LIES.items() for head in heads])
def test_sizes_that_are_not_there(tmp_path: Path, ending: str, head: bytes) -> None:
    """32 GiB declared in 80 bytes, products that wrap, negative and empty sizes: nothing is allocated for them."""
    path = tmp_path / f"a{ending}"
    path.write_bytes(head.ljust(80, b"\1"))
    with pytest.raises(DatasetError) as caught:
        open_vectors(path).rows.stored()
    assert str(path) in caught.value.where


@pytest.mark.fault(10)
@pytest.mark.parametrize("ending", [".fvecs", ".ivecs", ".bvecs"])
@pytest.mark.parametrize("row", [1, 2, 14, N - 1])
@pytest.mark.parametrize("dim", [DIM - 1, 0, -1, 2**31 - 1])
def test_a_row_of_another_dim_is_named(tmp_path: Path, ending: str, row: int, dim: int) -> None:
    values = matrix(STORED[ending])
    path = write(tmp_path / f"a{ending}", values)
    content = bytearray(path.read_bytes())
    at = row * (4 + DIM * values.itemsize)
    content[at : at + 4] = struct.pack("<i", dim)
    path.write_bytes(content)
    rows = open_vectors(path).rows
    reads: list[Callable[[], Any]] = [
        rows.stored,
        rows.whole,
        lambda: list(rows.blocks(100)),
        lambda: rows[row : row + 1],
    ]
    for read in (*reads, lambda: rows.gather(np.array([0, row]))):
        with pytest.raises(DatasetError, match=f"has dim {dim}, and the rows before it {DIM}") as caught:
            read()
        assert caught.value.where == f"{path}: row {row}"
    np.testing.assert_array_equal(rows[:row], values[:row])
    # Rows that really have other lengths are found too, where the size gives them away.
    path.write_bytes(texmex(values[:row]) + texmex(matrix(STORED[ending], (1, DIM + 2))) + texmex(values[row:]))
    with pytest.raises(DatasetError, match=f"row {row}: has dim {DIM + 2}"):
        open_vectors(path)


def test_an_untyped_bin_of_another_kind_says_which(tmp_path: Path) -> None:
    for dtype, hint in (("uint8", ".u8bin or .i8bin"), ("float16", ".f16bin"), ("float64", "--truth")):
        (tmp_path / "a.bin").write_bytes(xbin(matrix(dtype)))
        with pytest.raises(DatasetError, match="is not of float32") as caught:
            open_vectors(tmp_path / "a.bin")
        assert hint in caught.value.remedy


@settings(max_examples=40)
@given(st.binary(max_size=200))
def test_no_bytes_crash_a_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """What happens to be a sound file is read; everything else is a DatasetError."""
    heads = {".spmat": struct.pack("<qqq", 2, 5, 3), ".fbin": struct.pack("<II", 3, 4), ".fvecs": struct.pack("<i", 3)}
    for ending in set(VECTOR_FORMATS) - {".npy"}:
        path = tmp_path_factory.getbasetemp() / f"any{ending}"
        for head in (b"", heads.get(ending, b"")):
            path.write_bytes(head + content)
            with suppress(DatasetError):
                rows = open_vectors(path).rows
                assert rows.stored().shape == rows.shape


# Sparse


@pytest.mark.parametrize(
    ("indptr", "columns", "message"),
    [
        ([0, 2, 1, 3], [0, 1, 2], "row 1"),
        ([1, 2, 3, 3], [0, 1, 2], "row 0"),
        ([0, 1, 2, 2], [0, 1, 2], "row 0"),
        ([0, 1, 2, 3], [0, 5, 2], "row 1: has an entry in column 5 of 5"),
        ([0, 1, 2, 3], [0, 1, -1], "row 2: has an entry in column -1 of 5"),
        ([0, 0, 0, 3], [0, 1, 5], "row 2"),
        ([0, 0, 3, 3], [1, 4, 1], "row 1: has two entries in one column"),
    ],
)
def test_sparse_rows_that_contradict_themselves(tmp_path: Path, indptr: Any, columns: Any, message: str) -> None:
    (tmp_path / "a.spmat").write_bytes(
        struct.pack("<qqq", 3, 5, 3)
        + np.array(indptr, "<i8").tobytes()
        + np.array(columns, "<i4").tobytes()
        + np.ones(3, "<f4").tobytes()
    )
    with pytest.raises(DatasetError, match=message):
        open_vectors(tmp_path / "a.spmat").rows.stored()


def test_sparse_rows_as_sets(tmp_path: Path) -> None:
    values = (np.random.default_rng(SEED).random((20, 9)) < 0.3).astype(np.float32) * 7
    file = open_vectors(write(tmp_path / "a.csr", values))
    assert file.as_sets is not None
    sets = file.as_sets().whole()
    assert sets.shape == (20, 9)
    for row, members in zip(values, sets, strict=True):
        np.testing.assert_array_equal(members, np.flatnonzero(row))


def test_sparse_rows_that_would_fill_the_memory(tmp_path: Path) -> None:
    n, dim = 100, 1 << 30
    (tmp_path / "a.csr").write_bytes(struct.pack("<qqq", n, dim, 0) + np.zeros(n + 1, "<i8").tobytes())
    file = open_vectors(tmp_path / "a.csr")
    with pytest.raises(DatasetError, match="would take 429,496,729,600 bytes as dense rows"):
        file.rows[:1]
    assert file.as_sets is not None
    assert file.as_sets().shape == (n, dim)


# Parquet


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("form", ["list", "large list", "fixed"])
def test_parquet_of_every_number_and_list(tmp_path: Path, dtype: str, form: str) -> None:
    values = matrix(dtype, (500, 7))
    flat = pa.array(values.ravel())
    offsets = np.arange(0, 7 * 501, 7)
    column = {
        "list": lambda: pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat),
        "large list": lambda: pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat),
        "fixed": lambda: pa.FixedSizeListArray.from_arrays(flat, 7),
    }[form]()
    pq.write_table(pa.table({"x": column, "text": ["a"] * 500}), tmp_path / "a.parquet", row_group_size=64)
    rows = open_vectors(tmp_path / "a.parquet").rows
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows.stored(), values)
    for start, stop in ((0, 10), (10, 20), (5, 300), (490, 500), (63, 65), (0, 1)):  # on, back, and over the seams
        np.testing.assert_array_equal(rows[start:stop], values[start:stop])
    ids = np.random.default_rng(SEED).integers(0, 500, (4, 9))
    np.testing.assert_array_equal(rows.gather(ids), values[ids])


def parquet(path: Path, rows: Any, **columns: Any) -> Path:
    pq.write_table(pa.table({"emb": pa.array(rows, pa.list_(pa.float32())), **columns}), path, row_group_size=2)
    return path


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2], [3, 4], [5]], "row 2: has 1 numbers, and the rows before it 2"),
        ([[1, 2], [3, 4], [5, 6, 7]], "row 2: has 3 numbers"),
        ([[1, 2], [3, 4], [5, 6], None], "row 3: is null"),
        ([[1, 2], [3, 4], [5, 6], [7, None]], "row 3: is null in column 1"),
        ([[], []], "row 0: declares 2 rows of 0 dimensions"),
        ([None, [1, 2]], "row 0: declares 2 rows of 0 dimensions"),
        ([], "declares 0 rows"),
    ],
)
def test_parquet_rows_that_are_no_vectors(tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_vectors(parquet(tmp_path / "a.parquet", rows)).rows.stored()


def test_parquet_columns_are_chosen_or_found(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", [[1, 2], [3, 4]], other=[[9], [8]], name=["a", "b"])
    with pytest.raises(DatasetError, match=r"has 2 columns of lists of numbers \(emb, other\)"):
        open_vectors(path)
    np.testing.assert_array_equal(open_vectors(path, Columns("other")).rows.stored(), [[9], [8]])
    with pytest.raises(DatasetError, match="column name is string") as caught:
        open_vectors(path, Columns("name"))
    assert "emb, other" in caught.value.remedy
    with pytest.raises(UnknownNameError, match="did you mean emb"):
        open_vectors(path, Columns("emd"))
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(DatasetError, match="no column of lists"):
        open_vectors(path)


def test_parquet_ids_order_the_rows_or_are_said_to_be_lost(tmp_path: Path) -> None:
    rows = [[0, 0], [1, 1], [2, 2], [3, 3]]
    plain = open_vectors(parquet(tmp_path / "a.parquet", rows, id=[0, 1, 2, 3]))
    assert plain.notes == ()
    shuffled = open_vectors(parquet(tmp_path / "a.parquet", rows, id=[2, 0, 3, 1]))
    np.testing.assert_array_equal(shuffled.rows.stored()[:, 0], [1, 3, 0, 2])
    assert "put in the order of column id" in shuffled.notes[0]
    for ids in ([7, 8, 9, 10], ["a", "b", "c", "d"], [0, 0, 1, 2], [0, 1, 2, None]):
        kept = open_vectors(parquet(tmp_path / "a.parquet", rows, key=ids), Columns(ids="key"))
        np.testing.assert_array_equal(kept.rows.stored(), rows)
        assert "ids in column key are not kept" in kept.notes[0]
    with pytest.raises(UnknownNameError):
        open_vectors(tmp_path / "a.parquet", Columns(ids="nothing"))


def test_a_parquet_bomb(tmp_path: Path) -> None:
    zeros = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(1 << 24, np.float32)), 1 << 12)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": zeros}), path, compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 64 << 10
    with pytest.raises(DatasetError, match="bytes declared in"):
        open_vectors(path)


def test_formats_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"\.txt is not a format of vectors") as caught:
        vector_format(tmp_path / "a.txt")
    assert ".fvecs" in caught.value.remedy
    with pytest.raises(DatasetError) as caught:
        vector_format(tmp_path / "a.csr.gz")
    assert "unpack" in caught.value.remedy
    for ending in VECTOR_FORMATS:
        with pytest.raises(DatasetError, match="cannot be opened"):
            open_vectors(tmp_path / f"missing{ending}")
        (tmp_path / f"folder{ending}").mkdir()
        with pytest.raises(DatasetError, match="not a regular file"):
            open_vectors(tmp_path / f"folder{ending}")
