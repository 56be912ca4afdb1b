"""Finding datasets by name and by path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from annbench import bundled as bundled_module
from annbench.bundled import bundled
from annbench.datasets.library import (
    cache_dir,
    check_name,
    data_dir,
    describe_any,
    find_dataset,
    find_listed,
    list_datasets,
    resolve,
)
from annbench.errors import AnnbenchError, DatasetError, UnknownNameError

BUNDLED = "wordnet-minilm-384-angular"
File = Callable[..., Path]


def test_the_bundled_set_is_found_and_sound(tmp_path: Path) -> None:
    info = find_dataset(BUNDLED, tmp_path)
    assert (info.n, info.dim, info.metric, info.dtype) == (10_000, 384, "cosine", "float16")
    assert (info.zero_rows, info.unit_norm) == (0, True)
    assert {name: (s.count, s.truth_k, s.learn_count) for name, s in info.query_sets.items()} == {
        "test": (500, 100, 0),
        "ood": (500, 100, 500),
    }
    assert set(info.attributes) == {"lexname", "pos", "n_lemmas", "n_pointers", "n_chars"}


def test_a_path_is_itself(ann_benchmarks_file: File, tmp_path: Path) -> None:
    path = ann_benchmarks_file(name="My Set.hdf5")
    assert resolve(str(path), tmp_path / "data") == path
    info = find_dataset(str(path), tmp_path / "data")
    assert (info.name, info.n) == ("my-set", 60)


def test_a_file_in_the_data_folder_has_a_name(ann_benchmarks_file: File, tmp_path: Path) -> None:
    path = ann_benchmarks_file(name="mine.hdf5")
    assert resolve("mine", tmp_path) == path
    listed = find_listed("mine", tmp_path)
    assert listed is not None
    assert (listed.status, listed.n) == ("present", None)
    assert find_dataset("mine", tmp_path).n == 60
    listed = find_listed("mine", tmp_path)
    assert listed is not None
    assert (listed.n, listed.queries, listed.metric) == (60, 7, "euclidean")


def test_a_public_set_counts_as_present_once_it_is_there(ann_benchmarks_file: File, tmp_path: Path) -> None:
    before = find_listed("sift-128-euclidean", tmp_path)
    assert before is not None
    assert (before.status, before.path, before.n) == ("not downloaded", None, 1_000_000)
    path = ann_benchmarks_file(name="sift-128-euclidean.hdf5")
    after = find_listed("sift-128-euclidean", tmp_path)
    assert after is not None
    assert (after.status, after.path, after.file_bytes) == ("present", str(path), path.stat().st_size)


def test_a_public_set_that_is_not_there_says_how_to_get_it(tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    with pytest.raises(DatasetError, match=r"not downloaded \(about 501 MB") as caught:
        resolve("sift-128-euclidean", folder)
    assert f"annbench data get sift-128-euclidean --data-dir '{folder}'" in caught.value.remedy
    with pytest.raises(DatasetError) as caught:
        resolve("sift-128-euclidean", data_dir())
    assert caught.value.remedy.endswith("annbench data get sift-128-euclidean")
    with pytest.raises(DatasetError, match="cannot make a dataset of it: its vectors are sparse"):
        resolve("sparse-full", folder)
    facts = describe_any("sift-128-euclidean", folder)
    assert (facts["status"], facts["get_with"]) == ("not downloaded", "annbench data get sift-128-euclidean")
    facts = describe_any("sparse-full", folder)
    assert (facts["get_with"], facts["obstacle"]) == (None, "its vectors are sparse, with weights")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sift-128-euclidian", "did you mean sift-128-euclidean"),
        ("glove", "known: glove-100-angular, glove-200-angular"),
        ("zzz", f"known: {BUNDLED}"),
    ],
)
def test_an_unknown_name_lists_what_is_near(tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown dataset") as caught:
        resolve(name, tmp_path)
    assert hint in caught.value.remedy


@pytest.mark.parametrize("name", ["a", "sift-128-euclidean", "0.x_y-z"])
def test_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".a",
        "-a",
        "a/b",
        "a\\b",
        "../../x",
        "/etc/passwd",
        "A",
        "ä",
        "a b",
        "a\n",
        "a\0",
        "x" * 200,
    ],
)
@pytest.mark.fault(12)
def test_other_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match="not a dataset name"):
        resolve(name, tmp_path)


@pytest.mark.fault(12)
def test_a_link_out_of_the_data_folder_is_refused(ann_benchmarks_file: File, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "out.hdf5").symlink_to(ann_benchmarks_file())
    with pytest.raises(DatasetError, match="link out of the data folder"):
        resolve("out", folder)
    shutil.copy(ann_benchmarks_file(), folder / "inside.hdf5")
    (folder / "alias.hdf5").symlink_to(folder / "inside.hdf5")
    assert resolve("alias", folder) == folder / "alias.hdf5"
    # The folder itself may be a link.
    (tmp_path / "link").symlink_to(folder)
    assert resolve("inside", tmp_path / "link") == tmp_path / "link" / "inside.hdf5"


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "folder.hdf5").mkdir()
    os.mkfifo(tmp_path / "pipe.hdf5")
    for path in (tmp_path / "folder.hdf5", tmp_path / "pipe.hdf5", tmp_path / "absent.hdf5"):
        with pytest.raises(DatasetError, match="no such file"):
            resolve(str(path), tmp_path)


def test_half_made_files_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / ".mine.1.tmp.hdf5").write_bytes(b"")
    (tmp_path / "Strange Name.hdf5").write_bytes(b"")
    assert [listed.name for listed in list_datasets(tmp_path) if listed.source == "own"] == []


def test_the_data_folder(tmp_path: Path) -> None:
    assert data_dir(tmp_path) == tmp_path
    assert data_dir().parts[-2:] == ("annbench", "datasets")
    assert cache_dir(tmp_path).parent == tmp_path


def test_bundled_files_of_a_wheel_and_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (bundled("datasets") / "catalog.yaml").is_file()
    package = tmp_path / "site-packages" / "annbench"
    (package.parent / "datasets").mkdir(parents=True)
    monkeypatch.setattr(bundled_module, "_PACKAGE", package)
    # Another project's package of that name lies beside ours, and is not taken.
    with pytest.raises(AnnbenchError, match="bundled datasets are missing"):
        bundled("datasets")
    (package / "bundled" / "datasets").mkdir(parents=True)
    assert bundled("datasets") == package / "bundled" / "datasets"
    (package.parent / "pyproject.toml").write_text("")
    shutil.rmtree(package / "bundled")
    assert bundled("datasets") == package.parent / "datasets"
