"""Times the whole report over many records: `python benchmarks/report_scale.py [--records 10000] [--seed 1]`.

The records are synthetic (see synthetic_records.py) and exist before the clock starts: reading them from disk
is the store's figure, not the report's. Prints seconds and the size of the page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))

from synthetic_records import many_records

from annbench.report import report_content, write_content


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the report over many synthetic records.")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    records = list(many_records(options.records, seed=options.seed))
    with tempfile.TemporaryDirectory() as folder:
        start = perf_counter()
        content = report_content(records, title="scale")
        computed = perf_counter()
        paths = write_content(content, Path(folder))
        written = perf_counter()
        sizes = {path.name: path.stat().st_size for path in paths.all() if path.suffix != ".svg"}
    rows = {
        "records": f"{len(records):,}",
        "compute": f"{computed - start:.2f} s",
        "write": f"{written - computed:.2f} s",
        "total": f"{written - start:.2f} s",
        "page": f"{sizes['report.html'] / 1e6:.2f} MB",
    }
    sys.stdout.write("".join(f"{name:<8} {value:>12}\n" for name, value in rows.items()))


if __name__ == "__main__":
    main()
