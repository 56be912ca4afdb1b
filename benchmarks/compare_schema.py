"""Write docs/compare.schema.json, the schema of what `annbench compare --json` prints.

python benchmarks/compare_schema.py
"""

from __future__ import annotations

import json
from pathlib import Path

from annbench.compare.result import json_schema

TARGET = Path(__file__).parent.parent / "docs" / "compare.schema.json"


def schema_text() -> str:
    """The file's content."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(schema_text(), encoding="utf-8")
