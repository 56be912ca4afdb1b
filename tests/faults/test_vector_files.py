"""Hostile and damaged files of vectors, through the commands that open them: one typed error, and the parent lives."""

from __future__ import annotations

import os
import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annbench.datasets.add import AddRequest, add_dataset
from annbench.datasets.child import run_child
from annbench.datasets.convert import ConvertRequest, convert_files
from annbench.datasets.converting import write_target
from annbench.datasets.formats import VECTOR_FORMATS, open_vectors
from annbench.errors import DatasetError

SEED = 6


def vectors(shape: tuple[int, int] = (300, 8)) -> Any:
    return np.random.default_rng(SEED).standard_normal(shape).astype(np.float32)


def fvecs(path: Path, values: Any) -> Path:
    path.write_bytes(b"".join(struct.pack("<i", len(row)) + row.tobytes() for row in values))
    return path


def add(tmp_path: Path, base: Path, **fields: Any) -> DatasetError:
    request = AddRequest(name="mine", base=base, folder=tmp_path / "data", **{"metric": "euclidean", **fields})
    with pytest.raises(DatasetError) as caught:
        add_dataset(request)
    assert str(base) in caught.value.where
    assert caught.value.remedy
    assert not list((tmp_path / "data").glob("*.hdf5"))
    assert not list((tmp_path / "data").glob(".*.hdf5"))
    return caught.value


@pytest.mark.fault(10)
def test_fvecs_with_varying_dim_names_the_row(tmp_path: Path) -> None:
    values = vectors()
    path = fvecs(tmp_path / "a.fvecs", values)
    content = bytearray(path.read_bytes())
    content[217 * 36 : 217 * 36 + 4] = struct.pack("<i", 7)
    path.write_bytes(content)
    error = add(tmp_path, path)
    assert error.where.endswith("a.fvecs: row 217")
    assert "has dim 7, and the rows before it 8" in error.message
    fvecs(path, [*values[:100], values[100][:5], *values[101:]])
    assert add(tmp_path, path).where.endswith("a.fvecs: row 100")


@pytest.mark.fault(10)
@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("a.fvecs", struct.pack("<i", 1 << 30)),
        ("a.fbin", struct.pack("<II", 1 << 23, 1024)),
        ("a.spmat", struct.pack("<qqq", 1 << 32, 10, 1 << 31)),
        ("a.npy", b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (8388608, 1024)}\n"),
    ],
)
def test_32_gib_in_80_bytes(tmp_path: Path, name: str, head: bytes) -> None:
    (tmp_path / name).write_bytes(head.ljust(80, b"\0"))
    with pytest.raises(DatasetError) as caught:
        convert_files(ConvertRequest(source=tmp_path / name, target=tmp_path / "b.parquet"))
    assert str(tmp_path / name) in caught.value.where
    assert not (tmp_path / "b.parquet").exists()


@pytest.mark.fault(15)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_values_without_a_distance_name_their_row(tmp_path: Path, value: float) -> None:
    values = vectors()
    values[123, 4] = value
    assert add(tmp_path, fvecs(tmp_path / "a.fvecs", values)).where.endswith("a.fvecs: row 123")


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bytes_of_parquet_are_an_error_or_other_numbers(tmp_path: Path, seed: int) -> None:
    """Whatever Arrow makes of it, a crash included, is a DatasetError here, in bounded memory."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": np.arange(300), "emb": pa.array(list(vectors()))}), path)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    # The footer is what Arrow believes; the vectors before it can only be other numbers.
    for position in rng.choice(np.arange(len(content) - 1500, len(content)), 8, replace=False):
        content[position] ^= 1 << rng.integers(8)
    path.write_bytes(content)
    with suppress(DatasetError):
        made = convert_files(ConvertRequest(source=path, target=tmp_path / "b.npy"))
        assert np.load(tmp_path / "b.npy").shape == made.shape, f"seed {seed}"


@pytest.mark.fault(32)
def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fvecs(tmp_path / "a.fvecs", vectors((4000, 8)))
    (tmp_path / "shrinking_vectors.py").write_text(
        "import os, sys\nfrom pathlib import Path\nfrom annbench.datasets.formats import open_vectors\n"
        "rows = open_vectors(Path(sys.argv[1])).rows\nos.truncate(sys.argv[1], 0)\nrows.stored()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DatasetError, match="died of SIGBUS"):
        run_child("shrinking_vectors", [str(path)], where=str(path), timeout_seconds=300)


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.fault(27)
@pytest.mark.parametrize("ending", ["npy", "fbin", "fvecs", "spmat", "parquet"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, ending: str) -> None:
    source = fvecs(tmp_path / "a.fvecs", vectors((20_000, 16)))
    request = ConvertRequest(source=source, target=tmp_path / f"b.{ending}")
    with small_files(1 << 20), pytest.raises(DatasetError, match="cannot be written") as caught:
        # In its child once; that it is the same in this process is quicker to see.
        convert_files(request) if ending == "npy" else write_target(request, lambda phase, done: None)
    assert "free disk space" in caught.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["a.fvecs"]


@pytest.mark.fault(30)
def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fvecs(tmp_path / "a.fvecs", vectors((200_000, 16)))
    programs = tmp_path / "programs"
    programs.mkdir()
    # Does not go on from what it has told: a busy parent would interrupt it when it has finished.
    (programs / "waiting.py").write_text(
        "import time\nfrom annbench.datasets.converting import _work\nfrom annbench.datasets.serving import serve\n"
        "serve(lambda line, progress: _work(line, lambda *told: (progress(*told), time.sleep(60))))\n"
    )

    def stop(phase: str, done: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.syspath_prepend(programs)
        patch.setattr(
            "annbench.datasets.convert.run_child", lambda _, *rest, **more: run_child("waiting", *rest, **more)
        )
        with pytest.raises(KeyboardInterrupt):
            convert_files(ConvertRequest(source=source, target=tmp_path / "b.fbin"), stop)
    # The child had two seconds to end; what a killed one leaves goes with the next conversion.
    assert not (tmp_path / "b.fbin").exists()
    convert_files(ConvertRequest(source=source, target=tmp_path / "b.fbin", limit=3))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.fvecs", "b.fbin", "programs"]


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.fvecs")
    assert "not a regular file" in add(tmp_path, tmp_path / "a.fvecs").message
    for ending in VECTOR_FORMATS:
        os.mkfifo(tmp_path / f"b{ending}")
        with pytest.raises(DatasetError, match="not a regular file"):
            open_vectors(tmp_path / f"b{ending}")
