"""When a difference in time may be believed: how many pairs it takes, and the test that judges them.

One observation is d = ln(t_new ÷ t_base) of two fresh workers that ran back to back. The first `PILOT_PAIRS`
of them say how noisy the machine is, and thereby how many further pairs are needed; exactly so many are then
tested, once. The pilot's are not used again, and pairs beyond the number are not looked at: whoever measures
more because the answer did not please gets the same answer.

With m cells tested at once: α = min(0.005, 0.01 ÷ m), and n = ⌈1.25·((z₁₋α + 1.645)·σᵤ ÷ 0.0488)²⌉ pairs,
σᵤ the 80 % upper limit of the standard deviation of d in the pilot, find a slowdown of 5 % (ln 1.05 =
0.0488) in 95 % of cases (1.645 = z₀.₉₅); 1.25 pays for ranks and for the noise not being normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, exp, inf, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

PILOT_PAIRS = 10
MIN_PAIRS = 18
MAX_PAIRS = 60
MAX_ALPHA = 0.005
FAMILY_ALPHA = 0.01  # over all cells of a comparison together
DETECTED_LOG_RATIO = 0.0488  # ln 1.05
POWER_Z = 1.645
RANK_FACTOR = 1.25
MIN_SLOWDOWN = 0.015
PILOT_CONFIDENCE = 0.8
INTERVAL_CONFIDENCE = 0.95
OUTLIER_FENCE = 3.0  # interquartile ranges beyond the quartiles


def alpha_of(cells: int) -> float:
    """The level that the number of pairs is computed for, with `cells` >= 1 tested at once."""
    return min(MAX_ALPHA, FAMILY_ALPHA / cells)


def threshold_of(cells: int) -> float:
    """What a Holm-adjusted p may be at most for a flag, with `cells` >= 1 tested at once."""
    return min(FAMILY_ALPHA, MAX_ALPHA * cells)


def upper_sigma(pilot: ArrayLike) -> Any:
    """The 80 % upper confidence limit of the standard deviation along the last axis of `pilot` (..., p >= 2).

    s·√((p − 1) ÷ χ²₀.₂(p − 1)); numbers of one axis less.
    """
    from scipy import special  # only what is tested has to wait for it

    d = np.asarray(pilot, dtype=np.float64)
    freedom = d.shape[-1] - 1
    # chdtri(v, q) is the value that a chi-square of v degrees exceeds with probability q.
    return d.std(axis=-1, ddof=1) * sqrt(freedom / float(special.chdtri(freedom, PILOT_CONFIDENCE)))


def needed_pairs(sigma: ArrayLike, cells: int) -> NDArray[np.int64]:
    """Pairs that find a 5 % slowdown, at least 18; more than 60 means that this machine is too noisy.

    `sigma` is σᵤ, of any shape; so is the result.
    """
    z = NormalDist().inv_cdf(1 - alpha_of(cells))
    raw = RANK_FACTOR * ((z + POWER_Z) * np.asarray(sigma, dtype=np.float64) / DETECTED_LOG_RATIO) ** 2
    # Rounded up, but not for the last bit of a float; anything far above 60 is as good as any other.
    return np.clip(np.ceil(raw - 1e-9), MIN_PAIRS, 10**6).astype(np.int64)


def detectable_slowdown(sigma: float, pairs: int, cells: int) -> float:
    """The slowdown (0.05 for 5 %) that `pairs` pairs find in 95 % of cases where d has deviation `sigma`."""
    if pairs < 1:
        return inf
    z = NormalDist().inv_cdf(1 - alpha_of(cells))
    return exp(min((z + POWER_Z) * sigma * sqrt(RANK_FACTOR / pairs), 700.0)) - 1


def slower_p(differences: ArrayLike) -> Any:
    """One-sided p of the Wilcoxon signed-rank test that d is shifted above zero, along the last axis.

    Exact where no two |d| are equal and none is zero, as times are; otherwise the normal approximation with
    Pratt's treatment of zeros. All zeros: 1.
    """
    from scipy import stats

    d = np.asarray(differences, dtype=np.float64)
    rows = d.reshape(-1, d.shape[-1])
    sizes = np.sort(np.abs(rows), axis=1)
    plain = (sizes[:, 0] > 0) & (np.diff(sizes, axis=1) > 0).all(axis=1)
    p = np.ones(len(rows))
    if plain.any():
        p[plain] = stats.wilcoxon(rows[plain], alternative="greater", method="exact", axis=1).pvalue
    for i in np.flatnonzero(~plain & (sizes[:, -1] > 0)):
        done = stats.wilcoxon(rows[i], alternative="greater", method="asymptotic", zero_method="pratt", correction=True)
        p[i] = done.pvalue
    return p.reshape(d.shape[:-1])[()]


def holm(p: ArrayLike) -> Floats:
    """Holm's adjusted p-values (m,) of `p` (m,): the k-th smallest times m − k + 1, never falling, at most 1.

    Holm, A simple sequentially rejective multiple test procedure, 1979. It needs no independence.
    """
    raw = np.asarray(p, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    stepped = np.maximum.accumulate(raw[order] * (raw.size - np.arange(raw.size)))
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def median_interval(values: ArrayLike, confidence: float = INTERVAL_CONFIDENCE) -> tuple[float, float]:
    """An interval for the median of `values` (n >= 1,) that assumes no distribution: two of the sorted values.

    Below six values their extremes, which then cover less than `confidence`.
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    # The largest r with P(Binomial(n, ½) < r) <= (1 − confidence) ÷ 2.
    below = np.cumsum([comb(x.size, i) / 2**x.size for i in range(x.size)])
    rank = int(np.searchsorted(below, (1 - confidence) / 2, side="right"))
    rank = max(rank, 1)
    return float(x[rank - 1]), float(x[x.size - rank])


