"""Hostile and damaged dataset files: one typed error each, in bounded time and memory; the parent lives."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from annbench.datasets.add import AddRequest, add_dataset
from annbench.datasets.inspect import describe, inspect
from annbench.errors import DatasetError

N, DIM, QUERIES, K = 60, 8, 7, 10
SEED = 11
NOISE = np.random.default_rng(SEED).bytes(5000)


def sound(path: Path) -> dict[str, Any]:
    """Write a valid file; returns its parts."""
    rng = np.random.default_rng(SEED)
    base, queries = rng.standard_normal((N, DIM)), rng.standard_normal((QUERIES, DIM))
    every = np.linalg.norm(base[None] - queries[:, None], axis=2)
    order = np.argsort(every, axis=1)[:, :K]
    parts = {
        "train": base.astype(np.float32),
        "test": queries.astype(np.float32),
        "neighbors": order,
        "distances": np.take_along_axis(every, order, axis=1),
    }
    with h5py.File(path, "w") as file:
        file.attrs["distance"] = "euclidean"
        for name, value in parts.items():
            file[name] = value
    return parts


def described(path: Path, tmp_path: Path) -> Any:
    return describe(path, "x", tmp_path / "cache", timeout_seconds=300)


def refusal(path: Path, tmp_path: Path | None = None) -> DatasetError:
    """The error about the file; from a child process if there is a folder for its cache."""
    with pytest.raises(DatasetError) as caught:
        inspect(path, "x") if tmp_path is None else described(path, tmp_path)
    error = caught.value
    assert str(path) in error.where
    assert error.remedy
    assert "took more than" not in error.message
    assert "died of" not in error.message
    return error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    sound(tmp_path / "set.hdf5")
    return tmp_path / "set.hdf5"


def test_the_sound_file_is_accepted(path: Path, tmp_path: Path) -> None:
    assert described(path, tmp_path).n == N


@pytest.mark.fault(8)
@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"\x89HDF\r\n\x1a\n" + b"\xff" * 5000, NOISE])
def test_bytes_that_are_no_hdf5(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "not a readable HDF5 file" in refusal(path).message


@pytest.mark.fault(8)
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95, 0.999])
def test_truncated(path: Path, tmp_path: Path, share: float) -> None:
    os.truncate(path, int(path.stat().st_size * share))
    refusal(path, tmp_path)


@pytest.mark.fault(8)
@pytest.mark.parametrize("seed", range(8))
def test_flipped_bytes_are_an_error_or_another_sound_file(path: Path, tmp_path: Path, seed: int) -> None:
    """Whatever the HDF5 library makes of it, a crash included, is a DatasetError here."""
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    # The metadata lies at both ends of a small file; the vectors between them cannot hurt the library.
    for position in rng.choice(min(2500, len(content)), 12, replace=False):
        content[position] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    with suppress(DatasetError):
        assert described(path, tmp_path).n > 0, f"seed {seed}"


def changed(path: Path, **values: Any) -> Path:
    with h5py.File(path, "a") as file:
        for name, value in values.items():
            del file[name]
            if value is not None:
                file[name] = value
    return path


@pytest.mark.fault(8)
@pytest.mark.parametrize("part", ["train", "test", "neighbors", "distances"])
def test_a_missing_part_is_named(path: Path, part: str) -> None:
    error = refusal(changed(path, **{part: None}))
    assert f"`{part}` is missing" in error.message
    with h5py.File(path, "a") as file:
        file.create_group(part)
    assert "is a group" in refusal(path).message


@pytest.mark.fault(8)
@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("train", np.ones((N, DIM), np.int32), "dtype int32"),
        ("train", np.ones((N, DIM), np.complex64), "dtype complex64"),
        ("train", np.full((N, DIM), b"x"), "dtype"),
        ("train", np.ones((N, DIM), bool), "dtype bool"),
        ("train", np.ones(N, np.float32), "shape (60,)"),
        ("train", np.ones((0, DIM), np.float32), "shape (0, 8)"),
        ("train", np.ones((N, 0), np.float32), "shape (60, 0)"),
        ("train", np.ones((N, DIM, 1), np.float32), "shape (60, 8, 1)"),
        ("train", h5py.Empty("f4"), "no shape"),
        ("test", np.ones((QUERIES, DIM + 1), np.float32), "9 dimensions, and train has 8"),
        ("test", np.ones((0, DIM), np.float32), "no queries"),
        ("neighbors", np.zeros((QUERIES, K), np.float32), "dtype float32"),
        ("neighbors", np.zeros((QUERIES, K - 1), np.int32), "do not fit"),
        ("neighbors", np.full((QUERIES, K), 2**63 - 1), "holds id 9223372036854775807"),
        ("neighbors", np.full((QUERIES, K), 2**64 - 1, np.uint64), "holds id 18446744073709551615"),
        ("distances", np.zeros((QUERIES + 1, K)), "do not fit"),
    ],
)
def test_wrong_shapes_and_dtypes_are_named(path: Path, part: str, value: Any, message: str) -> None:
    assert message in refusal(changed(path, **{part: value})).message


@pytest.mark.fault(8)
@pytest.mark.parametrize("chunks", [None, (1000, 8)])
@pytest.mark.parametrize("part", ["train", "test"])
def test_a_trillion_rows_that_are_not_there(path: Path, tmp_path: Path, part: str, chunks: Any) -> None:
    changed(path, **{part: None})
    with h5py.File(path, "a") as file:
        file.create_dataset(part, shape=(10**12, DIM), dtype="f4", chunks=chunks)
    assert "declares 32,000,000,000,000 bytes" in refusal(path, tmp_path).message


@pytest.mark.fault(8)
def test_a_compression_bomb(path: Path) -> None:
    changed(path, train=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("train", data=np.zeros((2 << 20, 16), np.float32), compression="gzip", chunks=(65536, 16))
    assert path.stat().st_size < 1 << 20
    assert "compressed bytes" in refusal(path).message


@pytest.mark.fault(8)
def test_a_chunk_larger_than_memory_should_be(path: Path) -> None:
    changed(path, train=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("train", shape=(N, DIM), maxshape=(None, DIM), chunks=(1 << 26, DIM), dtype="f4")
    assert "chunks of 2,147,483,648 bytes" in refusal(path).message


ELSEWHERE: dict[str, Callable[[h5py.File, Path], None]] = {
    "external link": lambda file, secret: file.__setitem__("train", h5py.ExternalLink(str(secret), "/x")),
    "soft link": lambda file, _: file.__setitem__("train", h5py.SoftLink("/test")),
    "external storage": lambda file, secret: file.create_dataset(
        "train", shape=(N, DIM), dtype="f4", external=[(str(secret), 0, N * DIM * 4)]
    ).id.close(),
    "virtual dataset": lambda file, secret: file.create_virtual_dataset("train", virtual(secret)).id.close(),
}


def virtual(secret: Path) -> h5py.VirtualLayout:
    layout = h5py.VirtualLayout(shape=(N, DIM), dtype="f4")
    layout[:] = h5py.VirtualSource(str(secret), "x", shape=(N, DIM))
    return layout


@pytest.mark.fault(9)
@pytest.mark.parametrize("kind", ELSEWHERE)
def test_data_elsewhere_are_refused_unread(path: Path, tmp_path: Path, kind: str) -> None:
    """What is pointed to is a pipe without a writer: to open it would be to hang."""
    changed(path, train=None)
    with h5py.File(path, "a") as file:
        secret = tmp_path / "secret"
        ELSEWHERE[kind](file, secret)
    os.mkfifo(tmp_path / "secret2")
    secret.unlink(missing_ok=True)
    os.rename(tmp_path / "secret2", secret)
    error = refusal(path, tmp_path)
    assert kind in error.message
    assert "train" in error.where


@pytest.mark.fault(9)
@pytest.mark.parametrize("place", ["query_sets", "query_sets/other", "query_sets/other/learn", "attributes/a", "learn"])
def test_links_deeper_in_the_file_are_refused(path: Path, tmp_path: Path, place: str) -> None:
    with h5py.File(path, "a") as file:
        if place.startswith("query_sets/other/"):
            for name in ("test", "neighbors", "distances"):
                file[f"query_sets/other/{name}"] = file[name][:]
        file[place] = h5py.ExternalLink(str(tmp_path / "secret"), "/x")
    os.mkfifo(tmp_path / "secret")
    assert "external link" in refusal(path, tmp_path).message


@pytest.mark.fault(8)
def test_groups_that_hold_themselves(path: Path) -> None:
    with h5py.File(path, "a") as file:
        group = file.create_group("query_sets")
        group["a"] = group
    assert "`test` is missing" in refusal(path).message


def test_names_of_query_sets_cannot_climb(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file.create_group("query_sets").create_group("..")
    assert "cannot name a query set" in refusal(path).message


@pytest.mark.fault(8)
@pytest.mark.parametrize("value", [3, np.arange(1000), np.nan, h5py.Empty("S1"), b"\xff\xfe", "x" * 10_000])
def test_a_metric_that_is_no_word(path: Path, value: Any) -> None:
    with h5py.File(path, "a") as file:
        del file.attrs["distance"]
    assert "`distance` is missing" in refusal(path).message
    with h5py.File(path, "a", libver="latest") as file:
        file.attrs["distance"] = value
    assert "distance" in str(refusal(path))


@pytest.mark.fault(8)
def test_an_unknown_filter_loads_no_plugin(path: Path) -> None:
    changed(path, train=None)
    with h5py.File(path, "a") as file:
        settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings.set_chunk((N, DIM))
        settings.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        space = h5py.h5s.create_simple((N, DIM))
        h5py.h5d.create(file.id, b"train", h5py.h5t.IEEE_F32LE, space, settings)
    assert "filter 32015" in refusal(path).message


@pytest.mark.fault(8)
@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "pipe"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.hdf5")
    assert "not a regular file" in refusal(tmp_path / "a.hdf5", tmp_path).message


@pytest.mark.fault(32)
def test_the_child_that_dies_of_a_vanishing_file_is_reported(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file shrinks under the child, which has it mapped: SIGBUS there, an error here."""
    (tmp_path / "shrinking.py").write_text(
        "import os, sys\nfrom pathlib import Path\nimport numpy as np\n"
        "from annbench.datasets.dataset import Dataset\n"
        "path = Path(sys.argv[1])\nwith Dataset(path) as dataset:\n"
        "    dataset.base_rows(np.array([0]))\n    os.truncate(path, 0)\n"
        "    dataset.base_rows(np.array([59]))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from annbench.datasets.child import run_child

    with pytest.raises(DatasetError, match="died of SIGBUS") as caught:
        run_child("shrinking", [str(path)], where=str(path), timeout_seconds=300)
    assert caught.value.where == str(path)


def add(tmp_path: Path, base: Path) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        add_dataset(AddRequest(name="mine", base=base, metric="cosine", folder=tmp_path / "data"))
    assert str(base) in caught.value.where
    assert not list((tmp_path / "data").glob("*.hdf5"))
    return caught.value


@pytest.mark.fault(10)
def test_npy_of_objects_is_never_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "exploded"),)

    np.save(tmp_path / "a.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    assert "Python objects" in add(tmp_path, tmp_path / "a.npy").message
    assert not (tmp_path / "exploded").exists()


@pytest.mark.fault(10)
def test_npy_that_declares_32_gib_in_few_bytes(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (2**23, 1024)})
    assert (tmp_path / "a.npy").stat().st_size <= 128
    assert "34,359,738,368 bytes, and 0 bytes follow" in add(tmp_path, tmp_path / "a.npy").message


@pytest.mark.fault(10)
@pytest.mark.parametrize("shape", ["(-1, 4)", "(2**70, 4)", "(1 << 70, 4)", f"({2**62}, {2**62})", "4", "('a', 4)"])
def test_npy_with_absurd_shapes(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 64)
    add(tmp_path, tmp_path / "a.npy")


@pytest.mark.fault(27)
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(SEED).standard_normal((20_000, 16)).astype(np.float32))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(DatasetError, match="cannot be written") as caught:
            add_dataset(
                AddRequest(
                    name="mine",
                    base=tmp_path / "a.npy",
                    metric="ip",
                    k=2,
                    held_out=10,
                    folder=tmp_path / "data",
                )
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "free disk space" in caught.value.remedy
    assert list((tmp_path / "data").glob("*.hdf5")) == list((tmp_path / "data").glob(".*.hdf5")) == []
