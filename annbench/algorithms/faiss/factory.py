"""Any index that `faiss.index_factory` can make, tuned by the strings of `faiss.ParameterSpace`: the way out for what
has no adapter of its own, such as

    - algorithm: faiss-factory
      build: {factory: "OPQ32_128,IVF256_HNSW32,PQ32x4fs,RFlat"}
      search: {parameters: ["nprobe=8,quantizer_efSearch=32,k_factor_rf=10"]}

Cosine compares unit vectors by L2, whatever the codes: every index of the library knows L2.

`{dim}`, `{dim/4}` and the like stand for the data's dimension and its parts, rounded down, so that one config suits
data of any dimension: `OPQ{dim/8}_{dim/2},PQ{dim/8}x4fs`.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field

from annbench.algorithms.base import Cost, Params, PointContext, Trial
from annbench.algorithms.faiss.common import (
    DEFAULT_CLUSTERING_SEED,
    SLOW_DIMENSIONS,
    WRAPPER,
    ZERO_VECTORS,
    FaissFamily,
)
from annbench.datasets.info import Metric

_SOURCE = re.compile(r"^Error in .*? at [^ ]*:\d+: (Error: '.*?' failed:? ?(?=.))?", re.DOTALL)
_LISTS = re.compile(r"IVF([0-9]+)([kM]?)")
_PART = re.compile(r"\{dim(?:/([1-9][0-9]{0,4}))?\}")
_UNITS = {"": 1, "k": 1024, "M": 1 << 20}
# What the library starts with, so that one point's parameters do not stay for the next.
DEFAULTS = {"nprobe": "1", "k_factor_rf": "1", "k_factor": "4", "efSearch": "16", "ht": "1e9", "max_codes": "inf"}


PCA_OVERFLOWS = "PCA sums squares over the base in float32, and fails where that sum overflows, though no distance does"


class FactoryBuild(Params):
    """`factory` is the description, in which `{dim/8}` is a part of the dimension; `parameters` are set before
    training (`efConstruction=200`).

    `seed` seeds what the library draws: clusterings, rotations, levels, wherever they sit in the index.
    """

    factory: str = Field(min_length=1, max_length=1000)
    parameters: str = Field(default="", max_length=1000)
    seed: int = Field(default=DEFAULT_CLUSTERING_SEED, ge=0, lt=2**31 - 100)


class FactorySearch(Params):
    """`parameters` as `faiss.ParameterSpace().set_index_parameters` takes them: `nprobe=16,k_factor_rf=4`."""

    parameters: str = Field(default="", max_length=1000)


class FaissFactory(FaissFamily):
    """Whatever the factory string says."""

    BuildParams = FactoryBuild
    SearchParams = FactorySearch
    seed_parameter = "seed"
    random_build = True
    known_limits = (
        WRAPPER,
        ZERO_VECTORS,
        SLOW_DIMENSIONS,
        "the string is taken as it is: whether the index suits the data, and whether RaBitQ has a rotation in front, "
        "is its author's choice",
        PCA_OVERFLOWS,
        "OPQ and ITQ draw from seeds fixed inside the library",
        "search parameters that faiss.ParameterSpace does not know stay at the library's defaults",
    )
    trials = (
        Trial({"factory": "Flat"}, recall=1.0, exceptions={"zero_vectors:cosine": ZERO_VECTORS}),
        Trial(
            {"factory": "PCAR16,IVF8_HNSW8,SQ8,RFlat", "parameters": "quantizer_efConstruction=100"},
            {"parameters": "nprobe=8,k_factor_rf=20,quantizer_efSearch=32"},
            recall=0.9,
            small_build={"factory": "IVF1,Flat", "parameters": ""},
            small_search={"parameters": "nprobe=1"},
            exceptions={"ends_of_float32:euclidean": PCA_OVERFLOWS, "ends_of_float32:ip": PCA_OVERFLOWS},
        ),
        Trial({"factory": "HNSW16", "parameters": "efConstruction=100"}, {"parameters": "efSearch=200"}, recall=0.98),
    )

    @classmethod
    def factory(cls, params: FactoryBuild) -> str:
        """As given."""
        return params.factory

    @classmethod
    def exact_codes(cls, params: FactoryBuild) -> bool:
        """Unknown, so L2 over unit vectors."""
        return False

    @classmethod
    def check(cls, context: PointContext, build: FactoryBuild, search: FactorySearch) -> str | None:
        """Make the empty index, and set both lists of parameters on it: what the library says against them, and what it
        should have said."""
        import faiss

        described = described_for(context.dim, build.factory)
        lists = max((int(digits) * _UNITS[unit] for digits, unit in _LISTS.findall(described)), default=0)
        if lists > context.n:  # before the library reserves memory for them
            return f"nlist={lists} exceeds n={context.n}"
        inner = context.metric == "ip"
        try:
            metric = faiss.METRIC_INNER_PRODUCT if inner else faiss.METRIC_L2
            index = faiss.index_factory(context.dim, described, metric)
        except Exception as error:  # whatever the library throws is its answer
            return f"factory={described!r} is refused by faiss: {_said(error)}"
        for text in (build.parameters, search.parameters):
            try:
                set_parameters(index, text)
            except Exception as error:
                return f"parameters={text!r} is refused by faiss: {_said(error)}"
        return _nonsense(index, context)

    @classmethod
    def estimate(cls, context: PointContext, build: FactoryBuild, search: FactorySearch) -> Cost | None:
        """Codes as long as the library says, with ids and centroids of lists; links of graphs come on top.

        Its times are anybody's guess, so they are those of an exhaustive scan.
        """
        import faiss

        index = faiss.index_factory(context.dim, described_for(context.dim, build.factory))
        try:
            code_bytes = index.sa_code_size()
        except RuntimeError:
            code_bytes = 4 * context.dim  # no stand-alone codec: graphs over float32
        ivf = faiss.try_extract_index_ivf(index)
        lists = 0 if ivf is None else 8 * context.n + 4 * ivf.nlist * ivf.d
        size = float(context.n * context.dim)
        return Cost(index_bytes=float(context.n * code_bytes + lists), build_operations=size, search_operations=size)

    def create(self, dim: int, params: FactoryBuild, metric: int) -> Any:
        """As described for this dimension."""
        import faiss

        return faiss.index_factory(dim, described_for(dim, params.factory), metric)

    def prepare(self, index: Any, params: FactoryBuild) -> None:
        """Seed it, and set the parameters that training and adding look at."""
        seed_everything(index, params.seed)
        set_parameters(index, params.parameters)

    def apply(self, index: Any, params: FactorySearch) -> None:
        """Set the search parameters, and what an earlier point has set besides back to where it was."""
        reset = (f"{name}={DEFAULTS[name.rpartition('quantizer_')[2]]}" for name in sorted(self._touched))
        for text in (",".join(reset), self._params.parameters, params.parameters):
            set_parameters(index, text)
        names = (part.partition("=")[0] for part in re.split("[ ,]+", params.parameters))
        self._touched |= {name for name in names if name.rpartition("quantizer_")[2] in DEFAULTS}

    def _open(self, index: Any, metric: Metric, params: FactoryBuild) -> None:
        super()._open(index, metric, params)
        self._params = params
        self._touched: set[str] = set()


def described_for(dim: int, factory: str) -> str:
    """`factory` with `{dim}` and `{dim/4}` replaced by numbers.

    >>> described_for(100, "PCAR{dim/8},RaBitQ4")
    'PCAR12,RaBitQ4'
    """
    return _PART.sub(lambda match: str(dim // int(match.group(1) or 1)), factory)


def set_parameters(index: Any, text: str) -> None:
    """Set `nprobe=16,k_factor_rf=4` on `index`. Raises RuntimeError, with the library's words, for what it refuses."""
    import faiss

    space: Any = faiss.ParameterSpace()
    space.set_index_parameters(index, text)


