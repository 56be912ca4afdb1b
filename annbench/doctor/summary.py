"""Numbers made ready for the answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench.doctor.model import Curve, Spread

_BINS = 41
# A range narrower than that share of its values is drawn as one bar, not as its rounding.
_NARROW = 1e-3


def optional(value: Any) -> float | None:
    """The number, or None if there is none."""
    return None if value is None or not math.isfinite(value) else float(value)


def spread(values: Any) -> Spread | None:
    """Summary of the finite values; None without any."""
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return None
    low, p05, median, p95, high = np.percentile(known, [0, 5, 50, 95, 100])
    return Spread(
        mean=float(known.mean()),
        std=float(known.std()),
        minimum=float(low),
        p05=float(p05),
        median=float(median),
        p95=float(p95),
        maximum=float(high),
    )


def curve(samples: Mapping[str, NDArray[np.float64]]) -> Curve | None:
    """Histograms over common edges; the outermost 0.5 % of each sample may lie beyond, and are in no bin."""
    known = {name: values[np.isfinite(values)] for name, values in samples.items()}
    known = {name: values for name, values in known.items() if values.size}
    if not known:
        return None
    low = min(float(np.percentile(values, 0.5)) for values in known.values())
    high = max(float(np.percentile(values, 99.5)) for values in known.values())
    edges = _edges(low, high, whole=all((values == np.rint(values)).all() for values in known.values()))
    shares = {}
    for name, values in known.items():
        counts = np.histogram(values, bins=edges)[0]
        shares[name] = tuple(np.round(counts / len(values), 6).tolist())
    return Curve(edges=tuple(edges.tolist()), shares=shares)


def _edges(low: float, high: float, *, whole: bool) -> NDArray[np.float64]:
    if whole:  # counts: bins between numbers, so that each holds as many of them
        width = max(1, int(np.ceil((high - low + 1) / _BINS)))
        return np.asarray(np.arange(np.floor(low) - 0.5, np.ceil(high) + width, width, dtype=np.float64))
    size = max(abs(low), abs(high))
    if high - low <= _NARROW * size:
        pad = 0.05 * size or 1.0
        low, high = low - pad, high + pad
    return np.linspace(low, high, _BINS + 1)
