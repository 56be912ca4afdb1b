"""Training with an older model's codes: new queries learn to find them, resumably, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

pytest.importorskip("torch", reason="annbench[train] is not installed")

from annbench.datasets.library import find_dataset
from annbench.errors import DatasetError, ModelFileError, UsageError
from annbench.indexes.transforms.binarizer import unit_rows
from annbench.indexes.transforms.model_file import read_binarizer, write_binarizer
from annbench.train.bebr import TrainRequest, check_request, train_bebr
from annbench.train.bebr_file import prepared
from annbench.train.plan import Objective, TrainingPlan
from annbench.train.start import compatible_start, linear_start, steps_of
from annbench.train.trainer import Trainer

N, DIM = 1200, 16
RANDOM = np.random.default_rng(1)
CENTRES = RANDOM.standard_normal((40, DIM))
NEW = unit_rows((CENTRES[RANDOM.integers(40, size=N)] + 0.4 * RANDOM.standard_normal((N, DIM))).astype(np.float32))
# What the old model saw of the same things: other directions, fewer, with noise.
OLD = unit_rows((NEW @ RANDOM.standard_normal((DIM, 12)) + 0.2 * RANDOM.standard_normal((N, 12))).astype(np.float32))
OLD_BINARIZER = linear_start(OLD, 16, 1, seed=0)
LEVELS = OLD_BINARIZER.levels(OLD)


def plan(**changed: object) -> TrainingPlan:
    given = {"bits": 32, "steps": 1, "hidden": 24, "batch": 64, "epochs": 3, "minutes": None, "evaluate_every": 10,
             "mine_every": 5, "queue_batches": 2, "hardest": 8, "neighbours": 5, "held_out": 100,
             "patience": 100, **changed}  # fmt: skip
    return TrainingPlan.model_validate(given)


def trainer(chosen: TrainingPlan, levels: np.ndarray = LEVELS) -> Trainer:
    pairs, held_out = prepared(NEW, None, "cosine", chosen, None, levels)
    return Trainer(chosen, pairs, held_out, compatible_start(NEW, levels, chosen.steps, seed=chosen.seed))


def silent(_done: float) -> None:
    pass


def test_codes_after_every_step_follow_from_the_last() -> None:
    binarizer = linear_start(NEW, 12, 3, seed=0)
    found = steps_of(binarizer.levels(NEW[:50]), 3)
    for step in range(4):
        assert np.array_equal(found[step], binarizer.prefix(step).levels(NEW[:50]))


def test_it_begins_near_the_old_codes() -> None:
    start = compatible_start(NEW, LEVELS, 1, seed=0)
    agree = (np.sign(start.levels(NEW)) == np.sign(LEVELS)).mean()
    unrelated = (np.sign(linear_start(NEW, 16, 1, seed=0).levels(NEW)) == np.sign(LEVELS)).mean()
    assert agree > 0.85
    assert unrelated < 0.65


@pytest.mark.parametrize("objective", ["ranking", "info_nce"])
def test_new_queries_learn_to_find_old_codes_and_those_do_not_change(objective: Objective) -> None:
    run = trainer(plan(epochs=8, objective=objective))
    before = [codes.clone() for codes in run.old_codes]
    begun = run.held_out.recalls(compatible_start(NEW, LEVELS, 1, seed=0))
    trained = run.run(None, silent)
    alone, in_old = run.held_out.recalls(trained)
    assert in_old is not None
    assert begun[1] is not None
    assert run.state.best == pytest.approx((alone + in_old) / 2)
    assert alone + in_old > begun[0] + begun[1]
    incompatible = run.held_out.recalls(linear_start(NEW, 16, 1, seed=0))[1]
    assert incompatible is not None
    assert in_old > 3 * incompatible
    assert all(bool((a == b).all()) and not b.requires_grad for a, b in zip(before, run.old_codes, strict=True))


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    expected = trainer(plan()).run(None, silent).packed()

    class StoppedError(Exception):
        pass

    def stop(done: float) -> None:
        if done > 0.6:
            raise StoppedError

    path = tmp_path / "run.checkpoint"
    with pytest.raises(StoppedError):
        trainer(plan()).run(path, stop)
    found = trainer(plan()).run(path, silent).packed()
    for mine, other in zip(found, expected, strict=True):
        assert np.array_equal(mine, other)
    with pytest.raises(ModelFileError, match="the data was different"):
        trainer(plan(), -LEVELS).run(path, silent)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name, base in (("old", OLD), ("new", NEW), ("short", NEW[:-1]), ("noisy", unit_rows(NEW + 0.05 * NEW[::-1]))):
        with h5py.File(tmp_path / f"{name}.hdf5", "w") as file:
            file.attrs["distance"] = "angular"
            file["train"], file["test"] = base, base[:20]
            similar = base[:20] @ base.T
            ids = np.argsort(-similar, axis=1, kind="stable")[:, :10]
            file["neighbors"] = ids.astype(np.int32)
            file["distances"] = (1 - np.take_along_axis(similar, ids, axis=1)).astype(np.float32)
    write_binarizer(tmp_path / "old.safetensors", OLD_BINARIZER, {})
    return tmp_path


def request(files: Path, **changed: object) -> TrainRequest:
    def dataset(name: str) -> object:
        return find_dataset(str(files / f"{name}.hdf5"), files)

    given = {"dataset": dataset("new"), "plan": plan(epochs=1), "out": files / "out.safetensors",
             "checkpoint": files / "out.checkpoint",
             **{name: dataset(value) if name in ("positives", "old_dataset") else value
                for name, value in changed.items()}}  # fmt: skip
    return TrainRequest.model_validate(given)


def test_from_files_to_a_model_that_says_what_it_goes_with(files: Path) -> None:
    old = files / "old.safetensors"
    trained = train_bebr(request(files, compatible_with=old, old_dataset="old"))
    about = read_binarizer(trained.out).about
    assert about["compatible_with"] == old.name
    assert trained.recall == pytest.approx((trained.recall_alone + trained.recall_in_old) / 2)
    assert about["recall_in_old"] == trained.recall_in_old


def test_steps_are_chosen(files: Path) -> None:
    wish = plan(epochs=1, steps=0)
    trained = train_bebr(request(files, plan=wish, choose_steps=True))
    made = read_binarizer(trained.out).binarizer
    assert (made.dim, made.steps) == (trained.dim, trained.steps)
    assert made.dim * (made.steps + 1) == wish.bits
    assert read_binarizer(trained.out).about["plan"]["steps"] == made.steps
    given = [train_bebr(request(files, plan=plan(epochs=1, steps=steps), force=True)).recalls[0] for steps in (0, 1, 3)]
    assert trained.recalls[0][2] == max(recall for _, _, recall in given)


def test_steps_are_those_of_the_older_model(files: Path) -> None:
    old = {"compatible_with": files / "old.safetensors", "old_dataset": "old"}
    trained = train_bebr(request(files, plan=plan(epochs=1, steps=0), choose_steps=True, **old))
    assert trained.steps == OLD_BINARIZER.steps
    with pytest.raises(UsageError, match="its codes have 32 bits in 1 steps; codes can be compared where they"):
        train_bebr(request(files, plan=plan(epochs=1, steps=0, bits=33), choose_steps=True, force=True, **old))


def test_pairs_of_two_views(files: Path) -> None:
    trained = train_bebr(request(files, positives="noisy"))
    assert trained.learned_from == "vectors with those of noisy"
    assert trained.pairs == N - 100
    assert trained.recall_in_old is None


def test_what_does_not_fit_is_refused(files: Path) -> None:
    old = files / "old.safetensors"
    with pytest.raises(UsageError, match="give both --compatible-with and --old-dataset, or neither"):
        check_request(request(files, compatible_with=old))
    with pytest.raises(DatasetError, match="short has 1,199 base rows, new has 1,200"):
        check_request(request(files, positives="short"))
    with pytest.raises(DatasetError, match="old has 12 dimensions, new has 16"):
        check_request(request(files, positives="old"))
    with pytest.raises(UsageError, match=r"its codes have 32 bits in 1 steps; .* give --bits 32 --steps 1"):
        train_bebr(request(files, compatible_with=old, old_dataset="old", plan=plan(bits=64)))
    with pytest.raises(UsageError, match="was trained on vectors of 12 dimensions, noisy has 16"):
        train_bebr(request(files, compatible_with=old, old_dataset="noisy"))
    with pytest.raises(ModelFileError, match="cannot be read"):
        train_bebr(request(files, compatible_with=files / "old.hdf5", old_dataset="old"))
    assert not (files / "out.safetensors").exists()
