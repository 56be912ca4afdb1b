"""Times the whole report over many records: `python benchmarks/report_scale.py [--records 10000] [--seed 1]`.

The records are synthetic (see synthetic_records.py) and exist before the clock starts: reading them from disk is the
store's figure, not the report's. Prints seconds and the size of the page.
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
    print(f"records  {len(records):>10,}")
    print(f"compute  {computed - start:>10.2f} s")
    print(f"write    {written - computed:>10.2f} s")
    print(f"total    {written - start:>10.2f} s")
    print(f"page     {sizes['report.html'] / 1e6:>10.2f} MB")


if __name__ == "__main__":
    main()
