"""The report as one HTML page that needs nothing else: no network, no fonts, no files beside it.

Names in results come from strangers' configs. Jinja escapes them in the markup, `script_json` in the data,
and the page's script only ever sets text, never markup. A content security policy forbids the page to load
anything at all.
"""

from __future__ import annotations

import base64
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from annbench.report import formatting as fmt
from annbench.report.content import Content
from annbench.report.equal_recall import equal_recall
from annbench.report.markdown import (
    CLAIM_NOTES,
    EQUAL_RECALL_NOTES,
    NOTES,
    OVERHEAD_NOTES,
    QUERY_SET_NOTES,
    miss_text,
    share_text,
)
from annbench.report.page_data import BUDGETS, page_data
from annbench.report.palette import Style
from annbench.report.streaming import HEAD, STREAM_NOTES, StreamSetting

MOST_STEPS = 200  # of a runbook, in a table of the page
_PAGE = Path(__file__).parent / "page"
_SCRIPTS = ("choose.js", "tables.js", "plots.js", "main.js")


def html_report(content: Content) -> str:
    """The whole page, as text in UTF-8."""
    environment = Environment(
        loader=FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(fmt=fmt, swatch=swatch, miss_text=miss_text, share_text=share_text)
    scripts = "\n".join((_PAGE / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    tables = [
        {ratio: equal_recall(s.points, budget=ratio) for ratio, _ in BUDGETS} if len(s.points) else {}
        for s in content.settings
    ]
    return environment.get_template("report.html.j2").render(
        content=content,
        budgets=BUDGETS,
        equal_recall_tables=tables,
        notes=NOTES,
        claim_notes=CLAIM_NOTES,
        equal_recall_notes=EQUAL_RECALL_NOTES,
        overhead_notes=OVERHEAD_NOTES,
        query_set_notes=QUERY_SET_NOTES,
        stream_notes=STREAM_NOTES,
        stream_head=HEAD,
        stream_pictures=[_picture(stream) for stream in content.streams],
        most_steps=MOST_STEPS,
        datasets=list(dict.fromkeys(s.dataset for s in content.settings)),
        modes=list(dict.fromkeys(s.mode for s in content.settings)),
        style=Markup((_PAGE / "style.css").read_text(encoding="utf-8")),
        script=Markup(f"(() => {{\n'use strict';\n{scripts}\n}})();"),
        plotly=Markup(_plotly_js()),
        data=Markup(script_json(page_data(content))),
    )


def _picture(stream: StreamSetting) -> str:
    """The figure of a runbook as the address of an image; empty if nothing was measured."""
    if not stream.measured:
        return ""
    from annbench.report.streaming_plot import stream_png

    return "data:image/png;base64," + base64.b64encode(stream_png(stream)).decode()


def script_json(value: Any) -> str:
    """`value` as JSON that no HTML parser can leave: `<`, `>`, `&` and line separators are escapes."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda match: f"\\u{ord(match.group()):04x}", text)


_MARKER_PATHS = {
    "circle": "M14,4a4,4 0 1,0 .01,0z",
    "square": "M10.5,4.5h7v7h-7z",
    "triangle-up": "M14,3.5l4.5,8h-9z",
    "diamond": "M14,3l5,5l-5,5l-5,-5z",
    "triangle-down": "M14,12.5l4.5,-8h-9z",
    "cross": "M12.5,3.5h3v3h3v3h-3v3h-3v-3h-3v-3h3z",
    "pentagon": "M14,3.5l4.6,3.4l-1.8,5.4h-5.6l-1.8,-5.4z",
    "x": "M11,3l3,3l3,-3l2,2l-3,3l3,3l-2,2l-3,-3l-3,3l-2,-2l3,-3l-3,-3z",
    "hexagon": "M14,3.3l4.1,2.35v4.7l-4.1,2.35l-4.1,-2.35v-4.7z",
    "star": "M14,2.5l1.4,3.9h4.1l-3.3,2.5l1.2,4l-3.4,-2.4l-3.4,2.4l1.2,-4l-3.3,-2.5h4.1z",
}


def swatch(style: Style) -> Markup:
    """A piece of the algorithm's line with its marker, as inline SVG; its colour follows the theme."""
    dash = " ".join(f"{2 * length:g}" for length in style.dash)
    return Markup(
        '<svg class="swatch" style="--light:{};--dark:{}" width="28" height="16" viewBox="0 0 28 16"'
        ' aria-hidden="true">'
        '<path d="M0,8h28" stroke="currentColor" stroke-width="2" stroke-dasharray="{}"/>'
        '<path d="{}" fill="currentColor"/></svg>'
    ).format(style.colour, style.dark_colour, dash, _MARKER_PATHS[style.symbol])


@cache
def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    # Inside a script element only its end tag and a comment's start mean anything to the HTML parser.
    return str(get_plotlyjs()).replace("</script", "<\\/script").replace("<!--", "<\\!--")
