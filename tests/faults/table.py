"""The faults annbench survives, and which tests show it: `python tests/faults/table.py` writes docs/faults.md anew."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "faults.md"

# What is injected, and what is promised.
FAULTS: dict[int, tuple[str, str]] = {
    1: ("own index file cut at any byte", "`IndexFileError`, no crash"),
    2: ("own index file: any bit flipped", "`IndexFileError`"),
    3: ("a bit flipped and the checksum recomputed", "refused, or searches stay in bounds"),
    4: ("own index file: n = 2⁶³, dim = 0, products that wrap", "refused before anything is allocated"),
    5: ("own index file: sizes that disagree, ids and offsets out of range", "refused at load"),
    6: ("own index file of another version or byte order, or something else", "says which, and to rebuild"),
    7: ("corrupt hnswlib or faiss index file", "the worker dies, its points say so (`crashed`), the rest goes on"),
    8: ("HDF5: random bytes, truncated, `train` missing, wrong dtype, shape 10¹²", "`DatasetError`"),
    9: ("HDF5: external link, external storage or virtual dataset", "refused unread"),
    10: (
        "npy with object dtype; npy declaring 32 GiB in 80 bytes; fvecs with varying dim",
        "refused, the row or field named",
    ),
    11: ("YAML: `!!python/…`, duplicate keys, unknown key, alias bomb", "refused with the line"),
    12: ("dataset name `../../x`, absolute, symlink out", "refused"),
    13: (
        "download: wrong sha256, short body, 404 page, redirect to http, stall",
        "nothing installed, both hashes shown, resumes",
    ),
    14: ("tar with `..`, links, devices", "refused"),
    15: (
        "NaN, ±Inf, subnormals, FLT_MAX in base or query",
        "`DatasetError` with the first row; subnormals accepted; never a hang",
    ),
    16: ("zero vectors with cosine", "distance 1 to everything, rows listed and recorded"),
    17: ("all-identical base, 50 % duplicates", "no hang; a flat index has recall 1.0"),
    18: ("k > n; k = 0, ef < k, nprobe > nlist", "−1 padding; configuration error"),
    19: ("n = 0, n = 1, dim 1 … 257, zero queries", "defined result or clear error"),
    20: (
        "wrong dim or dtype, Fortran order, negative strides, read-only, big-endian",
        "right answer, or refused with the remedy",
    ),
    21: ("int8 −128 × −128; uint8 255 at dim 33 026 and 65 536", "exact"),
    22: ("adapter returns duplicates, id ≥ n, wrong shape, floats", "`invalid_output`, or a verdict that says it"),
    23: (
        "worker sleeps for ever, ignores SIGTERM, has children, some outside its group",
        "all gone by deadline + 5 s; `timeout`",
    ),
    24: ("worker allocates past its limit", "`oom` with evidence; the parent lives"),
    25: ("worker SIGSEGV, SIGILL, abort, exit 0 with no result, 1 GB of output", "right status, log capped"),
    26: (
        "kill −9 of the parent at every step of storing",
        "each point absent or valid; resuming equals an uninterrupted run",
    ),
    27: ("disk full, read-only results, short write", "clean failure, earlier results intact"),
    28: ("stale temporary file or lock of a dead process", "cleaned by itself"),
    29: ("two runs into one results folder", "no point lost or doubled"),
    30: ("Ctrl-C once and twice", "children gone, store valid, exit 130"),
    31: ("parameters that differ by sign or punctuation", "distinct ids"),
    32: ("dataset truncated mid-run (SIGBUS)", "contained in the worker"),
    33: ("`ANNBENCH_ISA` misspelt or not on this CPU", "error listing those available; never SIGILL"),
    34: ("concurrent search; search while others load, add, remove and save", "same answers as serial"),
    35: (
        "memory runs out at any allocation",
        "`MemoryError`, no leak, the index and its file as they were",
    ),
    36: (
        "own index file with parts on disk: deleted, replaced, altered, cut short or unreadable while it is searched",
        "the same answers or `IndexFileError`; never a signal, nothing out of bounds",
    ),
}
REQUIRED = range(1, 37)

HEAD = """\
# Faults survived

Each row is injected into the real program by the tests beside it, which are part of every `make test`. The table is
generated from the tests' marks (`python tests/faults/table.py`), and a test asks for it to be current.

**{survived} of {asked}** rows have tests, {tests} in all.

| # | injected | promised | shown by |
|---|---|---|---|
"""


@cache
def marked_tests(folder: Path = ROOT / "tests") -> dict[int, list[str]]:
    """For every fault, the tests that are marked with it: `file.py::test_name`, relative to tests/."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        named = _named_faults(tree)
        shared = [number for node in tree.body if _is_pytestmark(node) for number, _ in _numbers(node, named)]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                name = f"{path.relative_to(folder).as_posix()}::{node.name}"
                own = [pair for decorator in node.decorator_list for pair in _numbers(decorator, named)]
                for number, case in dict.fromkeys((*((number, "") for number in shared), *own)):
                    found[number].append(f"{name}[{case}]" if case else name)
    return dict(sorted(found.items()))


def page() -> str:
    """The whole of docs/faults.md."""
    marked = marked_tests()
    rows = []
    for number, (injected, promised) in FAULTS.items():
        files: dict[str, list[str]] = defaultdict(list)
        for name in marked.get(number, ()):
            file, _, test = name.partition("::")
            files[file].append(test)
        if files or number in REQUIRED:
            shown = "<br>".join(f"`{file}`: {', '.join(_plain(t) for t in tests)}" for file, tests in files.items())
            rows.append(f"| {number} | {injected} | {promised} | {shown or '**no test**'} |")
    survived = sum(number in marked for number in REQUIRED)
    tests = len({name for names in marked.values() for name in names})
    return HEAD.format(survived=survived, asked=len(REQUIRED), tests=tests) + "\n".join(rows) + "\n"


def _plain(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")


def _is_pytestmark(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)


def _named_faults(tree: ast.Module) -> dict[str, dict[str, tuple[int, ...]]]:
    """Tables of a module that say which case of a test shows which faults: `FAULTS = {"padding": (18, 19)}`."""
    tables = {}
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == "FAULTS" and isinstance(node.value, ast.Dict):
            tables[target.id] = ast.literal_eval(node.value)
    return tables


def _numbers(node: ast.AST, named: dict[str, dict[str, tuple[int, ...]]]) -> Iterator[tuple[int, str]]:
    """The faults of every mark in `node`, each with the case that shows it, or with nothing."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.fault":
            for argument in call.args:
                if isinstance(argument, ast.Constant):
                    yield int(argument.value), ""
                else:  # *FAULTS[case]; anything else is a KeyError, which says that this reader must learn it
                    table = named[ast.unparse(argument).removeprefix("*").partition("[")[0]]
                    yield from ((number, case) for case, numbers in table.items() for number in numbers)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)} written")
