"""Figures as text: the same digits in Markdown, HTML and terminal."""

from __future__ import annotations

import math

import pandas as pd

MISSING = "–"


def is_missing(value: float | None) -> bool:
    """Whether there is no figure: None, NaN or pandas' NA."""
    return value is None or bool(pd.isna(value))


def significant(value: float | None, digits: int = 3) -> str:
    """`value` to `digits` significant digits, without exponent: 12,300 · 4.57 · 0.0312."""
    if value is None or is_missing(value):
        return MISSING
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    # Rounded first, so that 0.0999 to two digits is 0.10 and not 0.100.
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:,.{max(decimals, 0)}f}"


def recall_text(recall: float | None) -> str:
    """Four decimals, cut and not rounded: a report never shows more recall than was measured."""
    if recall is None or is_missing(recall):
        return MISSING
    return f"{math.floor(recall * 1e4 + 1e-6) / 1e4:.4f}"


def interval_text(low: float | None, high: float | None) -> str:
    """`[0.9512, 0.9604]`, widened outwards to four decimals; empty if there is none."""
    if low is None or high is None or is_missing(low) or is_missing(high):
        return ""
    return f"[{recall_text(low)}, {math.ceil(high * 1e4 - 1e-6) / 1e4:.4f}]"


def ratio_text(ratio: float | None) -> str:
    """Size relative to the float32 base: `0.27×`."""
    return MISSING if ratio is None or is_missing(ratio) else f"{significant(ratio, 2)}×"


def bytes_text(bytes_per_vector: float | None, ratio: float | None) -> str:
    """Bytes per vector with their ratio to float32: `412 (0.27×)`."""
    if bytes_per_vector is None or is_missing(bytes_per_vector):
        return MISSING
    return f"{significant(bytes_per_vector)} ({ratio_text(ratio)})"


def build_text(seconds: float | None, threads: int) -> str:
    """Build seconds, always with the threads that took them: `12.3 (2 thr)`."""
    return MISSING if seconds is None or is_missing(seconds) else f"{significant(seconds)} ({threads} thr)"


def thousands(value: float | None) -> str:
    """Short enough for a terminal: `12.3k`, `4.57M`."""
    if value is None or is_missing(value):
        return MISSING
    for limit, suffix in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{significant(value / (1e3 if suffix == 'k' else limit))}{suffix}"
    return significant(value)


def tick_text(value: float) -> str:
    """An axis label without digits that say nothing: `50k`, `0.05`."""
    for limit, suffix in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if suffix == 'k' else limit):g}{suffix}"
    return f"{value:,g}"
