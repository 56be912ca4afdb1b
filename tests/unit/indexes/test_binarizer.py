"""Binarizers after training: the reference, the native map, and the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from binarizers import DIM, DIM_IN, HIDDEN, N, X, binarizer, native_levels, perceptron
from safetensors import safe_open
from safetensors.numpy import save_file

from annbench._native import RecurrentBinarizer
from annbench.errors import ModelFileError
from annbench.indexes.transforms.binarizer import Binarizer, Perceptron, unit_rows
from annbench.indexes.transforms.model_file import _checksum, read_binarizer, write_binarizer


@pytest.mark.parametrize("steps", [0, 1, 2, 3])
def test_levels_are_odd_integers(steps: int) -> None:
    levels = binarizer(steps).levels(X)
    most = 2 ** (steps + 1) - 1
    assert set(np.unique(levels)) == set(range(-most, most + 1, 2))


def test_fewer_steps_give_the_coarser_code() -> None:
    whole = binarizer(3)
    finest = whole.levels(X)
    for steps in (2, 1, 0):
        coarser = whole.prefix(steps).levels(X)
        # What was taken away is less than what the last bit that stays can say.
        assert np.array_equal(coarser, 2 * np.floor_divide(finest, 2 ** (4 - steps)) + 1)


def test_without_layers_and_steps_it_is_the_sign_of_a_projection() -> None:
    random = np.random.default_rng(7)
    rotation = np.linalg.qr(random.standard_normal((DIM_IN, DIM_IN)))[0].astype(np.float32)
    signs = Binarizer(Perceptron(rotation, np.zeros(DIM_IN, np.float32)), (), ())
    codes = signs.levels(X)
    assert np.array_equal(codes, np.where(X @ rotation.T >= 0, 1, -1))
    # A cosine is 1 − 2·Hamming/dim.
    assert np.array_equal(codes[0].astype(int) @ codes.T.astype(int), DIM_IN - 2 * (codes[0] != codes).sum(axis=1))


def check_signs(levels: np.ndarray, made: Binarizer, rows: np.ndarray) -> None:
    """Of every bit, given those before it, the sign is the reference's, unless that is next to nothing."""
    within: list[float] = []
    f = made.seen(rows)
    for step in range(made.steps + 1):
        unit = 2 ** (made.steps + 1 - step)
        before, now = (2 * np.floor_divide(levels, size) + 1 for size in (2 * unit, unit))
        if step == 0:
            values = made.first(f)
            signs = now
        else:
            back = unit_rows(made.reconstruct[step - 1]((before / 2 ** (step - 1)).astype(np.float32)))
            values = made.residual[step - 1](f - back)
            signs = now - 2 * before
        assert set(np.unique(signs)) == {-1, 1}
        least = 1e-3 * np.sqrt(np.mean(values**2))
        clear = np.abs(values) > least
        within.append(1 - clear.mean())
        assert np.array_equal(signs[clear], np.where(values >= 0, 1, -1)[clear])
    assert max(within) < 2e-3


@pytest.mark.parametrize("widths", [(), (HIDDEN,), (HIDDEN, 9)])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_the_native_map_is_the_reference(steps: int, widths: tuple[int, ...]) -> None:
    made = binarizer(steps, widths)
    check_signs(native_levels(made, X), made, X)
    native = RecurrentBinarizer(*made.packed())
    assert np.array_equal(native.map(X)[5:6], native.map(X[5:6]))


@pytest.mark.parametrize("of_residual", [(), (HIDDEN,)])
@pytest.mark.parametrize("one_layer", [False, True])
def test_what_is_linear_is_not_reconstructed(one_layer: bool, of_residual: tuple[int, ...]) -> None:
    # Many dimensions in, so that fewer products do without a reconstruction.
    random, wide = np.random.default_rng(4), 150
    x = unit_rows(random.standard_normal((N, wide), dtype=np.float32)) + np.float32(0.05)

    def back() -> Perceptron:
        made = perceptron(random, DIM, wide, ())
        more = perceptron(random, DIM, wide, ())
        return Perceptron(made.linear, made.bias, ((more.linear, more.bias),)) if one_layer else made

    made = Binarizer(
        perceptron(random, wide, DIM, (HIDDEN,)),
        tuple(perceptron(random, wide, DIM, of_residual) for _ in range(2)),
        (back(), back()),
        mean=np.full(wide, 0.02, np.float32),
        scale=1.7,
    )
    check_signs(native_levels(made, x), made, x)
    # Two matrices of products in place of those of 150 dimensions.
    assert RecurrentBinarizer(*made.packed()).nbytes < made.packed()[1].nbytes / 2