def outliers(values: ArrayLike) -> NDArray[np.bool_]:
    """Which of `values` (n,) lie three interquartile ranges beyond the quartiles: marked, never dropped."""
    x = np.asarray(values, dtype=np.float64)
    if x.size < 4:
        return np.zeros(x.shape, dtype=bool)
    low, high = np.percentile(x, [25, 75])
    reach = OUTLIER_FENCE * (high - low)
    return np.asarray((x < low - reach) | (x > high + reach))


def exact_binomial_limit(flagged: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval for a rate of which `flagged` in `trials` were seen.

    With none flagged the whole error goes to the upper limit: 0 of 299 is at most 1.0 %.
    """
    from scipy import special

    tail = 1 - confidence if flagged in (0, trials) else (1 - confidence) / 2
    low = 0.0 if flagged == 0 else float(special.betaincinv(flagged, trials - flagged + 1, tail))
    high = 1.0 if flagged == trials else float(special.betaincinv(flagged + 1, trials - flagged, 1 - tail))
    return low, high


@dataclass(frozen=True)
class Noise:
    """What the pilot of one cell said.

    `pairs_needed` counts tested pairs, without the pilot's.
    """

    sigma: float  # standard deviation of d in the pilot
    pairs_needed: int

    @property
    def too_noisy(self) -> bool:
        """Whether no number of pairs that is allowed would find a slowdown of 5 %."""
        return self.pairs_needed > MAX_PAIRS


@dataclass(frozen=True)
class Judged:
    """One cell after its test. `slowdown` is exp(median d) − 1: 0.05 where the new side takes 5 % longer."""

    pairs: int
    slowdown: float
    low: float
    high: float
    p_slower: float  # Holm-adjusted
    p_faster: float
    slower: bool
    faster: bool
    outliers: int


def noise_of(differences: Sequence[float], cells: int) -> Noise | None:
    """What the first pairs of `differences` (in the order they were taken) say; None if there are too few."""
    if len(differences) < PILOT_PAIRS:
        return None
    pilot = np.asarray(differences[:PILOT_PAIRS])
    return Noise(float(pilot.std(ddof=1)), int(needed_pairs(upper_sigma(pilot), cells)))


def part_to_test(differences: Sequence[float], noise: Noise) -> Floats | None:
    """The pairs that are tested: exactly as many as needed, after the pilot's; None while there are fewer."""
    part = np.asarray(differences[PILOT_PAIRS : PILOT_PAIRS + noise.pairs_needed])
    return None if noise.too_noisy or part.size < noise.pairs_needed else part


def judge(parts: Sequence[Floats], cells: int) -> list[Judged]:
    """Test the cells whose pairs are complete (each (n,)), out of `cells` that were to be tested.

    Cells without an answer count with p = 1, so that leaving some out makes no other one easier to flag.
    """
    missing = [1.0] * (cells - len(parts))
    slower = holm([*_p_of(parts), *missing])
    faster = holm([*_p_of([-d for d in parts]), *missing])
    limit = threshold_of(max(cells, 1))
    judged = []
    for d, p_slower, p_faster in zip(parts, slower[: len(parts)], faster[: len(parts)], strict=True):
        slowdown = exp(float(np.median(d))) - 1
        low, high = (exp(end) - 1 for end in median_interval(d))
        judged.append(
            Judged(
                pairs=d.size,
                slowdown=slowdown,
                low=low,
                high=high,
                p_slower=float(p_slower),
                p_faster=float(p_faster),
                slower=bool(p_slower <= limit and slowdown >= MIN_SLOWDOWN),
                # As far from 1 the other way round: base ÷ new.
                faster=bool(p_faster <= limit and 1 / (1 + slowdown) - 1 >= MIN_SLOWDOWN),
                outliers=int(outliers(d).sum()),
            )
        )
    return judged


def _p_of(parts: Sequence[Floats]) -> list[float]:
    """`slower_p` of each part; those of one length are tested in one call."""
    p = [1.0] * len(parts)
    for size in {d.size for d in parts}:
        alike = [i for i, d in enumerate(parts) if d.size == size]
        for i, value in zip(alike, slower_p(np.stack([parts[i] for i in alike])), strict=True):
            p[i] = float(value)
    return p
