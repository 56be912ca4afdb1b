"""ANNBENCH_ISA misspelt, or of another processor: an error that lists what there is, and never SIGILL."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from annbench.isa import available_isas

KNOWN = ("scalar", "avx2", "avx512", "neon")
NOT_HERE = [name for name in KNOWN if name not in available_isas()]

# Everything that uses a kernel, on inputs long enough for every step of a vector version.
EVERY_KERNEL = """\
import numpy as np
from annbench import _native
from annbench.isa import isa
rng = np.random.default_rng(1)
base, query = rng.standard_normal((70, 67), np.float32), rng.standard_normal(67, np.float32)
rows = np.arange(70, dtype=np.uint32)
print(isa(), _native.threshold_select(base[:, 0].copy(), 0.0)[0].sum(), *(
    _native.exact_distance(query, base, rows, form).sum() for form in ("dot", "squared_l2")))
"""


def with_isa(name: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "ANNBENCH_ISA": name},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.fault(33)
@pytest.mark.parametrize("name", ["avx3", "AVX2", " avx2", "scalar,avx2", "sse9\n", "9" * 10_000, "größer", *NOT_HERE])
def test_what_is_not_available_is_refused_with_what_is(name: str) -> None:
    done = with_isa(name, "-m", "annbench.cli.main", "env")
    assert done.returncode == 2, done.stderr[-2000:]
    assert "ANNBENCH_ISA" in done.stderr
    for there in available_isas():
        assert there in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.fault(33)
@pytest.mark.parametrize("name", NOT_HERE)
def test_a_kernel_of_another_processor_is_never_run(name: str) -> None:
    """The first use raises; nothing dies of SIGILL."""
    done = with_isa(name, "-c", EVERY_KERNEL)
    assert done.returncode == 1
    assert "lacks the instruction set" in done.stderr


@pytest.mark.fault(33)
def test_every_available_one_gives_the_same_bits() -> None:
    answers = [with_isa(name, "-c", EVERY_KERNEL) for name in available_isas()]
    assert [done.stdout.split()[0] for done in answers] == available_isas()
    assert len({tuple(done.stdout.split()[1:]) for done in answers}) == 1


@pytest.mark.fault(33)
def test_an_empty_choice_is_none() -> None:
    assert with_isa("", "-c", "from annbench.isa import isa; print(isa())").stdout.strip() == available_isas()[-1]