def seed_everything(index: Any, seed: int) -> None:
    """Seed clusterings, rotations and levels in `index`, through refinement, transforms and coarse quantizers."""
    import faiss

    index = faiss.downcast_index(index)
    kind: Any = faiss.IndexLSH
    if isinstance(index, faiss.IndexPreTransform):
        chain: Any = index.chain
        for position in range(chain.size()):
            transform: Any = faiss.downcast_VectorTransform(chain.at(position))
            if isinstance(transform, faiss.RandomRotationMatrix):
                transform.init(seed)
    if isinstance(index, kind) and index.rotate_data:
        index.rrot.init(seed)
    owners: tuple[Any, ...] = (index, getattr(index, "pq", None))
    for owner in owners:
        if hasattr(owner, "cp"):
            owner.cp.seed = seed
    if hasattr(index, "hnsw"):
        index.hnsw.rng = faiss.RandomGenerator(seed)  # type: ignore[attr-defined]
    for inner in ("base_index", "refine_index", "index", "quantizer", "storage"):
        if isinstance(found := getattr(index, inner, None), faiss.Index):
            seed_everything(found, seed)


def _nonsense(index: Any, context: PointContext) -> str | None:
    """What the library takes without a word, and should not."""
    import faiss

    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexRefine):
        if index.k_factor < 1:
            return f"k_factor_rf={index.k_factor:g} is below 1"
        return _nonsense(index.base_index, context)
    if isinstance(index, faiss.IndexPreTransform):
        chain: Any = index.chain
        for transform in (chain.at(position) for position in range(chain.size())):
            if (
                isinstance(faiss.downcast_VectorTransform(transform), faiss.PCAMatrix)
                and transform.d_out > transform.d_in
            ):
                return f"PCA cannot make {transform.d_out} dimensions of {transform.d_in}"
        return _nonsense(index.index, context)
    if isinstance(index, faiss.IndexIVF) and not 1 <= index.nprobe <= index.nlist:
        return f"nprobe={index.nprobe} is not between 1 and nlist={index.nlist}"
    if isinstance(index, faiss.IndexHNSW) and index.hnsw.efSearch < context.k:
        return f"efSearch={index.hnsw.efSearch} is below k={context.k}"
    if isinstance(index, faiss.IndexNSG):
        return "NSG has an adapter of its own; take faiss-nsg"
    if hasattr(index, "pq") and index.pq.ksub > context.n:
        return f"its product quantizer needs {index.pq.ksub} vectors to train on, n={context.n}"
    return None


def _said(error: Exception) -> str:
    """The library's message without the signature it comes from."""
    return _SOURCE.sub("", str(error)).strip()
