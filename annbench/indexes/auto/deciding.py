"""Preset auto from end to end: sample, ceilings, codes, costs, structure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from annbench.indexes.auto import ceilings, costs
from annbench.indexes.auto.arranging import allowed, choose_structure, kept_structure
from annbench.indexes.auto.choosing import Reduce, candidates, choose_codes, no_room, until_enough
from annbench.indexes.auto.sample import Sample
from annbench.indexes.auto.wish import Auto
from annbench.indexes.spec import SLOTS, IndexMetric, IndexSpec, make_spec, with_choices
from annbench.indexes.structures import QUERY_LINKS, GraphStructure, Structure
from annbench.indexes.transforms.base import Matrix
from annbench.indexes.transforms.leanvec import LeanVecOod
from annbench.indexes.transforms.spectral import Pca

LEAST_ROWS = 256  # fewer say nothing about recall
LEAST_TIMED = 2048  # below, a scan of all takes microseconds

Why = tuple[str, ...]


def decide(
    vectors: NDArray[Any],
    metric: IndexMetric,
    wish: Auto,
    choices: Mapping[str, Any],
    learn: Matrix | None,
    *,
    seed: int,
    threads: int,
) -> tuple[IndexSpec, Why]:
    """What to make of checked `vectors` (n, dim), and why, in sentences; slots that are not None in `choices` stay.

    `learn` (m, dim) are training queries, as rows of `vectors` come in. Raises UsageError and UnknownNameError for
    choices that cannot be, and for room that nothing fits in.
    """
    n, dim = vectors.shape
    given = {slot: getattr(make_spec(**{slot: value}), slot) for slot, value in choices.items() if value is not None}
    if len(given) == len(SLOTS):
        return with_choices(make_spec(), given), ("all slots were given: nothing was left to choose",)
    if n < LEAST_ROWS:
        return _few(n, dim, wish, given)
    sample = Sample(vectors, learn if learn is not None and len(learn) >= 2 else None, metric, seed)
    reduce: list[Reduce] = [Pca] if sample.queries_held else [LeanVecOod, Pca]
    # Nobody asks for it where the transform is given, and of many dimensions it takes its time.
    values, total = ([], 0.0) if "transform" in given else (sample.spectrum.values.tolist(), sample.spectrum.total)
    found = candidates(values, total, n, dim, wish, given, reduce=reduce)
    tried = until_enough(found, lambda one: ceilings.measure(sample, one, wish, given, threads), n, dim, wish, given)
    coding, why = choose_codes(tried, n, dim, wish, given)
    structure: Structure
    if "structure" in given:
        structure, reasons = given["structure"], kept_structure(given["structure"])
    else:
        kinds = allowed(coding, n, dim, wish) if n >= LEAST_TIMED else {}
        timed = costs.measure(sample, coding, kinds, wish, given, threads) if len(kinds) > 1 else {}
        structure, reasons = choose_structure(coding, timed, n, dim, wish)
        if isinstance(structure, GraphStructure) and not sample.queries_held:
            structure = structure.model_copy(update={"query_links": QUERY_LINKS})
            reasons.append(f"query_links {QUERY_LINKS}: links for the training queries take the places of the longest")
    spec = with_choices(coding.spec(structure), given)
    return spec, (sample.told, *why, *reasons)


def _few(n: int, dim: int, wish: Auto, given: Mapping[str, Any]) -> tuple[IndexSpec, Why]:
    """The finest that there is room for: too few vectors to measure recall with."""
    rotated = {"kind": "fast-rotation", "center": True}
    rotated_codecs = [{"kind": "uniform", "bits": bits, "fit": "rabitq-fast"} for bits in (8, 4)]
    specs = [with_choices(make_spec(codec=codec), given) for codec in ("float32", "float16")]
    specs += [with_choices(make_spec(rotated, codec), given) for codec in rotated_codecs]
    fewer = f"{n:,} vectors: below {LEAST_ROWS:,}, recall cannot be measured"
    for spec in specs:
        size = spec.bytes_per_vector(dim)
        if wish.bytes_per_vector is None or size <= wish.bytes_per_vector:
            return spec, (f"{fewer}, and the finest codes are taken that there is room for: {spec.codec}, all scanned",)
    least = min(spec.bytes_per_vector(dim) for spec in specs)
    raise no_room(wish, least)
