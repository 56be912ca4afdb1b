"""What the rule of `annbench compare` finds and what it wrongly flags, simulated: a table for docs/benchmarks.md.

    python benchmarks/compare_power.py

Nothing is measured: the figures are the same on every machine.
"""

from __future__ import annotations

import numpy as np
from compare_noise import MODELS, decide, differences

from annbench.compare.statistics import exact_binomial_limit

SEED = 299
COMPARISONS = 299
MANY = 20_000
SLOWDOWNS = (0.005, 0.02, 0.05, 0.10)
SCALES = (1.0, 2.0)


def main() -> None:
    """Print one table a noise level."""
    for scale in SCALES:
        print(f"\nNoise × {scale:g}\n")
        print(
            f"| noise | σ of d | A/A flags in {COMPARISONS} (95 % limit) | A/A flags in {MANY:,} | "
            + " | ".join(f"{slowdown:.1%} slower: found" for slowdown in SLOWDOWNS)
            + " | too noisy to say |"
        )
        print("|---" * (5 + len(SLOWDOWNS)) + "|")
        for model in MODELS:
            print(row(model, scale))


def row(model: str, scale: float) -> str:
    """One noise model: A/A and the power curve."""
    few = decide(differences(model, COMPARISONS, 0.0, np.random.default_rng(SEED), scale=scale))
    rng = np.random.default_rng(SEED + 1)
    d = differences(model, MANY, 0.0, rng, scale=scale)
    many = decide(d)
    curve = [decide(differences(model, MANY, s, rng, scale=scale)) for s in SLOWDOWNS]
    flags, rate = int(few.slower.sum()), int(many.slower.sum())
    cells = [
        model,
        f"{np.median(d.std(axis=1, ddof=1)):.3f}",
        f"{flags} (≤ {exact_binomial_limit(flags, COMPARISONS)[1]:.1%})",
        f"{rate} ({rate / MANY:.2%})",
        *(f"{outcome.slower.mean():.1%}" for outcome in curve),
        f"{many.too_noisy.mean():.1%}",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
