"""Estimates: from a cost at first, from this machine's own results afterwards."""

from __future__ import annotations

import pytest
from synthetic_records import make_record

from annbench.algorithms.base import Cost
from annbench.runner import estimate
from annbench.runner.estimate import Estimator
from annbench.runner.plan import PlannedBuild, PlannedPoint


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch):
    record = make_record()
    monkeypatch.setattr(estimate, "machine_id", lambda: record.key.machine_id)
    cost = Cost(index_bytes=1e6, build_operations=4e9, search_operations=2e4)
    point = PlannedPoint(record.key, cost)
    build = PlannedBuild(
        digest="d", dataset=record.dataset, dataset_ref="x", algorithm=record.key.algorithm, spec="x", base_dir=None,
        python=None, params={}, build_threads=record.key.build_threads, can_save=True, unsupported=None,
        known_limits=(), points=(point,),
    )  # fmt: skip
    return record, point, build


def test_without_results_a_cost_becomes_seconds(planned) -> None:
    _, point, build = planned
    estimator = Estimator()
    passes = point.key.queries * (point.key.passes + point.key.warmup)
    assert estimator.point_seconds(point) == pytest.approx((5e-6 + 1e-5) * passes)
    assert estimator.build_seconds(build) == pytest.approx(1.5 + 2.0 / build.build_threads)
    assert estimator.memory_bytes(build) == build.dataset.raw_bytes + 2_000_000


def test_results_of_this_machine_teach_it(planned) -> None:
    record, point, build = planned
    taught = Estimator.taught_by([record], [point])
    passes = point.key.queries * (point.key.passes + point.key.warmup)
    assert taught.point_seconds(point) == pytest.approx(passes / record.time.qps_median)
    assert taught.build_seconds(build) == pytest.approx(1.5 + record.build.build_seconds)


def test_results_of_another_machine_do_not(planned, monkeypatch: pytest.MonkeyPatch) -> None:
    record, point, _ = planned
    monkeypatch.setattr(estimate, "machine_id", lambda: "another")
    assert Estimator.taught_by([record], [point]) == Estimator()


def test_what_has_no_cost_is_a_stated_guess(planned) -> None:
    record, _, _ = planned
    assert Estimator().point_seconds(PlannedPoint(record.key, None)) == estimate.UNKNOWN_SECONDS
