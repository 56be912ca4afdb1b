"""The presets for people: `python tests/unit/indexes/presets_page.py` writes docs/presets.md anew."""

from __future__ import annotations

from inspect import getdoc
from pathlib import Path

from annbench.indexes.auto.wish import Auto
from annbench.indexes.presets import PRESETS, Preset, default_spec
from annbench.indexes.spec import SLOTS, IndexSpec

PAGE = Path(__file__).parents[3] / "docs" / "presets.md"
EXAMPLE = (100_000, 768, "cosine")

HEAD = """\
# Presets

A published method is a choice in each of four slots of the composed index. `Index.build(x, metric, preset="lvq")`
builds it; in a config, `{algorithm: composed, build: {preset: lvq}}` measures it. A slot that is given besides replaces
the preset's: `preset="lvq", rerank="float16"`. What depends on the data is shown here for 100,000 vectors of 768
dimensions under cosine. This page is generated (`python tests/unit/indexes/presets_page.py`); a test wants it to be
current.
"""

AUTO_EXAMPLE = """
```python
index = annbench.Index.build(x, "cosine", preset="auto")
index = annbench.Index.build(x, "cosine", preset={"kind": "auto", "recall": 0.98, "bytes_per_vector": 300})
print(*index.why, sep="\\n")  # also in print(index), in the file, and in the notes of annbench's records
```
"""


def page() -> str:
    """The whole of docs/presets.md."""
    default = "\n".join(["## Without a preset", "", (default_spec.__doc__ or "").strip().replace("\n    ", "\n"), "",
                         *_slots(default_spec(*EXAMPLE))])  # fmt: skip
    auto = "\n".join(["## auto", "", getdoc(Auto) or "", "", AUTO_EXAMPLE.strip()])
    return "\n\n".join([HEAD.rstrip(), default, auto, *(_section(preset) for preset in PRESETS.values())]) + "\n"


def _section(preset: Preset) -> str:
    return "\n".join([
        f"## {preset.name}",
        "",
        f"{preset.make.__doc__}",
        "",
        *_slots(preset.make(*EXAMPLE)),
        "",
        f"- Paper: {preset.paper}.",
        f"- It claims: {preset.claims}.",
        f"- Ours differs: {preset.ours}.",
    ])  # fmt: skip


def _slots(spec: IndexSpec) -> list[str]:
    fields = spec.fields()
    inner = {slot: ", ".join(f"{name}: {_yaml(value)}" for name, value in fields[slot].items()) for slot in SLOTS}
    return ["```yaml", *(f"{slot}: {{{inner[slot]}}}" for slot in SLOTS), "```"]


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name} written")
