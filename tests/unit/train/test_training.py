"""What a network computes and learns by, and runs that are interrupted, resumed, and go wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="annbench[train] is not installed")

from annbench.errors import ModelFileError, TrainingError, UsageError  # noqa: E402
from annbench.indexes.transforms.binarizer import Binarizer, unit_rows  # noqa: E402
from annbench.train.held_out import HeldOut  # noqa: E402
from annbench.train.info_nce import Queue, info_nce, sharpness_of, similarity  # noqa: E402
from annbench.train.network import Network, Shape, sign  # noqa: E402
from annbench.train.pairs import Pairs, neighbours, queries_and_documents, two_views  # noqa: E402
from annbench.train.plan import Objective, TrainingPlan  # noqa: E402
from annbench.train.ranking import NOTHING, Ranking, nearest_others, ranking_loss  # noqa: E402
from annbench.train.seen import Seen  # noqa: E402
from annbench.train.start import best_start, itq_rotation, linear_start  # noqa: E402
from annbench.train.trainer import Trainer, following  # noqa: E402

DIM = 16


def clustered(n: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((40, DIM))
    return unit_rows((centres[random.integers(40, size=n)] + 0.4 * random.standard_normal((n, DIM))).astype(np.float32))


X, ASKED = clustered(1200, 1), clustered(100, 2)


def plan(**changed: object) -> TrainingPlan:
    given = {"bits": 32, "steps": 1, "hidden": 24, "batch": 64, "epochs": 2, "minutes": None, "evaluate_every": 10,
             "mine_every": 5,
             "queue_batches": 2, "hardest": 8, "neighbours": 5, **changed}  # fmt: skip
    return TrainingPlan.model_validate(given)


def trainer(chosen: TrainingPlan, pairs: Pairs | None = None) -> Trainer:
    pairs = pairs or neighbours(X, "cosine", chosen.neighbours, threads=1, seed=0)
    start = linear_start(X, chosen.dim, chosen.steps, seed=chosen.seed)
    return Trainer(chosen, pairs, HeldOut.of(ASKED, X, "cosine"), start)


def silent(_done: float) -> None:
    pass


def test_the_sign_passes_gradients_within_one() -> None:
    x = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5], requires_grad=True)
    signs = sign(x)
    assert signs.tolist() == [-1, -1, -1, 1, 1, 1, 1]
    (signs * torch.arange(1.0, 8.0)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 2, 3, 4, 5, 6, 0]


@pytest.mark.parametrize(("steps", "hidden", "blocks"), [(0, 0, 1), (1, 24, 1), (3, 24, 2)])
def test_folding_changes_nothing(steps: int, hidden: int, blocks: int) -> None:
    torch.manual_seed(1)
    network = Network(Shape(DIM, 20, steps, hidden, blocks))
    with torch.no_grad():
        for values in network.parameters():
            values += 0.1 * torch.randn_like(values)
        for _ in range(20):  # so that batch norms have seen something
            network(torch.from_numpy(X[:256]))
        codes = network.eval()(torch.from_numpy(X))[-1].numpy()
    folded = network.folded()
    levels = folded.levels(X) / np.float32(2**steps)
    assert (levels == codes).mean() > 0.9999  # sums in another order turn signs of next to nothing


def test_training_begins_at_itq_and_what_it_leaves() -> None:
    start = linear_start(X, 12, 1, seed=0)
    network = Network(Shape(DIM, 12, 1, 24, 1))
    network.begin_at(start)
    with torch.no_grad():
        codes = [made.numpy() for made in network.eval()(torch.from_numpy(X))]
    assert np.array_equal(codes[1], start.levels(X) / 2)
    mean = X.astype(np.float64).mean(axis=0)
    rotation = itq_rotation(X - mean, 12, np.random.default_rng(0))
    assert np.allclose(rotation @ rotation.T, np.eye(12), atol=1e-9)
    held_out = HeldOut.of(ASKED, X, "cosine")
    assert held_out.recall(start) > held_out.recall(start.prefix(0))


def test_training_begins_where_most_is_found() -> None:
    held_out = HeldOut.of(ASKED, X, "cosine")
    tried: list[Binarizer] = []

    def recall(start: Binarizer) -> float:
        tried.append(start)
        return held_out.recall(start)

    best = best_start(X, 48, (0, 1, 2), recall, seed=0)
    assert [(start.dim, start.steps) for start in tried[:3]] == [(48, 0), (24, 1), (16, 2)]
    assert len(tried) == 5, "and what finds most of them without half of the mean, and without all"
    assert {start.steps for start in tried[3:]} == {max(tried[:3], key=held_out.recall).steps}
    assert held_out.recall(best) == max(map(held_out.recall, tried))
    del tried[:]
    best_start(X - X.mean(axis=0), 48, (1,), recall, seed=0)
    assert len(tried) == 1, "there is no mean"


def test_a_mean_that_tells_what_is_near_is_kept() -> None:
    random = np.random.default_rng(3)
    common = random.exponential(1.0, (1300, 1))  # how much of what all share each of them has
    rows = unit_rows((common + random.standard_normal((1300, DIM))).astype(np.float32))
    held_out = HeldOut.of(rows[1200:], rows[:1200], "cosine")
    best = best_start(rows[:1200], 48, (1,), held_out.recall, seed=0)
    assert held_out.recall(best) > held_out.recall(linear_start(rows[:1200], 24, 1, seed=0)) + 0.02


def test_the_loss_by_hand() -> None:
    codes = torch.tensor([[1.0, 0.0]])
    others = torch.tensor([[3.0, 4.0], [0.0, 1.0], [2.0, 0.0], [-1.0, 0.0]])  # cosines 0.6, 0, 1, −1
    similar = torch.tensor([[0.9, 0.1, 0.5, -0.5]])
    barred = torch.zeros(1, 4, dtype=torch.bool)

    def expected(places: list[int]) -> float:
        scores, near = np.array([0.6, 0.0, 1.0, -1.0])[places] / 0.5, np.array([0.9, 0.1, 0.5, -0.5])[places] / 0.5
        labels = np.exp(near) / np.exp(near).sum()
        return float(-(labels * (scores - np.log(np.exp(scores).sum()))).sum())

    def found(hardest: int) -> float:
        return float(info_nce(codes, others, similar, barred, 0.5, hardest))

    assert found(4) == pytest.approx(expected([0, 1, 2, 3]), rel=1e-5)
    assert found(9) == found(4)
    assert found(1) == pytest.approx(expected([0, 2]), rel=1e-5)  # the nearest by vectors, and by codes
    barred[0, 2] = True
    assert found(2) == pytest.approx(expected([0, 1]), rel=1e-5)
    barred[:] = True
    assert found(2) == 0


def test_the_loss_is_least_where_codes_are_as_similar_as_vectors() -> None:
    vectors = torch.from_numpy(X[:200])
    barred = torch.eye(200, dtype=torch.bool)
    similar = vectors @ vectors.T
    exact = float(info_nce(vectors, vectors, similar, barred, 0.1, 200))
    generator = torch.Generator().manual_seed(1)
    for noise in (0.1, 0.5):
        moved = vectors + noise * torch.randn(vectors.shape, generator=generator)
        assert float(info_nce(moved, moved, similar, barred, 0.1, 200)) > exact


def test_similarity_is_the_cosine_but_for_a_constant() -> None:
    a, b = torch.from_numpy(X[:5]), torch.from_numpy(ASKED[:7])
    assert torch.allclose(similarity(a, b), a @ b.T - 1, atol=1e-6)
    assert torch.allclose(similarity(3 * a, b), -(torch.cdist(3 * a, b) ** 2) / 2, atol=1e-5)


def test_sharpness_undoes_how_much_less_alike_codes_are() -> None:
    vectors = torch.from_numpy(X)
    assert sharpness_of(vectors, vectors) == pytest.approx(0, abs=1e-5)
    signs = torch.randn(DIM, 512, generator=torch.Generator().manual_seed(3))
    found = sharpness_of(torch.sign(vectors @ signs), vectors)
    # Near 0 a cosine c becomes 2/π·arcsin(c), and more than that further up.
    assert -0.1 < found < math.log(math.pi / 2)
    assert sharpness_of(-vectors, vectors) == pytest.approx(0, abs=1e-5)
    assert sharpness_of(torch.ones(9, 2), torch.ones(9, 2)) == 0
    codes, similar = torch.sign(vectors[:50] @ signs), similarity(vectors[:50], vectors[:50])
    barred = torch.eye(50, dtype=torch.bool)
    losses = [float(info_nce(codes, codes, similar, barred, 0.1, 50, sharp)) for sharp in (0.0, found, 3.0)]
    assert losses[1] < min(losses[0], losses[2]) + 1e-3


def test_what_a_binarizer_sees_of_vectors_with_lengths() -> None:
    vectors = 7 * clustered(700, 5) + np.arange(DIM, dtype=np.float32)
    seen = Seen.of(vectors, "euclidean")
    assert np.allclose(seen(vectors).mean(axis=0), 0, atol=1e-5)
    assert np.isclose(np.square(seen(vectors)).sum(axis=1).mean(), 1, atol=1e-4)
    made = linear_start(seen(vectors), DIM, 1, seed=0)
    assert np.array_equal(seen.by(made).levels(vectors), made.levels(seen(vectors)))
    assert seen.by(made).metric == "euclidean"
    assert Seen.of(vectors, "cosine").by(made).metric == "cosine"


def test_the_queue_keeps_the_last() -> None:
    queue = Queue(5, 1, 1, 0)
    for first in range(0, 8, 2):
        values = torch.tensor([[float(first)], [first + 1.0]])
        queue.push([values], 10 * values, torch.tensor([first, first + 1]))
    assert sorted(queue.ids.tolist()) == [3, 4, 5, 6, 7]
    assert torch.equal(queue.codes[0, :, 0], queue.ids.float())
    assert torch.equal(queue.vectors[:, 0], 10 * queue.ids.float())
    Queue(0, 1, 1, 0).push([torch.ones(2, 1)], torch.ones(2, 1), torch.tensor([0, 1]))


def test_pairs() -> None:
    pairs = neighbours(X, "cosine", 5, threads=1, seed=0)
    assert (pairs.near != np.arange(len(X))[:, None]).all()
    exact = np.argsort(-(X @ X.T), axis=1)[:, 1:6]
    assert np.mean([len(set(a) & set(b)) for a, b in zip(pairs.near, exact, strict=True)]) > 4.5
    asked = queries_and_documents(clustered(300, 3), X, "cosine", 5, threads=1, seed=0)
    assert len(asked) == 300
    assert (asked.own == -1).all()
    views = two_views(X, X[::-1].copy())
    assert views.near.tolist() == [[i] for i in range(len(X))]
    with pytest.raises(UsageError, match="are no pairs"):
        two_views(X, X[:5])
    with pytest.raises(UsageError, match="too few"):
        two_views(X[:50], X[:50])


def test_the_ranking_loss_by_hand() -> None:
    scores = torch.tensor([[0.9, 0.5, 0.7, 0.1, 0.0], [0.2, 0.2, 0.4, 0.4, 0.4]])
    counted = torch.tensor([[True, True, False], [False, False, True]])

    def one(negative: float, positive: float) -> float:
        return math.log1p(math.exp((negative - positive) / 0.5))

    pairs = [one(n, p) for n in (0.7, 0.1) for p in (0.9, 0.5)] + [one(0.4, 0.2)] * 2
    assert float(ranking_loss(scores, 2, 0.5, counted)) == pytest.approx(np.mean(pairs), rel=1e-5)
    assert float(ranking_loss(scores, 2, 0.5, torch.zeros_like(counted))) == 0


def test_negatives_are_the_nearest_that_do_not_belong() -> None:
    gallery, ids = torch.from_numpy(X[100:400]), torch.arange(100, 400)
    belong = torch.tensor([[100 + i, 7] for i in range(30)])
    found = nearest_others(gallery[:30], gallery, ids, belong, 5)
    for i in range(30):
        order = [100 + int(j) for j in np.argsort(-(X[100:400] @ X[100 + i]), kind="stable")]
        assert found[i].tolist() == [j for j in order if j not in belong[i].tolist()][:5]
    few = nearest_others(gallery[:2], gallery[:3], ids[:3], belong[:2], 5)
    assert [sorted(row) for row in few.tolist()] == [[NOTHING, 101, 102], [NOTHING, 100, 102]]


def test_neighbours_that_do_not_belong_are_negatives() -> None:
    chosen = plan(neighbours=2, negatives=20)
    run = trainer(chosen, neighbours(X, "cosine", 9, threads=1, seed=0))
    run.objective.loss(run.network, run.follower, 0)
    rows = run.batches.anchors(0, chosen.batch)
    assert isinstance(run.objective, Ranking)
    negatives = run.objective.negatives[0][: len(rows)].numpy()
    near = run.pairs.near[rows]
    taken = [[np.isin(row, found).mean() for row, found in zip(near[:, some], negatives, strict=True)]
             for some in (slice(0, 2), slice(2, 9))]  # fmt: skip
    assert np.max(taken[0]) == 0
    assert np.mean(taken[1]) > 0.5
    assert not (negatives == rows[:, None]).any()


@pytest.mark.parametrize("objective", ["ranking", "info_nce"])
@pytest.mark.parametrize("steps", [0, 1])
def test_training_finds_more(steps: int, objective: Objective) -> None:
    chosen = plan(bits=32, steps=steps, epochs=8, objective=objective, learning_rate=1e-3)
    run = trainer(chosen)
    trained = run.run(None, silent)
    first, best = run.state.recalls[0][2], run.state.best
    assert best > first
    assert run.held_out.recall(trained) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("objective", ["ranking", "info_nce"])
def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path: Path, objective: Objective) -> None:
    pairs = neighbours(X, "cosine", 5, threads=1, seed=0)
    chosen = plan(objective=objective)
    whole = trainer(chosen, pairs)
    expected = whole.run(None, silent).packed()

    class StoppedError(Exception):
        pass

    def stop(done: float) -> None:
        if done > 0.7:
            raise StoppedError

    path = tmp_path / "run.checkpoint"
    with pytest.raises(StoppedError):
        trainer(chosen, pairs).run(path, stop)
    resumed = trainer(chosen, pairs)
    found = resumed.run(path, silent).packed()
    assert [(b, r) for b, _, r in resumed.state.recalls] == [(b, r) for b, _, r in whole.state.recalls]
    for mine, other in zip(found, expected, strict=True):
        assert np.array_equal(mine, other)
    with pytest.raises(ModelFileError, match="seed was different"):
        trainer(plan(objective=objective, seed=1), pairs).run(path, silent)
    with pytest.raises(ModelFileError, match="the data was different"):
        trainer(chosen, neighbours(X[:1000], "cosine", 5, threads=1, seed=0)).run(path, silent)


def test_a_loss_that_is_no_number_ends_the_run_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.checkpoint"
    run = trainer(plan())
    step = run._step

    def broken() -> float:
        return float("nan") if run.state.batches == 15 else step()

    monkeypatch.setattr(run, "_step", broken)
    with pytest.raises(TrainingError, match="loss is nan after 16 batches; give a smaller learning rate"):
        run.run(path, silent)
    resumed = trainer(plan())
    resumed.run(path, silent)
    assert resumed.state.batches == resumed.most_batches


def test_the_follower_averages_all_and_later_what_momentum_says() -> None:
    values = np.random.default_rng(4).standard_normal(100)
    average = values[0]
    for number, value in enumerate(values[1:]):
        average += following(0.998, number) * (value - average)
    assert average == pytest.approx(np.average(values, weights=np.arange(1, 101)))
    assert following(0.998, 100_000) == pytest.approx(0.002)


def test_a_run_ends_when_recall_does_not_rise() -> None:
    run = trainer(plan(epochs=1000, evaluate_every=1, mine_every=1, patience=2, learning_rate=1e-12))
    run.run(None, silent)
    assert run.state.batches == 2


def test_plans_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="bits 33 cannot be shared by dimensions of 2 bits; set a multiple of it"):
        plan(bits=33)
    with pytest.raises(ValueError, match="evaluate_every 10 is no multiple of mine_every 4"):
        plan(mine_every=4)


def test_objectives_have_rates_of_their_own() -> None:
    assert TrainingPlan.model_validate({}).learning_rate == 1e-4
    assert TrainingPlan.model_validate({"objective": "info_nce"}).batch == 512
    assert TrainingPlan.model_validate({"objective": "info_nce", "batch": 8}).batch == 8


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=r"torch sees \d+ CUDA devices"):
        trainer(plan(device="cuda:99"))


@pytest.mark.parametrize("device", ["foo", "cuda:", "cuda:128", "cpu:0", ""])
def test_what_is_no_device_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match=f"got '{device}'; give cpu, cuda or cuda:N"):
        plan(device=device)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_run_on_a_cuda_device_ends_where_one_on_the_processor_does() -> None:
    found = [trainer(plan(device=device)) for device in ("cuda", "cpu")]
    for run in found:
        run.run(None, silent)
    assert found[0].state.best == pytest.approx(found[1].state.best, abs=0.02)
