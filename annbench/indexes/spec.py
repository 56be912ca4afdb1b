"""What an index is made of: one choice in each of four slots.

transform:  maps vectors before coding           annbench.indexes.transforms
codec:      bytes a vector, distances on them    annbench.indexes.codecs
structure:  which codes a search looks at        annbench.indexes.structures
rerank:     a finer copy for the short list      annbench.indexes.reranks
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from annbench.errors import UnknownNameError, UsageError
from annbench.indexes.choice import choose
from annbench.indexes.codecs.base import Codec
from annbench.indexes.codecs.levels import MAX_BITS as MAX_LEVEL_BITS
from annbench.indexes.codecs.levels import Levels
from annbench.indexes.codecs.product import Product
from annbench.indexes.codecs.registry import CODECS
from annbench.indexes.codecs.uniform import Uniform
from annbench.indexes.codecs.va_file import VaFile
from annbench.indexes.reranks import RERANKS, Rerank
from annbench.indexes.structures import STRUCTURES, GraphStructure, Ivf, Structure
from annbench.indexes.transforms.base import Transform
from annbench.indexes.transforms.bebr import Bebr
from annbench.indexes.transforms.plain import Identity
from annbench.indexes.transforms.registry import TRANSFORMS

IndexMetric = Literal["euclidean", "cosine", "ip"]
METRICS: tuple[IndexMetric, ...] = ("euclidean", "cosine", "ip")
SLOTS = ("transform", "codec", "structure", "rerank")

# Of what keeps distances: lower bounds in the mapped space hold in the original one.
ISOMETRIC = ("identity", "pca", "random-rotation", "fast-rotation", "prefix")
LINK_BYTES = 4
ID_BYTES = 4  # as long as ids fit there; 8 in lists with larger ones


@dataclass(frozen=True)
class IndexSpec:
    """One choice in each slot; immutable."""

    transform: Transform
    codec: Codec
    structure: Structure
    rerank: Rerank

    def fields(self) -> dict[str, dict[str, Any]]:
        """As a configuration writes it; `make_spec(**fields)` makes the same."""
        return {slot: getattr(self, slot).fields() for slot in SLOTS}

    def resolved(self) -> IndexSpec:
        """With what the transform's file says of it. Raises ModelFileError for a file that says nothing sound."""
        transform, codec = self.transform.resolved(), self.codec
        if isinstance(codec, Levels) and isinstance(transform, Bebr):
            codec = _of_levels(codec, transform)
        return replace(self, transform=transform, codec=codec)

    def placeless(self) -> IndexSpec:
        """Without the folder of a file that the transform names."""
        return replace(self, transform=self.transform.placeless())

    def coded_dim(self, dim: int) -> int:
        """Dimensions that are coded, of vectors with `dim`."""
        return int(getattr(self.transform, "dim", None) or dim)

    @property
    def normalises(self) -> bool:
        """Whether mapped vectors are scaled to length 1, which is all that codes of levels stand for."""
        return isinstance(self.codec, Levels) or bool(getattr(self.transform, "normalise", False))

    @property
    def nlist(self) -> int:
        """How many lists there are; 1 for flat."""
        return self.structure.nlist if isinstance(self.structure, Ivf) else 1

    @property
    def assignments(self) -> int:
        """How many lists each vector is in."""
        return self.structure.assignments if isinstance(self.structure, Ivf) else 1

    def prefix_dim(self, dim: int) -> int:
        """By how many of the coded dimensions vectors with `dim` are clustered."""
        whole = self.coded_dim(dim)
        return min(self.structure.dim or whole, whole) if isinstance(self.structure, Ivf) else whole

    @property
    def default_nprobe(self) -> int:
        """Lists that a search looks into where nothing is asked for: 5 %, and 8 at least."""
        return min(self.nlist, max(8, round(0.05 * self.nlist)))

    @property
    def has_graph(self) -> bool:
        """Whether a search goes along a graph."""
        return isinstance(self.structure, GraphStructure)

    @property
    def default_rerank_factor(self) -> int:
        """Candidates to decide among, in multiples of k, where nothing is asked for: more for coarser codes."""
        if self.rerank.kind == "none":
            return 0
        if isinstance(self.codec, Uniform):
            return 10 if self.codec.bits == 1 else 5 if self.codec.bits <= 3 else 3
        return 10 if isinstance(self.codec, Product | Levels) else 3

    def rotation_edges(self, dim: int) -> list[int]:
        """Where a rotation of the coded dimensions must not mix those before with those after: the prefix that
        lists look at alone, and the whole.
        """
        return sorted({self.coded_dim(dim), self.prefix_dim(dim)})

    def bytes_per_vector(self, dim: int) -> float:
        """What a vector with `dim` takes, id included, tables and lists left out; an estimate."""
        codes = self.codec.code_bytes(self.coded_dim(dim)) + ID_BYTES
        links = LINK_BYTES * self.structure.degree if isinstance(self.structure, GraphStructure) else 0
        return self.assignments * (codes + self.rerank.code_bytes(dim)) + links

    def check(self, n: int, dim: int, metric: str, *, queries: bool) -> None:
        """Raises UsageError unless n vectors of `dim` dimensions can be indexed so under `metric`; `queries` says
        whether there are training queries.
        """
        coded = self.coded_dim(dim)
        if coded > dim and not isinstance(self.transform, Bebr):
            raise UsageError(
                f"dim {coded} exceeds the {dim} dimensions of the vectors",
                where=f"transform {self.transform.kind}",
                remedy=f"set dim <= {dim}",
            )
        problems = (("codec", self.codec, self.codec.problem(coded)),
                    ("structure", self.structure, self.structure.problem(n, coded)))  # fmt: skip
        told = not isinstance(self.transform, Bebr) or self.transform.dim is not None
        for slot, choice, problem in problems:
            if problem is not None and (told or slot != "codec"):  # else a file will say how many dimensions there are
                raise UsageError(problem[0], where=f"{slot} {choice.kind}", remedy=problem[1])
        if isinstance(self.structure, GraphStructure) and self.structure.query_links and not queries:
            raise UsageError(
                "query_links are made for training queries, and there are none",
                where="structure graph",
                remedy="give `queries` (in a config, `learn` with the name of a query set), never those that recall is "
                "measured with; or leave out query_links",
            )
        self._check_together(dim, metric)

    def _check_together(self, dim: int, metric: str) -> None:
        """Raises UsageError for choices that are sound one by one and contradict each other."""
        if isinstance(self.transform, Bebr) and metric != (self.transform.metric or metric):
            raise UsageError(
                f"{self.transform.model} was trained for {self.transform.metric}, not for {metric}",
                where="transform bebr",
                remedy="train one on a dataset of this metric",
            )
        if isinstance(self.transform, Bebr) and metric == "ip":
            raise UsageError(
                "binarizers are trained for cosine and euclidean", where="transform bebr", remedy="use one of these"
            )
        if isinstance(self.codec, Levels) and not isinstance(self.transform, Bebr):
            self._check_given_levels(self.codec, metric)
        prefix = self.prefix_dim(dim) < self.coded_dim(dim)
        if prefix and isinstance(self.codec, Product) and self.codec.opq:
            raise UsageError(
                "opq rotates all dimensions, so that none of its first ones is more important",
                where="structure ivf, dim",
                remedy="leave out the structure's dim, or opq",
            )
        if prefix and self.transform.kind in ("identity", "random-rotation", "fast-rotation", "sparse-projection"):
            raise UsageError(
                f"the first dimensions of {self.transform.kind} are not the most important",
                where="structure ivf, dim",
                remedy="use a transform that orders them: pca, prefix or leanvec-ood",
            )
        if self.codec.only_distances and metric == "ip":
            raise UsageError(
                "its codes stand for distances, not for inner products",
                where=f"codec {self.codec.kind}",
                remedy="use another codec, or metric euclidean or cosine",
            )
        if isinstance(self.codec, Product) and not self.codec.factors and isinstance(self.structure, Ivf):
            raise UsageError(
                "without factors its codes know of no list's centroid",
                where="codec product",
                remedy="leave out factors, or use structure flat",
            )
        if isinstance(self.codec, VaFile) and self.transform.kind not in ISOMETRIC:
            raise UsageError(
                f"its lower bounds do not hold after {self.transform.kind}",
                where="codec va-file",
                remedy=f"use a transform that keeps distances: {', '.join(ISOMETRIC)}",
            )

    def _check_given_levels(self, codec: Levels, metric: str) -> None:
        """Raises UsageError unless vectors can be levels already."""
        if self.transform != Identity() or codec.bits is None or metric != "cosine":
            raise UsageError(
                f"{self.transform.kind} makes no levels",
                where="codec levels",
                remedy="use it with transform bebr; or, for vectors that are levels already, under cosine with "
                "transform identity, and say how many bits they have",
            )


