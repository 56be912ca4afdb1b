"""The data that the HTML page filters and plots, as small JSON: columns, and every text once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from annbench.compare.frontier import RECALL_TARGETS, RECALL_TOLERANCE
from annbench.report.answer import WISHES
from annbench.report.content import Content
from annbench.report.palette import Style
from annbench.report.pareto import AXES
from annbench.report.point import Point
from annbench.report.scale import RecallScale
from annbench.report.setting import Setting

# What the memory filter offers: at most this ratio of index bytes to the float32 base.
BUDGETS: tuple[tuple[float | None, str], ...] = (
    (None, "any size"),
    (1.0, "≤ float32"),
    (0.5, "≤ ½ float32"),
    (0.25, "≤ ¼ float32"),
    (0.125, "≤ ⅛ float32"),
    (0.0625, "≤ 1⁄16 float32"),
)
_NARROW_SPACING = 0.13


class _Texts:
    """Texts in order of first use, each stored once."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}

    def place(self, text: str) -> int:
        return self.places.setdefault(text, len(self.places))


def page_data(content: Content) -> dict[str, Any]:
    """JSON types only. A number in a column named in `text_columns` is a place in `texts`."""
    texts = _Texts()
    points: dict[str, list[Any]] = {}
    for number, setting in enumerate(content.settings):
        for row in setting.points.to_dict("records"):
            for name, value in _columns(number, row, texts).items():
                points.setdefault(name, []).append(value)
    return {
        "settings": [_setting(setting) for setting in content.settings],
        "algorithms": [_algorithm(name, style) for name, style in sorted(content.styles.items())],
        "axes": [{"name": a.name, "better": a.better, "title": a.title, "direction": a.direction} for a in AXES],
        "wishes": [{"text": w.text, "bySize": w.by_size, "budget": w.budget} for w in WISHES],
        "targets": list(RECALL_TARGETS),
        "tolerance": RECALL_TOLERANCE,
        "points": points,
        "textColumns": ["algorithm", "configuration", "verdict", "reasons", "libraries", "isa"],
        "texts": list(texts.places),
    }


def _columns(setting: int, row: Mapping[Any, Any], texts: _Texts) -> dict[str, Any]:
    point = Point.of(row)
    cells = point.cells()
    return {
        "setting": setting,
        "algorithm": texts.place(point.algorithm),
        "configuration": texts.place(point.configuration),
        "recall": point.recall,
        "qps": _short(point.qps),
        "p99": _short(point.latency_p99_us),
        "bytes": _short(point.bytes_per_vector),
        "ratio": point.float32_ratio,
        "build": _short(point.build_seconds),
        "workers": point.workers,
        "verdict": texts.place(point.verdict),
        "reasons": texts.place(point.verdict_reasons),
        "libraries": texts.place(point.libraries),
        "isa": texts.place(point.isa),
        "cells": [cells[name] for name in ("recall", "interval", "qps", "p99", "bytes", "build")],
        # Configs share nearly all their lines.
        "yaml": [texts.place(line) for line in point.config_yaml.rstrip().split("\n")],
    }


def _setting(setting: Setting) -> dict[str, Any]:
    recall = setting.points["recall_at_k"] if len(setting.points) else pd.Series([0.5, 0.99])
    scale, narrow = RecallScale.of(recall), RecallScale.of(recall, spacing=_NARROW_SPACING)
    return {
        "title": setting.title,
        "dataset": setting.dataset,
        "mode": setting.mode,
        "floor": scale.floor,
        "range": [scale.low, scale.high],
        "ticks": [_ticks(scale), _ticks(narrow)],
    }


def _ticks(scale: RecallScale) -> dict[str, Any]:
    return {"tickvals": np.round(scale.place(scale.ticks), 6).tolist(), "ticktext": list(scale.labels)}


def _algorithm(name: str, style: Style) -> dict[str, Any]:
    colours = {"light": style.colour, "dark": style.dark_colour}
    return {"name": name, "colours": colours, "symbol": style.symbol, "dash": style.dash_css}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.7g}")
