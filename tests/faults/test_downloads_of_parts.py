"""Datasets that arrive as several files, as the first rows of a larger one, or in an archive."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback_site import Page, Site, answer, drop

from annbench.datasets.download.get import GetRequest, Got, get_dataset
from annbench.datasets.download.transfer import Patience
from annbench.errors import DatasetError

QUICK = Patience(attempts=3, first_wait_seconds=0.01)
ROWS, FIRST, DIM, QUERIES, K = 20_000, 2_000, 32, 12, 10


def xbin(array: Any) -> bytes:
    return struct.pack("<II", *array.shape) + array.tobytes()


def vecs(array: Any) -> bytes:
    return b"".join(struct.pack("<i", len(row)) + row.tobytes() for row in array)


def truth(base: Any, queries: Any) -> tuple[Any, Any]:
    every = np.linalg.norm(base[None].astype(np.float64) - queries[:, None], axis=2)
    order = np.argsort(every, axis=1)[:, :K]
    return order.astype(np.int32), np.take_along_axis(every, order, axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    return rng.standard_normal((ROWS, DIM), np.float32), rng.standard_normal((QUERIES, DIM), np.float32)


class Parts:
    """A set of three files, and the one that is its first rows."""

    def __init__(self, site: Site, vectors: tuple[Any, Any], folder: Path) -> None:
        self.site, self.folder = site, folder / "data"
        self.base, self.queries = vectors
        site.pages["/base.fbin"] = Page(xbin(self.base))
        site.pages["/query.fbin"] = Page(xbin(self.queries))
        for name, rows in (("all", ROWS), ("first", FIRST)):
            ids, distances = truth(self.base[:rows], self.queries)
            site.pages[f"/{name}"] = Page(struct.pack("<II", *ids.shape) + ids.tobytes() + distances.tobytes())
        self.catalog = folder / "catalog.yaml"
        self.catalog.write_text(
            "sources: {web: {layout: big-ann-bin, page: none, licence: none}}\n"
            "datasets:\n"
            f"  large: {{source: web, metric: euclidean, n: {ROWS}, dim: {DIM}, dtype: float32, queries: {QUERIES},\n"
            f"    url: {site.root}/base.fbin, files: {{queries: {site.root}/query.fbin, truth: {site.root}/all}}}}\n"
            f"  small: {{source: web, first_of: large, n: {FIRST}, files: {{truth: {site.root}/first}}}}\n"
        )

    def get(self, name: str, **more: Any) -> Got:
        return get_dataset(GetRequest(name, self.folder, catalog=self.catalog, patience=QUICK, **more))

    def sent(self, path: str) -> int:
        return sum(asked.sent_bytes for asked in self.site.log if asked.path == path)


@pytest.fixture
def parts(site: Site, vectors: tuple[Any, Any], tmp_path: Path) -> Parts:
    return Parts(site, vectors, tmp_path)


def test_three_files_make_a_dataset(parts: Parts) -> None:
    got = parts.get("large")
    assert (got.info.name, got.info.n, got.info.dim, got.info.metric) == ("large", ROWS, DIM, "euclidean")
    assert (got.info.query_sets["test"].count, got.info.query_sets["test"].truth_k) == (QUERIES, K)
    assert got.receipt is not None
    assert list(got.receipt.files) == ["queries", "truth", "base"]
    assert got.receipt.sha256 == got.info.sha256
    assert sorted(p.name for p in parts.folder.iterdir() if not p.name.startswith(".")) == [
        "large.hdf5", "large.source.json",
    ]  # fmt: skip
    assert not (parts.folder / ".partial" / "large").exists()


@pytest.mark.fault(13)
def test_of_a_larger_file_only_the_first_rows_are_fetched(parts: Parts) -> None:
    import h5py

    wanted = 8 + FIRST * DIM * 4
    parts.site.pages["/base.fbin"].misdeeds = [drop(100_000)]
    got = parts.get("small")
    assert got.info.n == FIRST
    with h5py.File(got.info.path) as file:
        assert np.array_equal(file["train"][:], parts.base[:FIRST])
    assert wanted <= parts.sent("/base.fbin") <= wanted + (1 << 17)
    bases = [asked for asked in parts.site.log if asked.path == "/base.fbin"]
    assert bases[0].range == f"bytes=0-{wanted - 1}"
    assert bases[1].range is not None
    assert bases[1].range.endswith(f"-{wanted - 1}")
    assert not bases[1].range.startswith("bytes=0-")
    # What is remembered is of the bytes as sent, so that it is the same the next time.
    Path(got.info.path).unlink()
    again = parts.get("small")
    assert again.receipt is not None
    assert got.receipt is not None
    assert again.receipt.files == got.receipt.files


def test_the_first_rows_from_a_server_that_sends_everything(parts: Parts) -> None:
    parts.site.pages["/base.fbin"].ranges = False
    assert parts.get("small").info.n == FIRST


@pytest.mark.fault(13)
def test_a_base_that_is_too_short_or_another_one(parts: Parts) -> None:
    parts.site.pages["/base.fbin"] = Page(xbin(parts.base[:100]))
    with pytest.raises(DatasetError, match="the first 256,008 are wanted"):
        parts.get("small")
    parts.site.pages["/base.fbin"] = Page(xbin(parts.base[:10_000]), etag='"two"')
    with pytest.raises(DatasetError, match="10,000 rows, and the catalogue 20,000"):
        parts.get("small")
    assert not (parts.folder / "small.hdf5").exists()


@pytest.mark.fault(13)
def test_parts_that_do_not_belong_together_install_nothing(parts: Parts) -> None:
    good = parts.site.pages["/all"]
    parts.site.pages["/all"] = Page(good.content[:-4] + struct.pack("<f", 1e9))
    ids = np.frombuffer(good.content, np.int32, QUERIES * K, 8).reshape(QUERIES, K)[::-1].copy()
    parts.site.pages["/all"] = Page(good.content[:8] + ids.tobytes() + good.content[8 + ids.nbytes :])
    with pytest.raises(DatasetError) as caught:
        parts.get("large")
    assert "fetch it anew with --force" in caught.value.remedy
    assert not (parts.folder / "large.hdf5").exists()
    # As it came: nothing is asked of the server again, and the answer is the same.
    asked = len(parts.site.log)
    with pytest.raises(DatasetError):
        parts.get("large")
    assert len(parts.site.log) == asked
    parts.site.pages["/all"] = Page(good.content, etag='"mended"')
    assert parts.get("large", force=True).info.n == ROWS


@pytest.mark.fault(13)
def test_what_came_of_several_files_is_not_fetched_again(parts: Parts) -> None:
    parts.site.pages["/base.fbin"].misdeeds = [answer(404)]
    with pytest.raises(DatasetError, match="404"):
        parts.get("large")
    parts.get("large")
    assert [asked.path for asked in parts.site.log] == ["/query.fbin", "/all", "/base.fbin", "/base.fbin"]


def test_one_address_is_not_enough_for_several_files(parts: Parts) -> None:
    from annbench.errors import UsageError

    with pytest.raises(UsageError, match="several files"):
        parts.get("large", url=parts.site.root + "/base.fbin")


def packed(files: dict[str, bytes], ending: str) -> bytes:
    stream = io.BytesIO()
    if ending == ".zip":
        with zipfile.ZipFile(stream, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return stream.getvalue()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("ending", [".tar.gz", ".zip"])
def test_a_dataset_in_an_archive(parts: Parts, dataset_bytes: bytes, ending: str) -> None:
    content = packed({"here/read.me": b"hello", "here/set.hdf5": dataset_bytes}, ending)
    parts.site.pages[f"/set{ending}"] = Page(content)
    got = parts.get("mine", url=f"{parts.site.root}/set{ending}?download=true")
    assert got.info.n == 4000
    assert Path(got.info.path).read_bytes() == dataset_bytes


def test_an_archive_in_texmex_layout(parts: Parts) -> None:
    ids, _ = truth(parts.base[:FIRST], parts.queries)
    files = {
        "sift/sift_base.fvecs": vecs(parts.base[:FIRST]),
        "sift/sift_query.fvecs": vecs(parts.queries),
        "sift/sift_groundtruth.ivecs": vecs(ids),
        "sift/sift_learn.fvecs": vecs(parts.base[FIRST : FIRST + 50]),
    }
    parts.site.pages["/sift.tar.gz"] = Page(packed(files, ".tar.gz"))
    got = parts.get("siftsmall", url=f"{parts.site.root}/sift.tar.gz")
    made = got.info.query_sets["test"]
    assert (got.info.n, got.info.metric, made.truth_k, made.learn_count) == (FIRST, "euclidean", K, 50)


@pytest.mark.fault(14)
def test_a_hostile_archive_installs_nothing(parts: Parts, tmp_path: Path) -> None:
    parts.site.pages["/set.tar.gz"] = Page(packed({"../../../outside": b"x"}, ".tar.gz"))
    with pytest.raises(DatasetError, match="leads out of the folder"):
        parts.get("mine", url=f"{parts.site.root}/set.tar.gz")
    assert not list(tmp_path.rglob("outside"))
    assert not (parts.folder / "mine.hdf5").exists()
    parts.site.pages["/empty.zip"] = Page(packed({"read.me": b"x"}, ".zip"))
    with pytest.raises(DatasetError, match=r"found: read\.me"):
        parts.get("other", url=f"{parts.site.root}/empty.zip")
