"""Machines that disturb a measurement, simulated, and the rule of `annbench compare` over many comparisons.

A comparison is a sequence of pairs; the two workers of a pair run back to back, in random order, at times
2i and 2i + 1. Every worker has a jitter of its own; on top of it the machine has a state that changes with
time, which a pair shares more or less. All of it is made of arrays (comparisons, pairs, 2), so that thousands
of comparisons take a second.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annbench.compare.statistics import (
    MAX_PAIRS,
    MIN_SLOWDOWN,
    PILOT_PAIRS,
    holm,
    needed_pairs,
    slower_p,
    threshold_of,
    upper_sigma,
)

Floats = NDArray[np.float64]
State = Callable[[np.random.Generator, int, int], Floats]

PAIRS = PILOT_PAIRS + MAX_PAIRS
JITTER = 0.012  # of ln t of one worker's median pass


def steady(_rng: np.random.Generator, comparisons: int, steps: int) -> Floats:
    """Nothing but the workers' own jitter."""
    return np.zeros((comparisons, steps))


def drift(rng: np.random.Generator, comparisons: int, steps: int) -> Floats:
    """The speed wanders: a random walk that is 3 % away after ten pairs."""
    return np.cumsum(rng.normal(0, 0.03 / np.sqrt(20), (comparisons, steps)), axis=1)


def ramps(rng: np.random.Generator, comparisons: int, steps: int) -> Floats:
    """Heat: times rise by up to 20 % over 10 … 40 workers, fall back at once, and rise again."""
    period = rng.integers(10, 41, (comparisons, 1))
    phase = rng.integers(0, 40, (comparisons, 1))
    height = rng.uniform(0, 0.2, (comparisons, 1))
    return height * ((np.arange(steps) + phase) % period) / period


def bursts(rng: np.random.Generator, comparisons: int, steps: int) -> Floats:
    """A neighbour works for 5 … 20 workers at a time and costs 5 … 15 % meanwhile."""
    state = np.zeros((comparisons, steps))
    at = np.arange(steps)
    for _ in range(3):
        start = rng.integers(-10, steps, (comparisons, 1))
        length = rng.integers(5, 21, (comparisons, 1))
        cost = rng.uniform(0.05, 0.15, (comparisons, 1))
        state += np.where((at >= start) & (at < start + length), cost, 0.0)
    return state


def strays(rng: np.random.Generator, comparisons: int, steps: int) -> Floats:
    """One worker in 50 is 5 … 15 % slow for no reason that anyone saw."""
    return np.where(rng.random((comparisons, steps)) < 0.02, rng.uniform(0.05, 0.15, (comparisons, steps)), 0.0)


MODELS: dict[str, State] = {
    "lognormal": steady,
    "drift": drift,
    "ramps": ramps,
    "bursts": bursts,
    "outliers": strays,
}


def differences(
    model: str, comparisons: int, slowdown: float, rng: np.random.Generator, *, pairs: int = PAIRS, scale: float = 1.0
) -> Floats:
    """d = ln(t_new ÷ t_base), (comparisons, pairs), where the new side takes `slowdown` longer.

    `scale` multiplies all noise.
    """
    noise = MODELS[model](rng, comparisons, 2 * pairs) + rng.normal(0, JITTER, (comparisons, 2 * pairs))
    both = scale * noise.reshape(comparisons, pairs, 2)
    new_first = rng.random((comparisons, pairs)) < 0.5
    first_less_second = both[..., 0] - both[..., 1]
    return np.log1p(slowdown) + np.where(new_first, first_less_second, -first_less_second)


@dataclass(frozen=True)
class Outcome:
    """What became of many comparisons (n,): flagged as slower, as faster, or without an answer for noise."""

    slower: NDArray[np.bool_]
    faster: NDArray[np.bool_]
    too_noisy: NDArray[np.bool_]
    pairs: NDArray[np.int64]


def decide(d: Floats) -> Outcome:
    """The rule for one tested cell over every row of `d` (comparisons, pairs): statistics.judge, many at once."""
    families = decide_families(d[:, None, :])
    return Outcome(*(getattr(families, name)[:, 0] for name in ("slower", "faster", "too_noisy", "pairs")))


def decide_families(d: Floats) -> Outcome:
    """The rule over many comparisons of several cells each: `d` is (comparisons, cells, pairs)."""
    comparisons, cells, pairs = d.shape
    rows = d.reshape(-1, pairs)
    needed = needed_pairs(upper_sigma(rows[:, :PILOT_PAIRS]), cells)
    too_noisy = needed > MAX_PAIRS
    p_slower, p_faster, middle = np.ones(len(rows)), np.ones(len(rows)), np.zeros(len(rows))
    for n in np.unique(needed[~too_noisy]):
        alike = np.flatnonzero(needed == n)
        part = rows[alike, PILOT_PAIRS : PILOT_PAIRS + n]
        middle[alike] = np.median(part, axis=1)
        p_slower[alike], p_faster[alike] = slower_p(part), slower_p(-part)
    shape = (comparisons, cells)
    slower, faster = (
        np.stack([holm(family) for family in p.reshape(shape)]) <= threshold_of(cells) for p in (p_slower, p_faster)
    )
    size = middle.reshape(shape)
    return Outcome(
        slower & (np.expm1(size) >= MIN_SLOWDOWN),
        faster & (np.expm1(-size) >= MIN_SLOWDOWN),
        too_noisy.reshape(shape),
        needed.reshape(shape),
    )
