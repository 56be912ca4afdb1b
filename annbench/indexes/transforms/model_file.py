"""Learned transforms and checkpoints as files: safetensors whose metadata says what they are, with a checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from annbench.datasets.publish import written_whole
from annbench.errors import ModelFileError
from annbench.indexes.transforms.binarizer import Binarizer, Perceptron

VERSION = "1"
Arrays = Mapping[str, NDArray[Any]]


def write_arrays(path: Path, kind: str, arrays: Arrays, about: Mapping[str, Any]) -> None:
    """At once or not at all. `about` is what JSON can say. Raises ModelFileError where the disk does not take it."""
    metadata = {"annbench": kind, "version": VERSION, "about": json.dumps(about, sort_keys=True)}
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata["checksum"] = _checksum(whole, metadata)
    try:
        with written_whole(path, remedy="free some space, or choose another path") as temporary:
            temporary.write_bytes(save(whole, metadata))  # its own writer lets nobody else read the file
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"cannot be written: {error}", where=str(path), remedy="choose another path") from error


def read_arrays(path: Path, kind: str) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What write_arrays wrote. Raises ModelFileError for anything else."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = dict(file.metadata() or {})
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no dict
    except (SafetensorError, OSError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ModelFileError(
            f"cannot be read: {error}",
            where=str(path),
            remedy=f"give a {kind} of annbench"
            + (", such as `annbench train bebr` writes" if kind == "binarizer" else ""),
        ) from error
    if metadata.get("annbench") != kind:
        raise ModelFileError(f"is no {kind}", where=str(path), remedy=f"give a {kind} that annbench has written")
    if metadata.get("version") != VERSION:
        raise ModelFileError(
            f"has version {metadata.get('version')!r}, this annbench reads {VERSION!r}",
            where=str(path),
            remedy="train it again, or use the annbench that wrote it",
        )
    given = metadata.pop("checksum", "")
    if given != _checksum(arrays, metadata):
        raise ModelFileError("its checksum is another one", where=str(path), remedy="copy or train it again")
    try:
        about = json.loads(metadata["about"])
    except (KeyError, ValueError, RecursionError):
        about = None
    if not isinstance(about, dict):
        raise ModelFileError("says nothing of itself", where=str(path), remedy="copy or train it again")
    return arrays, about


def checksum_of(path: Path) -> str | None:
    """What the file says is its checksum, which is not looked into; None where it says nothing."""
    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get("checksum")
    except (SafetensorError, OSError, AttributeError, TypeError, ValueError):
        return None


def _checksum(arrays: Arrays, metadata: Mapping[str, str]) -> str:
    whole = hashlib.blake2b(json.dumps(metadata, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        whole.update(f"{name} {array.dtype.str} {array.shape}".encode())
        whole.update(array.reshape(-1).view(np.uint8).data)
    return whole.hexdigest()


@dataclass(frozen=True)
class BinarizerFile:
    """A binarizer with what its training says of it, such as the data, the plan and the recall."""

    binarizer: Binarizer
    about: dict[str, Any]


def write_binarizer(path: Path, binarizer: Binarizer, about: Mapping[str, Any]) -> None:
    """Raises ModelFileError."""
    arrays: dict[str, NDArray[Any]] = {}
    if binarizer.mean is not None:
        arrays |= {"mean": binarizer.mean, "scale": np.array([binarizer.scale], np.float32)}
    for name, part in _parts(binarizer).items():
        arrays |= {f"{name}.linear": part.linear, f"{name}.bias": part.bias}
        for number, (matrix, bias) in enumerate(part.layers):
            arrays |= {f"{name}.layer{number}.matrix": matrix, f"{name}.layer{number}.bias": bias}
    write_arrays(path, "binarizer", arrays, about)


def read_binarizer(path: Path) -> BinarizerFile:
    """Raises ModelFileError for what is no binarizer, or whose parts do not fit together."""
    arrays, about = read_arrays(path, "binarizer")
    mean, scale = arrays.pop("mean", None), arrays.pop("scale", None)
    first = _perceptron(arrays, "first", path)
    steps = sum(name.startswith("residual") and name.endswith(".linear") for name in arrays)
    dim, dim_in = first.linear.shape
    residual = tuple(_perceptron(arrays, f"residual{step}", path, (dim, dim_in)) for step in range(steps))
    reconstruct = tuple(_perceptron(arrays, f"reconstruct{step}", path, (dim_in, dim)) for step in range(steps))
    if arrays:
        raise _unfit(path, f"it has an array {next(iter(arrays))!r} too many")
    made = Binarizer(first, residual, reconstruct)
    if (mean is None) != (scale is None):
        raise _unfit(path, "it has a mean or a scale alone")
    if mean is not None and scale is not None:
        sound = mean.dtype == scale.dtype == np.float32 and mean.shape == (dim_in,) and scale.shape == (1,)
        if not sound or not np.isfinite(mean).all() or not np.isfinite(scale).all():
            raise _unfit(path, "its mean or scale is another one")
        made = replace(made, mean=mean, scale=float(scale[0]))
    return BinarizerFile(made, about)


def _parts(binarizer: Binarizer) -> dict[str, Perceptron]:
    return {
        "first": binarizer.first,
        **{f"residual{step}": part for step, part in enumerate(binarizer.residual)},
        **{f"reconstruct{step}": part for step, part in enumerate(binarizer.reconstruct)},
    }


def _perceptron(
    arrays: dict[str, NDArray[Any]], name: str, path: Path, shape: tuple[int, ...] | None = None
) -> Perceptron:
    def taken(part: str, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
        array = arrays.pop(f"{name}.{part}", None)
        if array is None or array.dtype != np.float32 or array.ndim != len(shape) or 0 in array.shape:
            raise _unfit(path, f"its array {name}.{part} is missing, or another one")
        if any(wanted not in (None, found) for wanted, found in zip(shape, array.shape, strict=True)):
            raise _unfit(path, f"its array {name}.{part} has shape {array.shape}")
        if not np.isfinite(array).all():
            raise _unfit(path, f"its array {name}.{part} has values that are no numbers")
        return array

    linear = taken("linear", shape or (None, None))
    dim_out, width = linear.shape
    bias = taken("bias", (dim_out,))
    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    while f"{name}.layer{len(layers)}.matrix" in arrays:
        at = f"layer{len(layers)}"
        last = f"{name}.layer{len(layers) + 1}.matrix" not in arrays
        matrix = taken(f"{at}.matrix", (dim_out if last else None, width))
        width = matrix.shape[0]
        layers.append((matrix, taken(f"{at}.bias", (width,))))
    return Perceptron(linear, bias, tuple(layers))


def _unfit(path: Path, message: str) -> ModelFileError:
    return ModelFileError(message, where=str(path), remedy="train it again")
