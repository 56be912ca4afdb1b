"""The bundled set: what was drawn like the base is called so, whatever the sample, and questions are not."""

from __future__ import annotations

import numpy as np
import pytest

from annbench.bundled import bundled
from annbench.datasets.dataset import Dataset
from annbench.doctor.examination import Examination
from annbench.doctor.examine import ExamineRequest
from annbench.doctor.model import Diagnosis
from annbench.metrics.difficulty import OUTSIDE, SHIFTED

PATH = bundled("datasets") / "wordnet-minilm-384-angular.hdf5"


def examined(seed: int, sample: int) -> Diagnosis:
    """The diagnosis of the bundled set."""
    request = ExamineRequest(path=PATH, name=PATH.stem, seed=seed, sample=sample, threads=2)
    with Dataset(PATH) as dataset:
        return Examination(dataset, request, lambda phase, done: None).run()


@pytest.mark.parametrize(("seed", "sample"), [(1, 500), (4, 80)])
def test_verdicts(seed: int, sample: int) -> None:
    found = examined(seed, sample)
    shifts = {shift.query_set: shift for shift in found.shifts}
    assert shifts["test"].verdict == "in distribution"
    assert shifts["ood"].verdict == "out of distribution"
    if sample == 500:
        base, test, ood = (seen.lid[-1].unbiased_harmonic or 0 for seen in found.neighborhoods)
        assert test == pytest.approx(base, rel=0.05)
        assert ood > 1.2 * base
        # The thresholds lie well between the two kinds of queries.
        for name, low, high in (("test", 0, 0.6 * SHIFTED), ("ood", 1.5 * OUTSIDE, 0.5)):
            one = shifts[name]
            values = (one.mahalanobis_exceedance, one.nearest_exceedance, one.kth_exceedance, one.separability)
            assert low <= max(abs(np.array(values, float) - 0.5)) <= high
    serious = {(one.severity, one.code, one.subject) for one in found.findings if one.severity in ("error", "warning")}
    assert serious == {("warning", "query_shift", "ood")}
