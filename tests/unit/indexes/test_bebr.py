"""Indexes over the codes of binarizers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from binarizers import ASKED, DIM, DIM_IN, HIDDEN, K, N, Q, X, binarizer, native_levels
from index_bytes import put, reseal

from annbench.algorithms.base import PointContext
from annbench.algorithms.composed import Composed, ComposedBuild
from annbench.errors import IndexFileError, ModelFileError, UsageError
from annbench.indexes.index import Index
from annbench.indexes.transforms.bebr import DEFAULT_MODEL, linear_decoder
from annbench.indexes.transforms.binarizer import Binarizer, unit_rows
from annbench.indexes.transforms.model_file import read_binarizer, write_binarizer
from annbench.indexes.transforms.registry import make_transform


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    write_binarizer(path, binarizer(3), {})
    return path


def test_it_maps_both_sides_alike(model: Path) -> None:
    maps = make_transform({"kind": "bebr", "model": str(model), "steps": 1}).fit(X, None, seed=0)
    mapped = maps.base(X)
    assert (maps.dim_in, maps.dim_out, mapped.shape, mapped.dtype) == (DIM_IN, DIM, (N, DIM), np.float32)
    assert np.array_equal(mapped, maps.queries(X))
    assert np.allclose(np.linalg.norm(mapped, axis=1), 1, atol=1e-6)
    assert maps.binarizer is not None
    assert maps.nbytes == maps.binarizer[1].nbytes
    with pytest.raises(UsageError, match="dim 24"):
        maps.base(X[:, :5])


def cosines(steps: int, model: Path) -> np.ndarray:
    made = read_binarizer(model).binarizer.prefix(steps)
    asked, base = (native_levels(made, rows) for rows in (ASKED, X))
    lengths = np.outer(np.linalg.norm(asked, axis=1), np.linalg.norm(base, axis=1))
    return np.asarray(asked @ base.T / lengths)


@pytest.mark.parametrize("structure", ["flat", {"kind": "graph", "degree": 16}])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_an_index_ranks_by_cosines_of_codes(steps: int, structure: Any, model: Path, tmp_path: Path) -> None:
    index = Index.build(
        X, "cosine", transform={"kind": "bebr", "model": str(model), "steps": steps},
        codec={"kind": "uniform", "bits": steps + 1}, structure=structure, rerank="none",
    )  # fmt: skip
    ids, distances = index.search(ASKED, K, ef_search=N)
    exact = cosines(steps, model)
    kth = np.sort(exact, axis=1)[:, -K]
    found = np.take_along_axis(exact, ids, axis=1)
    # The query is rounded to 8 bits when it is compared with codes.
    assert (found >= kth[:, None] - 0.02).all()
    assert np.allclose(1 - distances, found, atol=0.02)
    model.unlink()
    index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    assert np.array_equal(again.search(ASKED, K, ef_search=N)[0], ids)
    again.add(X[:1], ids=[N])
    assert again.search(X[:1], 2)[0].tolist() == [[0, N]]
    assert "bebr" in repr(again)


@pytest.mark.parametrize(
    "forge",
    [
        lambda f: put(f, "binarizer_shape", 0, DIM_IN + 1, "<I"),
        lambda f: put(f, "binarizer_shape", 8, 2, "<I"),
        lambda f: put(f, "binarizer_shape", 12, 1 << 31, "<I"),
        lambda f: put(f, "binarizer_shape", 16, HIDDEN + 1, "<I"),
        lambda f: put(f, "binarizer", 8, float("nan"), "<f"),
    ],
    ids=["dimensions", "steps", "layers", "widths", "a value"],
)
def test_an_index_whose_binarizer_cannot_be_is_refused(forge: Any, model: Path, tmp_path: Path) -> None:
    index = Index.build(X, "cosine", transform={"kind": "bebr", "model": str(model)}, codec="uniform", rerank="none")
    index.save(tmp_path / "index")
    file = bytearray((tmp_path / "index").read_bytes())
    forge(file)
    (tmp_path / "index").write_bytes(reseal(file))
    with pytest.raises(IndexFileError):
        Index.load(tmp_path / "index")


def test_what_a_model_does_not_fit_is_refused(model: Path) -> None:
    def build(x: np.ndarray, metric: str, **how: Any) -> None:
        Index.build(x, metric, transform={"kind": "bebr", "model": str(model), **how}, codec="uniform")

    with pytest.raises(UsageError, match="24 dimensions, these have 20"):
        build(X[:, :20], "cosine")
    with pytest.raises(UsageError, match="was trained for cosine, not for euclidean"):
        build(X, "euclidean")
    with pytest.raises(UsageError, match="has 3 steps"):
        build(X, "cosine", steps=5)
    with pytest.raises(UsageError, match="codes of 40 dimensions"):
        build(X, "cosine", dim=41)
    with pytest.raises(ModelFileError):
        Index.build(X, "cosine", transform={"kind": "bebr", "model": "nowhere"}, codec="uniform")


FLAT, LISTS, GRAPH = {"kind": "flat"}, {"kind": "ivf", "nlist": 7}, {"kind": "graph", "degree": 8}
BLOCKS, ROWS = {"kind": "levels"}, {"kind": "levels", "layout": "rows"}


def unit_levels(made: Binarizer, rows: np.ndarray) -> np.ndarray:
    levels = native_levels(made, rows)
    return np.asarray(levels / np.linalg.norm(levels, axis=1, keepdims=True))


def built(model: Path, codec: Any = BLOCKS, structure: Any = FLAT, rerank: Any = "none", **transform: Any) -> Index:
    return Index.build(
        X, "cosine", transform={"kind": "bebr", "model": str(model), **transform}, codec=codec, structure=structure,
        rerank=rerank, threads=1,
    )  # fmt: skip


def check_cosines(index: Index, expected: np.ndarray, tolerance: float, **how: Any) -> None:
    """All answers against the cosines (q, n) of the codes; ties may fall either way."""
    ids, distances = index.search(ASKED, K, nprobe=index.spec.nlist, ef_search=N, **how)
    nearest = -np.sort(-expected, axis=1)[:, :K]
    assert np.abs(1 - distances - nearest).max() <= tolerance
    assert np.abs(np.take_along_axis(expected, ids, axis=1) - nearest).max() <= 2 * tolerance


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize(("codec", "structure"), [(BLOCKS, FLAT), (ROWS, FLAT), (BLOCKS, LISTS), (ROWS, GRAPH)])
def test_sdc_is_the_cosine_of_codes(steps: int, codec: Any, structure: Any, model: Path, tmp_path: Path) -> None:
    made = read_binarizer(model).binarizer.prefix(steps)
    index = built(model, codec, structure, "float32" if structure is GRAPH else "none", steps=steps)
    assert index.spec.codec.fields()["bits"] == steps + 1
    if structure is not GRAPH:  # whose finer copy decides
        check_cosines(index, unit_levels(made, ASKED) @ unit_levels(made, X).T, 2e-6)
    found = index.search(ASKED, K, nprobe=3)
    index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    assert repr(again) == repr(index)
    for mine, other in zip(found, again.search(ASKED, K, nprobe=3), strict=True):
        assert np.array_equal(mine, other)
    one = [index.search(query, K, nprobe=3)[0] for query in ASKED[:5]]
    assert np.array_equal(np.stack(one), found[0][:5])


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
@pytest.mark.parametrize("codec", [BLOCKS, ROWS])
def test_vectors_that_are_levels_already_are_kept(steps: int, codec: Any, tmp_path: Path) -> None:
    made = binarizer(steps)
    coded, asked = (native_levels(made, rows).astype(np.float32) for rows in (X, ASKED))
    index = Index.build(coded, "cosine", codec={**codec, "bits": steps + 1}, threads=1)
    ids, distances = index.search(asked, K)
    expected = unit_levels(made, ASKED) @ unit_levels(made, X).T
    assert np.abs(1 - distances + np.sort(-expected, axis=1)[:, :K]).max() <= 2e-6
    index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    assert np.array_equal(again.search(asked, K)[0], ids)
    again.add(3 * coded[:1], ids=[N])
    assert again.search(coded[0], 2)[0].tolist() == [0, N]


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("codec", [BLOCKS, ROWS])
def test_queries_that_are_not_binarized(steps: int, codec: Any, model: Path) -> None:
    made = read_binarizer(model).binarizer.prefix(steps)
    index = built(model, codec, steps=steps, asymmetric=True)
    codes = unit_levels(made, X)
    decoder = linear_decoder(codes.astype(np.float32), X)
    mapped = ASKED @ decoder.T
    mapped /= np.linalg.norm(mapped, axis=1, keepdims=True)
    check_cosines(index, mapped @ codes.T, 0.02)  # queries are rounded to 8 bits, entries of tables too
    truth = np.argsort(-(ASKED @ X.T), axis=1)[:, :K]

    def recall(index: Index) -> float:
        return float(np.mean([np.isin(ids, near).mean() for ids, near in zip(index.search(ASKED, K)[0], truth)]))  # noqa: B905

    assert recall(index) > recall(built(model, codec, steps=steps))


def test_queries_that_are_not_binarized_are_for_cosine(tmp_path: Path) -> None:
    write_binarizer(tmp_path / "of.safetensors", replace(binarizer(1), mean=np.zeros(DIM_IN, np.float32)), {})
    transform = {"kind": "bebr", "model": str(tmp_path / "of.safetensors"), "asymmetric": True}
    with pytest.raises(UsageError, match="long vectors win"):
        Index.build(X, "euclidean", transform=transform, codec="levels", threads=1)


def test_a_decoder_gives_back_what_codes_say_of_vectors() -> None:
    random = np.random.default_rng(4)
    codes = unit_rows(np.where(random.standard_normal((5000, 12)) >= 0, 1, -1).astype(np.float32))
    matrix = random.standard_normal((12, 7)).astype(np.float32)
    decoder = linear_decoder(codes, codes @ matrix + 3)
    assert np.allclose(decoder, matrix, atol=0.02)


@pytest.mark.parametrize("name", ["bebr", "bebr-ivf", "bebr-graph"])
def test_the_presets_take_the_model_beside_them(
    name: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match="annbench train bebr"):
        Index.build(X, "cosine", preset=name)
    shutil.copyfile(model, tmp_path / DEFAULT_MODEL)
    index = Index.build(X, "cosine", preset=name, threads=1)
    other = Index.build(X, "cosine", preset=name, transform={"kind": "bebr", "model": str(model)}, threads=1)
    for mine, theirs in zip(index.search(ASKED, K), other.search(ASKED, K), strict=True):
        assert np.array_equal(mine, theirs)
    assert f"preset {name}" in repr(index)


def test_levels_change_like_other_codes(model: Path) -> None:
    index = built(model)
    index.remove(np.arange(0, N, 3))
    left = np.setdiff1d(np.arange(N), np.arange(0, N, 3))
    made = read_binarizer(model).binarizer
    cosines = unit_levels(made, ASKED) @ unit_levels(made, X[left]).T
    _, distances = index.search(ASKED, K)
    assert np.abs(1 - distances + np.sort(-cosines, axis=1)[:, :K]).max() < 2e-6
    index.add(X[::3], ids=np.arange(0, N, 3))
    whole = unit_levels(made, ASKED) @ unit_levels(made, X).T
    check_cosines(index, whole, 2e-6)
    even = index.search(ASKED, K, allowed=np.arange(0, N, 2))[0]
    assert (even % 2 == 0).all()


def test_a_binarizer_of_vectors_with_lengths(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    base, asked = (
        random.normal(3, 2, (N, DIM_IN)).astype(np.float32),
        random.normal(3, 2, (Q, DIM_IN)).astype(np.float32),
    )
    made = replace(binarizer(1), mean=base.mean(axis=0), scale=0.11)
    path = tmp_path / "m.safetensors"
    write_binarizer(path, made, {})
    assert np.array_equal(read_binarizer(path).binarizer.levels(base), made.levels(base))
    index = Index.build(base, "euclidean", transform={"kind": "bebr", "model": str(path)}, codec="levels", threads=1)
    ids, distances = index.search(asked, K)
    squares = 2 - 2 * unit_levels(made, asked) @ unit_levels(made, base).T
    nearest = np.sort(squares, axis=1)[:, :K]
    assert np.abs(distances - np.sqrt(nearest)).max() < 1e-5
    index.save(tmp_path / "index")
    again = Index.load(tmp_path / "index")
    assert np.array_equal(again.search(asked, K)[0], ids)
    again.add(base[:1] + 1, ids=[N + 1])
    with pytest.raises(UsageError, match="was trained for euclidean"):
        Index.build(X, "cosine", transform={"kind": "bebr", "model": str(path)}, codec="levels")


def test_levels_are_refused_where_there_are_none(model: Path) -> None:
    given = {"kind": "levels", "bits": 2}
    for transform, metric, codec in (
        ("identity", "cosine", "levels"),
        ("identity", "euclidean", given),
        ({"kind": "identity", "center": True}, "cosine", given),
        ("random-rotation", "cosine", given),
    ):
        with pytest.raises(UsageError, match=r"makes no levels; .* say how many bits"):
            Index.build(X, metric, transform=transform, codec=codec)
    with pytest.raises(UsageError, match=r"bits 2 is not what .* makes, which is 4"):
        built(model, {"kind": "levels", "bits": 2})
    with pytest.raises(UsageError, match=r"query values is not what .* makes, which is levels"):
        built(model, {"kind": "levels", "query": "values"})


def test_points_of_two_models_in_one_place_are_two(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    shutil.copyfile(model, path)
    context = PointContext(n=N, dim=DIM_IN, k=K, metric="cosine")
    given = ComposedBuild.model_validate({"transform": {"kind": "bebr", "model": path.name}, "codec": "levels"})

    def located() -> ComposedBuild:
        return Composed.located(context, given, tmp_path)

    first = located()
    assert located() == first
    assert ComposedBuild.model_validate(first.model_dump()) == first
    assert Composed.located(context, first, tmp_path / "elsewhere") == first
    write_binarizer(path, binarizer(1), {})
    assert Composed.identity(located()) != Composed.identity(first)
    with pytest.raises(UsageError, match="another file than that of checksum"):
        Index.build(X, "cosine", transform=first.transform, codec="levels")
    path.unlink()
    assert "checksum" not in located().transform  # building it tells what is missing
