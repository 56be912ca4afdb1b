"""Which codes preset auto tries and which it takes: functions of figures, without a look at data or a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import Any

from annbench.errors import UsageError
from annbench.indexes.auto.wish import Auto, K
from annbench.indexes.codecs.base import Codec, lines
from annbench.indexes.codecs.floats import Float16, Float32
from annbench.indexes.codecs.uniform import Uniform
from annbench.indexes.presets import FLAT_ROWS, FULL_LINES
from annbench.indexes.reranks import Float16Rerank, NoRerank, Rerank, UniformRerank
from annbench.indexes.spec import ID_BYTES, IndexSpec
from annbench.indexes.structures import Flat, GraphStructure, Structure
from annbench.indexes.transforms.base import Transform
from annbench.indexes.transforms.leanvec import LeanVecOod
from annbench.indexes.transforms.plain import FastRotation, Identity
from annbench.indexes.transforms.spectral import Pca

LINE_BYTES = 64
LINES = (1, 2, 3, 4, 6, 8, 12, 16)  # cache lines that codes of fewer dimensions may fill
LEAST_SHARE = 0.5  # of the variance: with less, no short list has held what it must

Reduce = type[Pca] | type[LeanVecOod]


@dataclass(frozen=True)
class Candidate:
    """Codes that may serve; `share` of the variance is left in their dimensions, None where nobody asks, and their maps
    take `table_bytes`.
    """

    transform: Transform
    codec: Codec
    dim: int
    share: float | None = None
    table_bytes: int = 0

    @property
    def code_bytes(self) -> float:
        """Of one vector."""
        return self.codec.code_bytes(self.dim)

    def lines(self, n: int) -> float:
        """Bytes of whole cache lines, with a share of the maps for each of n vectors."""
        return lines(self.code_bytes + self.table_bytes / max(n, 1))

    def __str__(self) -> str:
        bits = str(self.codec)
        if isinstance(self.codec, Uniform):
            bits = f"{self.codec.bits} bit{'s' * (self.codec.bits > 1)}"
        how = "after a rotation" if isinstance(self.transform, FastRotation) else f"by {self.transform.kind}"
        if isinstance(self.transform, Identity):
            how = "as they are"
        return f"{bits} of {self.dim:,} dimension{'s' * (self.dim > 1)} {how} ({self.code_bytes:,.0f} bytes)"


@dataclass(frozen=True)
class Ceiling:
    """What codes allow for at most, as recall@10 at the full number of vectors: by their own order (`alone`), in a
    short list of `listed` that something exact decides among (`short`), or 8 bits of the vectors (`fine`; None where
    that was not measured). If not `coded`, what the dimensions allow for without a code: no code can allow for more.
    """

    candidate: Candidate
    listed: int
    alone: float
    short: float
    fine: float | None = None
    coded: bool = True


@dataclass(frozen=True)
class Coding:
    """Codes with what decides among their short list, and the `recall` that they allow for."""

    candidate: Candidate
    rerank: Rerank
    recall: float

    @property
    def plain(self) -> IndexSpec:
        """For a scan that looks at all of every code."""
        return IndexSpec(self.candidate.transform, self.candidate.codec, Flat(), self.rerank)

    def spec(self, structure: Structure) -> IndexSpec:
        """With this structure, whose scans look at signs first."""
        codec = self.candidate.codec
        if not isinstance(structure, GraphStructure):
            codec = staged(codec, self.candidate.dim)
        return IndexSpec(self.candidate.transform, codec, structure, self.rerank)


def staged(codec: Codec, dim: int) -> Codec:
    """The same bits, of which a scan looks at the signs first; where that cannot be, `codec`."""
    if not isinstance(codec, Uniform) or codec.bits == 1 or codec.layout != "uniform" or not codec.symmetric:
        return codec
    signs_first = codec.model_copy(update={"scan_bits": 1})
    return codec if signs_first.problem(dim) else signs_first


def candidates(
    spectrum: Sequence[float], total: float, n: int, dim: int, wish: Auto, choices: Mapping[str, Any],
    *, reduce: Sequence[Reduce],
) -> list[Candidate]:  # fmt: skip
    """Codes to try, the smallest first, maps shared among n vectors included.

    `spectrum` is the variance along each direction of the first of `reduce`, falling, `total` the variance of all;
    a transform or codec among `choices` is kept.
    """
    shares = _shares(spectrum, total)
    codecs = [choices["codec"]] if choices.get("codec") is not None else list(_codecs(wish))
    found: list[Candidate] = []
    for codec in codecs:
        if choices.get("transform") is not None:
            whole = int(getattr(choices["transform"], "dim", dim))
            found.append(Candidate(choices["transform"], codec, whole))
            continue
        if not (isinstance(codec, Uniform) and codec.bits == 1):
            found += [_reduced(kind, d, dim, codec, shares[d - 1])
                      for d in _dims(codec, dim) if d <= len(shares) and shares[d - 1] >= LEAST_SHARE
                      for kind in reduce]  # fmt: skip
        found.append(Candidate(FastRotation(center=True), codec, dim))
    if choices.get("codec") is None and choices.get("transform") is None:
        # Few dimensions fill no cache line: vectors as they are take less.
        found += [Candidate(Identity(), codec, dim) for codec in (Float16(), Float32())
                  if codec.code_bytes(dim) <= LINE_BYTES]  # fmt: skip
    found = [one for one in found if one.codec.problem(one.dim) is None] or found
    room = inf if wish.bytes_per_vector is None else wish.bytes_per_vector - ID_BYTES
    kept = [one for one in found if one.code_bytes <= room] or [min(found, key=lambda one: one.code_bytes)]
    # Ties stay as they came: 4 bits before 8, and the first of `reduce` before the others.
    return sorted(kept, key=lambda one: (one.lines(n), one.code_bytes))


def until_enough(
    found: Iterable[Candidate], measure: Callable[[Candidate], Ceiling], n: int, dim: int, wish: Auto,
    choices: Mapping[str, Any],
) -> list[Ceiling]:  # fmt: skip
    """What `measure` says of `found`, which are sorted, up to those that fill as many lines as the first that serve."""
    measured: list[Ceiling] = []
    good: list[Candidate] = []
    for candidate in found:
        if good and candidate.lines(n) > good[0].lines(n):
            break
        measured.append(measure(candidate))
        if enough(measured[-1], n, dim, wish, choices):
            good.append(candidate)
    return measured


def enough(ceiling: Ceiling, n: int, dim: int, wish: Auto, choices: Mapping[str, Any]) -> bool:
    """Whether nothing larger need be tried."""
    return any(_fits(coding, n, dim, wish, links=True) for coding in _codings(ceiling, wish, choices))


def choose_codes(
    ceilings: Sequence[Ceiling], n: int, dim: int, wish: Auto, choices: Mapping[str, Any]
) -> tuple[Coding, list[str]]:
    """Of `ceilings` that allow for the recall in the room there is, those that fill the fewest lines, and of these the
    smallest with its finer copy; else without links; else what comes closest; and the reasons. Raises UsageError where
    nothing fits.
    """
    good = [coding for ceiling in ceilings for coding in _codings(ceiling, wish, choices)]
    for links in (True, False):
        if serving := [coding for coding in good if _fits(coding, n, dim, wish, links=links)]:
            best = min(serving, key=lambda coding: (coding.candidate.lines(n), coding.plain.bytes_per_vector(dim)))
            return best, _reasons(ceilings, best, dim, wish)
    anything = [coding for ceiling in ceilings for coding in _all_codings(ceiling, choices)]
    fitting = [coding for coding in anything if _fits(coding, n, dim, wish, links=False)]
    if not fitting:
        least = min(coding.spec(Flat()).bytes_per_vector(dim) for coding in anything)
        raise no_room(wish, least)
    best = max(fitting, key=lambda coding: coding.recall)
    room = "" if wish.bytes_per_vector is None else f" in {wish.bytes_per_vector:,.0f} bytes a vector"
    short = f"nothing that was tried allows for recall {wish.needed:.3f}{room}: the best of it was taken"
    return best, [*_reasons(ceilings, best, dim, wish), short]


def no_room(wish: Auto, least: float) -> UsageError:
    """That nothing fits, where `least` bytes a vector would do."""
    return UsageError(
        f"nothing takes {wish.bytes_per_vector:,.0f} bytes a vector or less",
        where="preset auto: bytes_per_vector",
        remedy=f"allow {ceil(least):,}, or choose fewer slots yourself",
    )


def _codecs(wish: Auto) -> Iterator[Uniform]:
    if wish.bytes_per_vector is not None:
        yield Uniform(bits=1, fit="rabitq-fast")
    for bits in (4, 8):
        yield Uniform(bits=bits, fit="rabitq-fast")


def _reduced(kind: Reduce, reduced: int, dim: int, codec: Codec, share: float) -> Candidate:
    maps = 2 if kind is LeanVecOod else 1
    transform = kind(dim=reduced, rotate=_spread(codec))
    return Candidate(transform, codec, reduced, share if kind is Pca else None, 4 * dim * reduced * maps)


def _spread(codec: Codec) -> bool:
    return isinstance(codec, Uniform) and not codec.bits_per_dim


def _dims(codec: Codec, dim: int) -> list[int]:
    """Below `dim`; where codes of 8 bits fill lines, and those of 4."""
    bits = codec.bits if isinstance(codec, Uniform) else 4
    sizes = [64 * lines - 8 for lines in LINES] if bits == 8 else [FULL_LINES[lines - 1] for lines in LINES]
    return [size for size in sizes if size < dim]


def _shares(spectrum: Sequence[float], total: float) -> list[float]:
    shares, kept = [], 0.0
    for value in spectrum:
        kept += value
        shares.append(min(1.0, kept / total) if total > 0 else 1.0)
    return shares


def _all_codings(ceiling: Ceiling, choices: Mapping[str, Any]) -> Iterator[Coding]:
    """With every finer copy that may be, the smallest first."""
    given = choices.get("rerank")
    fine = ceiling.short if ceiling.fine is None else ceiling.fine
    copies: list[tuple[Rerank, float]] = [
        (NoRerank(), ceiling.alone), (UniformRerank(bits=8), fine), (Float16Rerank(), ceiling.short)
    ]  # fmt: skip
    if given is not None:
        copies = [
            (given, ceiling.alone if given.kind == "none" else fine if given.kind == "uniform" else ceiling.short)
        ]
    for rerank, recall in copies:
        yield Coding(ceiling.candidate, rerank, recall)


def _codings(ceiling: Ceiling, wish: Auto, choices: Mapping[str, Any]) -> Iterator[Coding]:
    return (coding for coding in _all_codings(ceiling, choices) if coding.recall >= wish.needed)


def _fits(coding: Coding, n: int, dim: int, wish: Auto, *, links: bool) -> bool:
    if wish.bytes_per_vector is None:
        return True
    structure: Structure = GraphStructure() if links and n > FLAT_ROWS else Flat()
    return coding.spec(structure).bytes_per_vector(dim) <= wish.bytes_per_vector


def _reasons(ceilings: Sequence[Ceiling], chosen: Coding, dim: int, wish: Auto) -> list[str]:
    told = []
    for ceiling in ceilings:
        taken = ceiling.candidate is chosen.candidate
        verdict = "chosen" if taken else "rejected" if ceiling.short < wish.needed else "would do"
        share = ceiling.candidate.share
        kept = "" if share is None else f", {share:.1%} of the variance"
        how = "" if ceiling.coded else "uncoded, "
        told.append(
            f"{ceiling.candidate}{kept}: {how}short lists of {ceiling.listed} "
            f"hold {ceiling.short:.1%} of the {K} nearest, {wish.needed:.1%} wanted: {verdict}"
        )
        if taken:
            told.append(_rerank_reason(ceiling, chosen, dim))
    return told


def _rerank_reason(ceiling: Ceiling, chosen: Coding, dim: int) -> str:
    tried = [f"by the codes alone {ceiling.alone:.1%} are found"]
    if ceiling.fine is not None:
        tried.append(f"with 8 bits to re-rank {ceiling.fine:.1%}")
    tried.append(f"with exact distances {ceiling.short:.1%}")
    size = f" ({chosen.rerank.code_bytes(dim):,.0f} bytes)" if chosen.rerank.kind != "none" else ""
    return f"{', '.join(tried)}: rerank {chosen.rerank}{size}"


def without_rerank(ceiling: Ceiling, needed: float) -> bool:
    """Whether the codes' own order suffices, or nothing can, so that a finer copy need not be tried."""
    return ceiling.alone >= needed or ceiling.short < needed
