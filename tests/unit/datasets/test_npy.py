"""npy files: any layout of a sound matrix gives the right numbers; the rest is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annbench.datasets.assembling import load_vectors
from annbench.datasets.formats.npy import read_checked, write
from annbench.datasets.parts import Parts
from annbench.errors import DatasetError


def load(path: Path) -> Any:
    return load_vectors(path, Parts(base=path, metric="euclidean"))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", ">f2", "i1", "u1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_layout_of_a_matrix_is_read(tmp_path: Path, dtype: str, order: Any) -> None:
    values = np.arange(12).reshape(4, 3).astype(dtype, order=order)
    write(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(read_checked(tmp_path / "a.npy"), values)
    loaded, notes = load(tmp_path / "a.npy")
    np.testing.assert_array_equal(loaded.stored(), values)
    assert loaded.stored().dtype.isnative
    assert loaded.dtype.itemsize == min(4, values.dtype.itemsize)
    assert bool(notes) == (values.dtype.itemsize == 8)


def test_format_version_2(tmp_path: Path) -> None:
    values = np.ones((2, 3), np.float32)
    with (tmp_path / "a.npy").open("wb") as stream:
        np.lib.format.write_array(stream, values, version=(2, 0))
    np.testing.assert_array_equal(read_checked(tmp_path / "a.npy"), values)


def test_slices_with_negative_strides_are_saved_right(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)[::-1, ::-1]
    write(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(read_checked(tmp_path / "a.npy"), values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones(3, np.float32), "shape"),
        (np.ones((2, 2, 2), np.float32), "shape"),
        (np.ones((0, 3), np.float32), "shape"),
        (np.ones((3, 0), np.float32), "shape"),
        (np.float32(1), "shape"),
        (np.ones((2, 2), np.int32), "int32"),
        (np.ones((2, 2), np.int64), "int64"),
        (np.ones((2, 2), bool), "bool"),
        (np.ones((2, 2), np.complex64), "complex64"),
        (np.zeros((2, 2), "U4"), "<U4"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, values: Any, message: str) -> None:
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(DatasetError, match=message) as caught:
        read_checked(tmp_path / "a.npy")
    assert caught.value.where.endswith("a.npy")
    assert caught.value.remedy


def test_values_beyond_float32_are_named(tmp_path: Path) -> None:
    values = np.ones((5, 2))
    values[3, 1] = 1e300
    write(tmp_path / "a.npy", values)
    with pytest.raises(DatasetError, match="row 3: holds inf in column 1"):
        load(tmp_path / "a.npy")


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.npy"
    for head in (
        b"",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (",
    ):
        path.write_bytes(head + content)
        with pytest.raises(DatasetError):
            read_checked(path)
