"""The bundled catalogue is sound, and a damaged one is refused."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from annbench.bundled import bundled
from annbench.datasets.catalog import MAX_BYTES, load_catalog
from annbench.datasets.library import check_name
from annbench.errors import DatasetError


def test_every_entry_is_usable() -> None:
    catalog = load_catalog()
    assert {entry.source for entry in catalog.values()} == {"bundled", "ann-benchmarks", "vibe", "big-ann"}
    for name, entry in catalog.items():
        assert check_name(name) == entry.name
        assert entry.licence
        assert entry.page.startswith("https://")
        for url in (entry.url, *entry.files.values()):
            assert url is None or re.fullmatch(r"https://[^\s{}]+", url), url
        if entry.source != "bundled":
            assert entry.url
        # The dimension is in the name of most sets; where both are given they agree.
        if entry.dim is not None and (stated := re.search(r"-(\d{2,4})-(?:angular|euclidean|cosine|ip)", name)):
            assert int(stated[1]) == entry.dim


def test_no_name_is_listed_twice() -> None:
    text = (bundled("datasets") / "catalog.yaml").read_text()
    names = re.findall(r"^  ([a-z0-9][\w.-]*):", text.partition("\ndatasets:")[2], flags=re.M)
    assert len(names) == len(set(names)) == len(load_catalog())


def test_the_bundled_file_is_the_one_described() -> None:
    for entry in load_catalog().values():
        if entry.source == "bundled":
            content = (bundled("datasets") / f"{entry.name}.hdf5").read_bytes()
            assert hashlib.sha256(content).hexdigest() == entry.sha256
            assert len(content) == entry.approximate_bytes


def test_sizes_follow_from_plain_layouts() -> None:
    catalog = load_catalog()
    assert catalog["bigann-1b"].download_bytes == 8 + 128 * 10**9
    assert catalog["sift-128-euclidean"].download_bytes == 501_000_000
    assert catalog["nytimes-16-angular"].download_bytes is None


def test_what_can_be_read_today() -> None:
    catalog = load_catalog()
    assert catalog["sift-128-euclidean"].readable
    assert catalog["yi-128-ip"].readable
    assert catalog["sift-256-hamming"].readable
    assert catalog["kosarak-jaccard"].readable
    assert catalog["bigann-1b"].readable
    assert "sparse" in catalog["sparse-full"].obstacle
    assert "no truth" in catalog["ssnpp-1b"].obstacle
    assert not catalog["ssnpp-1b"].readable


def test_the_first_rows_of_a_larger_set() -> None:
    catalog = load_catalog()
    small, large = catalog["bigann-10m"], catalog["bigann-1b"]
    assert (small.url, small.dim, small.dtype, small.queries) == (large.url, large.dim, large.dtype, large.queries)
    assert small.files["queries"] == large.files["queries"]
    assert small.files["truth"] != large.files["truth"]
    assert (small.n, small.of_rows, small.base_bytes) == (10**7, 10**9, 8 + 128 * 10**7)
    for entry in catalog.values():
        assert entry.of_rows is None or (entry.n is not None and entry.n < entry.of_rows)


GOOD = "sources: {s: {layout: vibe-hdf5, page: p, licence: l, url: 'http://h/{name}.hdf5'}}\n"


def test_an_entry_takes_what_its_source_says(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(GOOD + "datasets: {a: {source: s, metric: ip, licence: mine}}")
    entry = load_catalog(path)["a"]
    assert (entry.url, entry.licence, entry.layout) == ("http://h/a.hdf5", "mine", "vibe-hdf5")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "datasets: {}",
        GOOD + "datasets: {a: {source: other, metric: ip}}",
        GOOD + "datasets: {a: {source: s, metric: manhattan}}",
        GOOD + "datasets: {a: {source: s, metric: ip, surprise: 1}}",
        GOOD + "datasets: {a: {source: s, metric: ip, n: '10'}}",
        GOOD + "datasets: {a: !!python/object/apply:os.getcwd []}",
        GOOD + "datasets: {a: {",
        "#" * (MAX_BYTES + 1),
    ],
)
def test_a_damaged_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(DatasetError, match=re.escape(str(path))):
        load_catalog(path)