def _of_levels(codec: Levels, transform: Bebr) -> Levels:
    """As many bits as the transform makes, and the queries that it makes. Raises UsageError for others."""
    assert transform.steps is not None
    bits, query = transform.steps + 1, "values" if transform.asymmetric else "levels"
    if bits > MAX_LEVEL_BITS:
        raise UsageError(
            f"{transform.steps} steps make {bits} bits, and levels have {MAX_LEVEL_BITS} at most",
            where="codec levels",
            remedy=f"set the transform's steps to {MAX_LEVEL_BITS - 1} or fewer, or use codec uniform",
        )
    for name, given, made in (("bits", codec.bits, bits), ("query", codec.query, query)):
        if given not in (None, made):
            raise UsageError(
                f"{name} {given} is not what {transform.model} makes, which is {made}",
                where="codec levels",
                remedy="leave it out",
            )
    return codec.model_copy(update={"bits": bits, "query": query})


def make_spec(
    transform: Any = "identity", codec: Any = "float32", structure: Any = "flat", rerank: Any = "none"
) -> IndexSpec:
    """The spec of these choices: `{kind: …, …}`, a kind alone, or a choice.

    Raises UnknownNameError for kinds and parameters that do not exist, UsageError for values that cannot be.
    """
    return IndexSpec(
        choose("transform", TRANSFORMS, transform),
        choose("codec", CODECS, codec),
        choose("structure", STRUCTURES, structure),
        choose("rerank", RERANKS, rerank),
    )


def with_choices(spec: IndexSpec, choices: Mapping[str, Any]) -> IndexSpec:
    """`spec` with those slots of `choices` that are not None chosen anew. Raises as make_spec."""
    chosen = {slot: value for slot, value in choices.items() if value is not None}
    for slot in chosen:
        if slot not in SLOTS:
            raise UnknownNameError("slot", slot, SLOTS)
    fresh = make_spec(**chosen)
    return replace(spec, **{slot: getattr(fresh, slot) for slot in chosen})


def checked_metric(metric: str) -> IndexMetric:
    """`metric`, if an index can be built for it. Raises UnknownNameError."""
    for known in METRICS:
        if metric == known:
            return known
    raise UnknownNameError("metric", metric, METRICS)
