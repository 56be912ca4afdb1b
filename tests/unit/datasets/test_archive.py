"""Archives: what is sound comes out, and what is hostile leaves nothing behind."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from annbench.datasets.archive import Order, is_archive, unpack, unpack_here
from annbench.errors import DatasetError

FILES = {"set/base.fvecs": b"abc" * 1000, "set/query.fvecs": b"", "read.me": b"hello"}


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def refused(path: Path, max_bytes: int = 1 << 30, max_files: int = 100) -> str:
    """The error of the part that runs in the child; here, where it is quicker."""
    out = path.parent / "out"
    out.mkdir()
    with pytest.raises(DatasetError) as caught:
        unpack_here(Order(archive=path, folder=out, max_bytes=max_bytes, max_files=max_files))
    assert {p.name for p in out.rglob("*")} <= {"read.me", "a", "b", "x", *map(str, range(20))}
    assert {p.name for p in path.parent.iterdir()} == {path.name, "out"}
    return said_of(path, caught.value)


def refused_by_child(path: Path, **limits: Any) -> str:
    with pytest.raises(DatasetError) as caught:
        unpack(path, path.parent / "out", **limits)
    assert {p.name for p in path.parent.iterdir()} == {path.name}
    assert "died" not in caught.value.message
    return said_of(path, caught.value)


def said_of(path: Path, error: DatasetError) -> str:
    assert str(path) in error.where
    assert error.remedy
    return f"{error.where} {error.message}"


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("a.tar", "w"), ("a.tar.xz", "w:xz")]
)
def test_a_tar(tmp_path: Path, name: str, mode: str) -> None:
    folder = member("set", type=tarfile.DIRTYPE)
    path = tar(tmp_path / name, folder, *(member(n, c, mode=0o4777) for n, c in FILES.items()), mode=mode)
    found = unpack(path, tmp_path / "out")
    assert {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in found} == FILES
    assert all(stat.S_IMODE(p.stat().st_mode) & 0o7022 == 0 for p in found)


def test_a_zip_and_a_gz(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("set")
        for name, content in FILES.items():
            archive.writestr(name, content)
    found = unpack(tmp_path / "a.zip", tmp_path / "out")
    assert {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in found} == FILES
    (tmp_path / "base.fvecs.gz").write_bytes(gzip.compress(b"vectors"))
    [one] = unpack(tmp_path / "base.fvecs.gz", tmp_path / "other")
    assert (one.name, one.read_bytes()) == ("base.fvecs", b"vectors")


def test_which_files_are_archives() -> None:
    assert [name for name in ("a.tar.gz", "A.ZIP", "a.csr.gz", "a.hdf5", "gz", "a.fvecs") if is_archive(name)] == [
        "a.tar.gz", "A.ZIP", "a.csr.gz",
    ]  # fmt: skip


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    ("hostile", "said"),
    [
        (member("../out-of-it", b"x"), "leads out"),
        (member("set/../../out-of-it", b"x"), "leads out"),
        (member("/etc/annbench-was-here", b"x"), "leads out"),
        (member("a\\..\\b", b"x"), "leads out"),
        (member("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link or a device"),
        (member("link", type=tarfile.SYMTYPE, linkname="read.me"), "a link or a device"),
        (member("hard", type=tarfile.LNKTYPE, linkname="read.me"), "a link or a device"),
        (member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "a link or a device"),
        (member("disk", type=tarfile.BLKTYPE, devmajor=8, devminor=0), "a link or a device"),
        (member("pipe", type=tarfile.FIFOTYPE), "a link or a device"),
        (member("read.me", b"again"), "there twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].name,
)
def test_a_hostile_member(tmp_path: Path, hostile: Any, said: str) -> None:
    assert said in refused(tar(tmp_path / "a.tar.gz", member("read.me", b"hello"), hostile))


@pytest.mark.fault(14)
@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\..\\x"])
def test_a_hostile_name_in_a_zip(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, b"x")
    assert "leads out" in refused(tmp_path / "a.zip")


@pytest.mark.fault(14)
def test_a_link_in_a_zip(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert "a link or a device" in refused(tmp_path / "a.zip")


@pytest.mark.fault(14)
def test_a_bomb(tmp_path: Path) -> None:
    content = bytes(5 << 20)
    path = tmp_path / "b.gz"
    path.write_bytes(gzip.compress(content))
    assert "more than is allowed" in refused(path, max_bytes=1 << 20)


@pytest.mark.fault(14)
def test_a_bomb_of_one_file(tmp_path: Path) -> None:
    path = tar(tmp_path / "b.tgz", member("x", bytes(5 << 20)))
    assert "more than is allowed" in refused_by_child(path, max_bytes=1 << 20)


@pytest.mark.fault(14)
def test_a_bomb_of_many_files(tmp_path: Path) -> None:
    path = tar(tmp_path / "b.tar", *(member(f"{i}", b"") for i in range(30)), mode="w")
    assert "one file too many" in refused(path, max_files=20)


@pytest.mark.fault(14)
def test_a_zip_that_lies_about_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", bytes(5 << 20))
    packed = path.read_bytes().replace((5 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(packed)
    assert "sound archive" in refused(path, max_bytes=1 << 20)


@pytest.mark.fault(14)
def test_a_header_of_gigabytes_does_not_fill_the_memory(tmp_path: Path) -> None:
    info, _ = member("x", type=tarfile.XHDTYPE)
    info.size = 3 << 30
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(info.tobuf())
        stream.write(bytes(1 << 20))
    assert refused_by_child(path)


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip", "a.gz", "a.tar.xz"])
def test_what_is_no_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<html>" * 1000)
    assert "not a sound archive" in refused(tmp_path / name)


def test_a_truncated_archive(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", member("x", bytes(range(256)) * 4000))
    path.write_bytes(path.read_bytes()[:-50])
    assert "not a sound archive" in refused(path)
