"""Published methods as points of the composed space: what a paper proposes, in our four slots.

A preset is a function of what is known of the vectors; whatever slot the caller chooses replaces the preset's. Preset
`auto` is a function of the vectors themselves: see annbench.indexes.auto.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, sqrt
from textwrap import fill
from typing import Any

from annbench.errors import UnknownNameError, UsageError
from annbench.indexes.codecs.uniform import MAX_SIGNS
from annbench.indexes.spec import IndexSpec, checked_metric, make_spec, with_choices
from annbench.indexes.structures import QUERY_LINKS, GraphStructure

# Where scanning everything is as fast as looking for lists first.
FLAT_ROWS = 10_000
# Reduced dimensions of which 4-bit codes with two factors fill 1, 2, 3 … cache lines.
FULL_LINES = tuple(128 * lines - 16 for lines in range(1, 65))

AUTO = "auto"  # no published method: what suits the vectors at hand (annbench.indexes.auto)

Make = Callable[[int, int, str], IndexSpec]


@dataclass(frozen=True)
class Preset:
    """`make(n, dim, metric)` gives the spec; `paper`, what it `claims`, and where `ours` differs, for people.

    With `needs_queries` it is nothing without training queries, for which no other guess is made.
    """

    name: str
    make: Make
    paper: str
    claims: str
    ours: str
    needs_queries: bool = False

    def spec(self, n: int, dim: int, metric: str, choices: Mapping[str, Any], *, queries: bool) -> IndexSpec:
        """The spec with those slots of `choices` that are not None chosen anew; `queries` tells whether there are any
        to learn from. Raises UsageError where they are needed and missing, and as `with_choices`.
        """
        made = self.make(n, dim, metric)
        if not queries and isinstance(made.structure, GraphStructure):
            made = with_choices(made, {"structure": made.structure.model_copy(update={"query_links": 0})})
        spec = with_choices(made, choices)
        if self.needs_queries and spec.transform.needs_queries and not queries:
            raise UsageError(
                "its map is fitted to training queries, and there are none",
                where=f"preset {self.name}",
                remedy="give `queries` (in a config, `learn` with the name of a query set), never those that recall is "
                "measured with; or use preset leanvec, which learns from the vectors alone",
            )
        return spec

    def __str__(self) -> str:
        sentences = (
            self.make.__doc__,
            f"Paper: {self.paper}.",
            f"It claims: {self.claims}.",
            f"Ours differs: {self.ours}.",
        )
        return "\n".join((self.name, *(fill(str(text), 110, initial_indent=4 * " ", subsequent_indent=8 * " ")
                                       for text in sentences)))  # fmt: skip


def default_spec(n: int, dim: int, metric: str, *, queries: bool = False) -> IndexSpec:
    """What an index is made of where nothing is asked for: flat float32 up to 10,000 vectors, which is exact; else
    4√n lists of 8-bit codes after a fast rotation, of which the signs are scanned and the rest decides. With training
    queries, LeanVec to what fills cache lines at 4 bits, and float16 to re-rank with.
    """
    if n <= FLAT_ROWS:
        return make_spec()
    if not queries and dim <= MAX_SIGNS:
        return make_spec(
            {"kind": "fast-rotation", "center": True},
            {"kind": "uniform", "bits": 8, "fit": "rabitq-fast", "scan_bits": 1},
            ivf(n),
            "none",
        )
    return make_spec(
        {"kind": "leanvec-ood" if queries else "pca", "dim": reduced_dim(dim), "rotate": True},
        {"kind": "uniform", "bits": 4, "fit": "rabitq-fast", "scan_bits": 1},
        ivf(n),
        "float16",
    )


def reduced_dim(dim: int) -> int:
    """About half of `dim`, but what fills cache lines at 4 bits; all of them up to 240."""
    if dim <= FULL_LINES[1]:
        return dim
    return min((d for d in FULL_LINES if d <= dim), key=lambda d: (abs(d - max(dim / 2, FULL_LINES[1])), d))


def ivf(n: int, lists_per_root: float = 4.0) -> dict[str, object]:
    """Inverted lists, 4√n as RaBitQ's authors advise, but none below 32 vectors on average."""
    return {"kind": "ivf", "nlist": max(1, min(round(lists_per_root * sqrt(n)), n // 32))}


def lists_or_flat(n: int) -> dict[str, object]:
    """Inverted lists where there are enough vectors for them to pay."""
    return {"kind": "flat"} if n <= FLAT_ROWS else ivf(n)


def pca_rag(n: int, dim: int, metric: str) -> IndexSpec:
    """PCA to 110 dimensions, float32, all of them scanned."""
    return make_spec({"kind": "pca", "dim": min(110, dim)}, "float32", "flat", "none")


def lvq(n: int, dim: int, metric: str) -> IndexSpec:
    """4 bits min-max fitted, and 8 for the residual."""
    codec = {"kind": "uniform", "bits": 4, "fit": "min-max", "residual_bits": 8}
    return make_spec({"kind": "identity", "center": True}, codec, lists_or_flat(n), "none")


def leanvec(n: int, dim: int, metric: str) -> IndexSpec:
    """About half of the dimensions by PCA, 4 bits each along a graph, float16 to re-rank."""
    reduced = {"kind": "pca", "dim": reduced_dim(dim), "rotate": True}
    return make_spec(reduced, {"kind": "uniform", "bits": 4, "fit": "rabitq"}, "graph", "float16")


def leanvec_ood(n: int, dim: int, metric: str) -> IndexSpec:
    """About half of the dimensions, 4 bits each along a graph, both for the queries at hand, float16 to re-rank."""
    reduced = {"kind": "leanvec-ood", "dim": reduced_dim(dim), "rotate": True}
    links = {"kind": "graph", "query_links": QUERY_LINKS}
    return make_spec(reduced, {"kind": "uniform", "bits": 4, "fit": "rabitq"}, links, "float16")


def graph_lvq(n: int, dim: int, metric: str) -> IndexSpec:
    """4 bits min-max fitted along a graph, 8 to re-rank."""
    codec = {"kind": "uniform", "bits": 4, "fit": "min-max"}
    return make_spec({"kind": "identity", "center": True}, codec, "graph", {"kind": "uniform", "bits": 8})


def graph_f16(n: int, dim: int, metric: str) -> IndexSpec:
    """Float16 along a graph, and nothing else: what compressed graphs are compared with."""
    return make_spec("identity", "float16", "graph", "none")


def rabitq(n: int, dim: int, metric: str) -> IndexSpec:
    """A random rotation, 7 bits of which the signs are scanned, inverted lists."""
    codec = {"kind": "uniform", "bits": 7, "fit": "rabitq-fast", "scan_bits": 1}
    return make_spec({"kind": "fast-rotation", "center": True}, codec, lists_or_flat(n), "none")


def bbq(n: int, dim: int, metric: str) -> IndexSpec:
    """1 bit a dimension around the mean, queries of 4 bits, float32 to re-rank."""
    codec = {"kind": "uniform", "bits": 1, "fit": "osq", "query_bits": 4, "rescale": False}
    return make_spec({"kind": "identity", "center": True}, codec, "flat", "float32")


def adanns_ivf(n: int, dim: int, metric: str) -> IndexSpec:
    """Lists by an eighth of the dimensions, scans over a half."""
    scanned = ceil(dim / 2)
    lists = {**ivf(n, 1.0), "dim": max(1, min(scanned, ceil(dim / 8)))}
    return make_spec({"kind": "pca", "dim": scanned}, "float32", lists, "none")


def adanns_opq(n: int, dim: int, metric: str) -> IndexSpec:
    """Optimized product quantization of the first half of the dimensions, 1 bit a dimension."""
    groups = max(1, ceil(dim / 2) // 4)
    scanned = min(dim, groups * max(1, ceil(dim / 2 / groups)))
    return make_spec(
        {"kind": "pca", "dim": scanned}, {"kind": "product", "groups": groups, "opq": True}, "flat", "none"
    )


def squash_osq(n: int, dim: int, metric: str) -> IndexSpec:
    """4 bits a dimension on average after PCA, spent by variance; 1 bit a dimension first; float32 to re-rank."""
    return make_spec(
        {"kind": "pca", "dim": dim}, {"kind": "va-file", "bits": 4.0, "hamming_keep": 0.1}, "flat", "float32"
    )


def bebr(n: int, dim: int, metric: str) -> IndexSpec:
    """Learned binary codes, all of them scanned by exact table look-ups."""
    return make_spec("bebr", "levels", "flat", "none")


def bebr_ivf(n: int, dim: int, metric: str) -> IndexSpec:
    """Learned binary codes in inverted lists of them."""
    return make_spec("bebr", "levels", ivf(n), "none")


def bebr_graph(n: int, dim: int, metric: str) -> IndexSpec:
    """Learned binary codes along a graph, float16 to re-rank."""
    return make_spec("bebr", {"kind": "levels", "layout": "rows"}, "graph", "float16")


BEBR_PAPER = "Binary Embedding-based Retrieval at Tencent, KDD 2023, arXiv 2302.08714"
BEBR_CLAIMS = (
    "16 times less memory at 0.1 points less recall@1 (image by text, CLIP features of COCO), and 30 to 50 % of the "
    "cost of an index saved"
)
BEBR_MODEL = (
    "codes are made by the binarizer in bebr.safetensors, which `annbench train bebr` writes; for another file choose "
    "transform {kind: bebr, model: …}"
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "pca-rag",
            pca_rag,
            "PCA-RAG: Principal Component Analysis for Efficient Retrieval-Augmented Generation, arXiv 2504.08386",
            "from 3,072 to 110 dimensions: an index 28.6 times smaller and search up to 60 times faster, at a "
            "moderate loss of correlation with human scores",
            "PCA is fitted on a sample of 100,000 vectors, with centring; distances are those of the vectors "
            "before, whose lengths are kept exactly; recall is counted against the neighbours before PCA",
        ),
        Preset(
            "lvq",
            lvq,
            "Similarity search in the blink of an eye with compressed indices (LVQ), VLDB 2023, arXiv 2304.04759",
            "at a billion vectors up to 20.7 times the throughput of the second best in a third of its memory, or "
            "5.8 times in 1.4 times less memory",
            "inverted lists, or a flat scan up to 10,000 vectors, in place of the Vamana graph; every code has a "
            "rescale factor, which removes its bias; with inverted lists codes are of what is left after the "
            "centroid",
        ),
        Preset(
            "leanvec",
            leanvec,
            "LeanVec: Searching vectors faster by making them fit (LeanVec-ID), arXiv 2312.16335",
            "a graph is searched over vectors of fewer dimensions, and what it finds is sorted by finer ones: up to "
            "3.7 times the queries a second, indexes built up to 4.9 times faster",
            "4 bits a dimension on a swept grid with a rescale factor, of as many dimensions as fill cache lines, "
            "where the paper has 8 bits of LVQ; a random rotation follows PCA; links are chosen at full dimension "
            "among near ones that the codes find",
        ),
        Preset(
            "leanvec-ood",
            leanvec_ood,
            "LeanVec: Searching vectors faster by making them fit (LeanVec-OOD), arXiv 2312.16335; GleanVec, arXiv "
            "2410.22347",
            "dimensions are reduced for the queries that will be asked: as fast and as accurate where these are unlike "
            "the vectors, where PCA is not",
            "the map is GleanVec's closed form in a balanced scaling (transform leanvec-ood has the paper's "
            "Frank-Wolfe, too); the nearest to each training query are also linked with one another, after RoarGraph "
            "(VLDB 2024); the rest is as in preset leanvec",
            needs_queries=True,
        ),
        Preset(
            "graph-lvq",
            graph_lvq,
            "Similarity search in the blink of an eye with compressed indices (LVQ), VLDB 2023, arXiv 2304.04759",
            "codes of 4 bits steer the search through a Vamana graph, 8 bits more decide: up to 5.8 times the "
            "throughput of the second best with 1.4 times less memory, at a billion vectors",
            "what decides is a code of 8 bits of the vector itself, not of what 4 bits left of it (residual_bits is "
            "read at every step of a graph); every code has a rescale factor; links are chosen from the vectors before "
            "coding, among near ones that the codes find",
        ),
        Preset(
            "graph-f16",
            graph_f16,
            "DiskANN: Fast accurate billion-point nearest neighbor search on a single node (Vamana), NeurIPS 2019",
            "pruned links (alpha 1.2) make graphs of smaller diameter than those of HNSW and NSG, and in memory at "
            "least as fast a search",
            "all of it is in memory, in half precision, without codes and without a disk; the growing graph is "
            "searched once for every vector, where the paper does so twice; searches begin at the middle of clusters, "
            "not at the medoid; alpha is 1.1, and links to near ones fill the room that pruning leaves",
        ),
        Preset(
            "rabitq",
            rabitq,
            "RaBitQ, SIGMOD 2024, arXiv 2405.12497; extended to more bits, SIGMOD 2025, arXiv 2409.09913",
            "an unbiased estimate with a sharp bound on its error; 4, 5 and 7 bits give about 90, 95 and 99 % "
            "recall without re-ranking",
            "scales are predicted, and fit rabitq sweeps them; estimates are anchored to the centroids with a query "
            "that is the same for all lists; flat up to 10,000 vectors",
        ),
        Preset(
            "bbq",
            bbq,
            "Better Binary Quantization (BBQ) in Lucene and Elasticsearch, Elastic Search Labs, 2024; the fit is "
            "Lucene's optimized scalar quantizer",
            "about 95 % less memory at high ranking quality; queries 2 to 5 times faster than with product "
            "quantization",
            "a flat scan; queries are rounded to an evenly spaced grid around 0; set the codec's rescale true to "
            "remove the bias of the code, and float16 or uniform as rerank to need less memory",
        ),
        Preset(
            "adanns-ivf",
            adanns_ivf,
            "AdANNS: A framework for adaptive semantic search, NeurIPS 2023, arXiv 2305.19435",
            "clusters by few dimensions and scans of more: 1.5 % more accurate at equal compute, up to 90 times "
            "faster at equal accuracy",
            "dimensions are ordered by PCA, which any vectors have; choose transform prefix for Matryoshka "
            "embeddings. An eighth and a half of the dimensions are a guess: the paper searches for both",
        ),
        Preset(
            "adanns-opq",
            adanns_opq,
            "AdANNS: A framework for adaptive semantic search, NeurIPS 2023, arXiv 2305.19435",
            "codes of 32 bytes of the right number of dimensions are as accurate as 64 bytes of all of them",
            "4-bit codes with a rescale factor, a flat scan; dimensions are ordered by PCA; half of them is a guess",
        ),
        Preset(
            "squash-osq",
            squash_osq,
            "SQUASH: Serverless and Distributed Quantization-based Attributed Vector Similarity Search, arXiv "
            "2502.01528",
            "bits by variance and lower bounds: up to 18 times the throughput at up to 9 times lower cost than "
            "serverless rivals",
            "one PCA and one set of cells for the whole base, where the paper has one a partition; attributes are "
            "not filtered",
        ),
        Preset(
            "bebr",
            bebr,
            BEBR_PAPER,
            BEBR_CLAIMS,
            f"{BEBR_MODEL}; training begins at iterative quantization and learns by ranking",
        ),
        Preset(
            "bebr-ivf",
            bebr_ivf,
            BEBR_PAPER,
            BEBR_CLAIMS,
            f"{BEBR_MODEL}; 4√n lists, whose centroids are means of codes",
        ),
        Preset(
            "bebr-graph",
            bebr_graph,
            BEBR_PAPER,
            BEBR_CLAIMS,
            f"{BEBR_MODEL}; a graph of 32 links in place of HNSW, and a finer copy to re-rank with, which the paper "
            "does without",
        ),
    )
}


# help(annbench.indexes.presets) lists them.
__doc__ += "\n" + "\n\n".join(str(preset) for preset in PRESETS.values())


def find_preset(name: str) -> Preset:
    """The preset of this name, which is a published method. Raises UnknownNameError with the closest ones."""
    if name not in PRESETS:
        raise UnknownNameError("preset", name, (*PRESETS, AUTO))
    return PRESETS[name]


def chosen_spec(
    n: int, dim: int, metric: str, preset: str | None, choices: Mapping[str, Any], *, queries: bool
) -> IndexSpec:
    """What an index of n vectors is made of: the preset of this name, or what suits them, but for the slots chosen.

    `queries` says whether there are some to learn from. Raises UnknownNameError and UsageError.
    """
    checked_metric(metric)
    if preset is not None:
        return find_preset(preset).spec(n, dim, metric, choices, queries=queries)
    if any(value is not None for value in choices.values()):
        start = make_spec()  # what is not chosen loses nothing
    else:
        start = default_spec(n, dim, metric, queries=queries)
    return with_choices(start, choices)