def test_without_a_length_nothing_is_divided_by() -> None:
    random, wide = np.random.default_rng(4), 150
    zeros = Perceptron(np.zeros((wide, DIM), np.float32), np.zeros(wide, np.float32))
    made = Binarizer(perceptron(random, wide, DIM, ()), (perceptron(random, wide, DIM, ()),), (zeros,))
    x = unit_rows(random.standard_normal((N, wide), dtype=np.float32))
    check_signs(native_levels(made, x), made, x)
    # Weights whose products are no numbers any more leave codes, whatever they are.
    random_weights = perceptron(random, wide, DIM, (HIDDEN,))
    huge = replace(random_weights, linear=np.full((DIM, wide), 3e38, np.float32))
    for back in (zeros, Perceptron(np.full((wide, DIM), 3e38, np.float32), np.zeros(wide, np.float32))):
        codes = native_levels(Binarizer(huge, (huge,), (back,)), x)
        assert set(np.unique(codes)) <= {-3, -1, 1, 3}


@pytest.mark.parametrize("change", ["shorter", "longer", "steps", "values", "nan", "empty"])
def test_the_native_map_refuses_what_does_not_fit(change: str) -> None:
    shape, values = binarizer(1).packed()
    match change:
        case "shorter":
            shape = shape[:-1]
        case "longer":
            shape = np.append(shape, np.uint32(1))
        case "steps":
            shape[2] = 1000
        case "values":
            values = values[:-1]
        case "nan":
            values[3] = np.nan
        case "empty":
            shape = shape[:0]
    with pytest.raises(ValueError, match="binarizer"):
        RecurrentBinarizer(shape, values)


def test_a_model_comes_back_from_its_file(tmp_path: Path) -> None:
    made = binarizer(2, (HIDDEN, 9))
    write_binarizer(tmp_path / "m.safetensors", made, {"dataset": "x", "recall": 0.5})
    again = read_binarizer(tmp_path / "m.safetensors")
    assert again.about == {"dataset": "x", "recall": 0.5}
    (tmp_path / "other").touch()
    assert (tmp_path / "m.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
    for mine, other in zip(made.packed(), again.binarizer.packed(), strict=True):
        assert np.array_equal(mine, other)


def altered(path: Path, change: Any) -> None:
    with safe_open(path, framework="np") as file:
        metadata = dict(file.metadata())
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(arrays, metadata)
    save_file(arrays, path, metadata)


ALTERATIONS: dict[str, tuple[Any, str]] = {
    "another version": (lambda a, m: m.update(version="2"), "version"),
    "another kind": (lambda a, m: m.update(annbench="checkpoint"), "is no binarizer"),
    "a value": (lambda a, m: a["first.bias"].__setitem__(0, 9), "checksum"),
    "what it says of itself": (lambda a, m: m.update(about=json.dumps({"recall": 1.0})), "checksum"),
    "an array less": (lambda a, m: a.pop("residual0.bias"), "checksum"),
}


@pytest.mark.parametrize("name", ALTERATIONS)
def test_a_file_that_was_altered_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_binarizer(path, binarizer(1), {})
    change, said = ALTERATIONS[name]
    altered(path, change)
    with pytest.raises(ModelFileError, match=said):
        read_binarizer(path)


@pytest.mark.parametrize("said", [None, "no JSON", "[1]"])
def test_a_file_that_says_nothing_of_itself_is_refused(said: str | None, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_binarizer(path, binarizer(1), {})

    def forge(arrays: Any, metadata: dict[str, str]) -> None:
        del metadata["checksum"], metadata["about"]
        metadata.update({} if said is None else {"about": said})
        metadata["checksum"] = _checksum(arrays, metadata)

    altered(path, forge)
    with pytest.raises(ModelFileError, match="says nothing of itself"):
        read_binarizer(path)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_binarizer(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_binarizer(path)
    write_binarizer(path, binarizer(1), {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_binarizer(path)


def test_a_mean_without_a_scale_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    write_binarizer(path, replace(binarizer(0), mean=np.zeros(DIM_IN, np.float32)), {})

    def less(arrays: Any, metadata: Any) -> None:
        arrays.pop("scale")
        metadata["checksum"] = _checksum(arrays, {k: v for k, v in metadata.items() if k != "checksum"})

    altered(path, less)
    with pytest.raises(ModelFileError, match="a mean or a scale alone"):
        read_binarizer(path)
