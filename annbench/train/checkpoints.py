"""A run on disk: everything that the rest of it depends on, so that an interrupted run ends as if it had not been."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from annbench.errors import ModelFileError
from annbench.indexes.transforms.model_file import read_arrays, write_arrays

if TYPE_CHECKING:
    from annbench.train.trainer import Trainer

KIND = "checkpoint"
# What a run may be resumed with, though it was begun with another: when it ends, and what it is computed on.
MAY_DIFFER = {"epochs", "minutes", "patience", "threads", "device"}


def save_checkpoint(path: Path, trainer: Trainer) -> None:
    """Raises ModelFileError."""
    arrays: dict[str, NDArray[Any]] = {}
    modules = {"network": trainer.network.state_dict(), "follower": trainer.follower.state_dict(), "best": trainer.best,
               "objective": trainer.objective.state()}  # fmt: skip
    for name, values in modules.items():
        arrays |= {f"{name}.{key}": _array(value) for key, value in values.items()}
    for number, state in trainer.optimizer.state_dict()["state"].items():
        arrays |= {f"optimizer.{number}.{key}": _array(value) for key, value in state.items()}
    state = trainer.state
    about = {"plan": _plan(trainer), "data": trainer.pairs.digest, "batches": state.batches, "seconds": state.seconds,
             "recalls": state.recalls}  # fmt: skip
    write_arrays(path, KIND, arrays, about)


def load_checkpoint(path: Path, trainer: Trainer) -> None:
    """Puts `trainer` where the run was. Raises ModelFileError for a checkpoint of another run."""
    arrays, about = read_arrays(path, KIND)
    if about["plan"] != _plan(trainer) or about["data"] != trainer.pairs.digest:
        different = [name for name, value in _plan(trainer).items() if about["plan"].get(name) != value] or ["the data"]
        raise ModelFileError(
            f"is of another run: {', '.join(different)} was different",
            where=str(path),
            remedy="give what it was begun with, or another path",
        )
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    for name, module in (("network", trainer.network), ("follower", trainer.follower)):
        module.load_state_dict(_within(tensors, name))
    trainer.best = _within(tensors, "best")
    optimizer = trainer.optimizer.state_dict()
    optimizer["state"] = {}
    for key, tensor in _within(tensors, "optimizer").items():
        number, _, part = key.partition(".")
        optimizer["state"].setdefault(int(number), {})[part] = tensor
    trainer.optimizer.load_state_dict(optimizer)
    trainer.objective.restore(_within(tensors, "objective"))
    trainer.state.batches, trainer.state.seconds = about["batches"], about["seconds"]
    trainer.state.recalls = [(int(b), float(s), float(r)) for b, s, r in about["recalls"]]


def _plan(trainer: Trainer) -> dict[str, Any]:
    return trainer.plan.model_dump(exclude=MAY_DIFFER)


def _within(tensors: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _array(value: torch.Tensor) -> NDArray[Any]:
    array: NDArray[Any] = value.detach().cpu().numpy()
    return array
