"""`annbench.Index`: a compressed index of vectors, in four slots of one's choice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annbench._native import ComposedIndex, IdFilter
from annbench._native import IndexFileError as NativeIndexFileError
from annbench.errors import IndexFileError, UsageError
from annbench.indexes.about import About
from annbench.indexes.arguments import MOST_ANSWERS, at_most, checked_rows, count, file_name, silent, thread_count
from annbench.indexes.auto.deciding import decide
from annbench.indexes.auto.wish import Auto, expected_spec, named
from annbench.indexes.building import build_native, fill
from annbench.indexes.clusters import Assigner
from annbench.indexes.filters import as_filter
from annbench.indexes.on_disk import DEFAULT_CACHE_BYTES, file_error, load_native, require_in_memory
from annbench.indexes.presets import chosen_spec
from annbench.indexes.spec import IndexSpec, checked_metric
from annbench.indexes.structures import NO_SLACK, GraphStructure, walk_end
from annbench.indexes.training import limited_threads, usable_cores
from annbench.indexes.transforms.base import Maps
from annbench.indexes.vectors import as_ids, as_matrix, as_query, as_rows, check_values
from annbench.isa import isa

Ids = NDArray[np.int64]
Distances = NDArray[np.float32]
Progress = Callable[[str, int, int], None]

DEFAULT_EPSILON = 1.9
MOST_SLACK = 1000
LARGEST_ID = (1 << 63) - 1


class Index:
    """A compressed index of vectors under euclidean distance, cosine distance or inner product.

    Ten lines that show all of it::

        import annbench, numpy as np

        x = np.load("vectors.npy")                       # (n, dim): float32, float16, int8 or uint8
        index = annbench.Index.build(x, "cosine")        # or preset="lvq", or codec={"kind": "uniform", "bits": 8} …
        print(index)                                     # what it is made of, and what that takes
        ids, distances = index.search(x[0], k=10)        # one query (dim,) → (10,); many (m, dim) → (m, 10)
        ids, distances = index.search(x[:100], k=10, nprobe=64, threads=2)
        ids, distances = index.search(x[0], k=10, allowed=np.arange(500))      # among these ids; see annbench.Filter
        index.add(x[:3] * 0.5, ids=[900_001, 900_002, 900_003])
        index.remove([900_002])
        index.save("vectors.index")
        index = annbench.Index.load("vectors.index")     # in any process: the same answers; on_disk= for large ones

    An index is a choice in each of four slots, and every slot has a default:

    - transform: what vectors go through before they are coded: identity (center), pca, whitening, leanvec-ood (dim,
      rotate), prefix, sparse-projection (dim), random-rotation, fast-rotation (center)
    - codec: what is stored of them: float32, float16, uniform (bits 1 to 8, fit, residual_bits, scan_bits), product
      (groups, opq), va-file (bits, hamming_keep), levels (layout)
    - structure: which codes a search looks at: flat (all), ivf (nlist; the nearest `nprobe` lists of them) or graph
      (degree, alpha; along links from near to nearer, the `ef_search` nearest are expanded)
    - rerank: a finer copy that decides among the `rerank_k` best: none, uniform (bits 4 or 8), float16, float32

    A slot is given as `{"kind": "pca", "dim": 64}`, or as the kind alone where that is enough; every kind is explained
    by its class, such as help(annbench.indexes.codecs.uniform.Uniform). A `preset` is a published method: pca-rag, lvq,
    leanvec, leanvec-ood, graph-lvq, graph-f16, rabitq, bbq, adanns-ivf, adanns-opq, squash-osq, bebr, bebr-ivf,
    bebr-graph; help(annbench.indexes.presets) says what its paper claims and where ours differs. Preset auto chooses
    for the vectors at hand, by trying codes on a sample of them, and says why (`why`;
    help(annbench.indexes.auto.wish.Auto)).
    Slots that are given replace the preset's.

    Distances are L2 (not squared), 1 − cosine, or the negative inner product; smaller is nearer. They are estimates
    unless the rerank is float32, or the codec is float32 without a transform.

    Searches may run in any number of threads at once; `add` and `remove` wait for them, and they for those. With a
    graph, where changes take longer, searches run between their steps.
    """

    __slots__ = (
        "_about",
        "_assigner",
        "_changing",
        "_maps",
        "_native",
        "_next_id",
        "_nprobe",
        "_rerank_factor",
        "_search_one",
    )

    def __init__(self, native: ComposedIndex, about: About) -> None:
        """Around a native index; use `Index.build` and `Index.load`."""
        self._native = native
        self._about = about
        self._search_one = native.search_one
        self._nprobe = about.spec.default_nprobe
        self._rerank_factor = about.spec.default_rerank_factor
        self._changing = threading.Lock()  # one add or remove at a time: new ids follow from those there are
        self._next_id: int | None = None
        self._maps: Maps | None = None
        self._assigner: Assigner | None = None
        if isinstance(structure := about.spec.structure, GraphStructure):
            native.set_growth(alpha=structure.alpha, candidates=structure.candidates, entries=structure.entries)

    @classmethod
    def build(
        cls,
        x: Any,
        metric: str = "euclidean",
        *,
        preset: str | Mapping[str, Any] | Auto | None = None,
        transform: Any = None,
        codec: Any = None,
        structure: Any = None,
        rerank: Any = None,
        queries: Any = None,
        ids: Any = None,
        seed: int = 0,
        threads: int | None = None,
        progress: Progress | None = None,
    ) -> Index:
        """An index of the rows of `x` (n, dim): float32, float16, int8, uint8 or float64, in any memory layout.

        Args:
            x: the vectors. They are read in blocks, and not kept; beside a block there is a sample to learn from, of up
                to 100,000 rows or 128 a list. A memory-mapped array will do.
            metric: euclidean, cosine or ip (inner product, larger is nearer).
            preset: a published method; or `auto`, which chooses for the vectors at hand and says why, also as
                {"kind": "auto", "recall": 0.98, "bytes_per_vector": 300}. Without it and without slots, what suits n
                and dim.
            transform, codec, structure, rerank: the slots; see the class.
            queries: (m, dim), queries to learn from, where they are unlike the vectors: for transform leanvec-ood,
                which is then the default, and for a graph's query_links. Never those that recall is measured with.
            ids: (n,) int64, distinct, not negative; the rows' numbers if None. They stay what they are.
            seed: of everything random. The same vectors, seed and number of threads give the same index.
            threads: how many build; None for all cores that this process may use.
            progress: called now and then as progress(phase, done, total).

        Raises:
            UsageError: something that cannot be built so, with what to do about it.
            UnknownNameError: names of kinds, presets and parameters that do not exist, with the closest ones.
            DatasetError: NaN, infinite or too large values, with the first row.
        """
        isa()  # an ANNBENCH_ISA that is none is told first
        vectors = as_matrix(x, "x")
        n, dim = vectors.shape
        choices = {"transform": transform, "codec": codec, "structure": structure, "rerank": rerank}
        wish, name = named(preset)
        given = None if queries is None else as_matrix(queries, "queries", dim)
        learns = given is not None and len(given) > 0
        if wish is not None:
            spec = expected_spec(n, dim, checked_metric(metric), choices)
        else:
            spec = chosen_spec(n, dim, metric, name, choices, queries=learns)
        spec = spec.resolved()
        spec.check(n, dim, metric, queries=learns)
        about = About(
            metric=checked_metric(metric),
            spec=spec,
            dim=dim,
            preset=name,
            seed=count("seed", seed, 0),
            chosen=tuple(slot for slot, value in choices.items() if value is not None),
        )
        own_ids = np.arange(n, dtype=np.int64) if ids is None else as_ids(ids, n)
        zero = checked_rows(vectors, about)
        learn = None
        if given is not None:
            check_values(given, "queries")
            learn = as_rows(given, unit=about.unit)
        if about.unit:
            about = about.with_zero_ids(own_ids[zero])
        threads = thread_count(usable_cores() if threads is None else threads)
        with limited_threads(threads):
            if wish is not None:
                spec, why = decide(vectors, about.metric, wish, choices, learn, seed=about.seed, threads=threads)
                spec.check(n, dim, metric, queries=learns)
                about = replace(about, spec=spec, why=why)
            native, maps, assigner = build_native(vectors, own_ids, about, learn, threads, progress or silent)
        index = cls(native, replace(about, spec=about.spec.placeless()))  # as it will be read
        index._maps, index._assigner = maps, assigner
        return index

    @classmethod
    def load(
        cls, path: str | Path, *, on_disk: str | Sequence[str] = (), cache_bytes: int = DEFAULT_CACHE_BYTES
    ) -> Index:
        """Read an index that `save` wrote.

        Args:
            path: the file. All of it is checked, whatever stays there.
            on_disk: parts that are left in the file and read as searches need them: "rerank", the finer copy of the
                vectors; "links", those of a graph; or both. Answers are the same. Such an index is for searches only:
                `add`, `remove`, `compact` and `save` raise UsageError. The file stays open: deleting or replacing it
                does no harm. Writing into it or cutting it short does: searches that come upon it raise IndexFileError.
            cache_bytes: how much memory keeps what was read of them; besides, a thread that searches takes up to 3 MiB
                while it reads. The system's own cache of files is not in it: that gives way where memory is wanted.

        Raises:
            IndexFileError: a file that is none, or not an intact one.
            UsageError: parts that the index does not have.
            UnknownNameError: names that are no parts.
        """
        native = load_native(file_name(path), on_disk, cache_bytes)
        try:
            description = native.description
        except UnicodeDecodeError:
            description = ""
        about = About.from_json(description, str(path))
        try:
            native.search(np.empty((0, about.dim), dtype=np.float32), 1)
        except ValueError:
            raise IndexFileError(
                f"its description speaks of {about.dim} dimensions, and its vectors have others",
                where=str(path),
                remedy="build the index again",
            ) from None
        return cls(native, about)

    def save(self, path: str | Path) -> None:
        """Write the index to one file, with checksums; a file that is there is replaced at once or not at all.

        A graph is cleared of removed vectors first, as by `compact`. Raises IndexFileError; UsageError where parts of
        the index are on disk.
        """
        require_in_memory(self._native)
        try:
            self._native.save(file_name(path), description=self._about.json())
        except NativeIndexFileError as error:
            raise file_error(error) from None

    def search(
        self,
        q: Any,
        k: int = 10,
        *,
        nprobe: int | None = None,
        rerank_k: int | None = None,
        ef_search: int | None = None,
        patience: int = 0,
        slack: float | None = None,
        epsilon: float = DEFAULT_EPSILON,
        allowed: Any = None,
        threads: int = 1,
    ) -> tuple[Ids, Distances]:
        """The k nearest vectors: ids and distances, nearest first; −1 and inf where there are fewer than k.

        Args:
            q: one query (dim,), answered by (k,) and (k,), or many (m, dim), answered by (m, k) and (m, k). A single
                C-contiguous float32 query is fastest; others are converted.
            k: how many, at least 1.
            nprobe: how many lists are looked into: more is slower and finds more; None for a default. Flat indexes have
                one list.
            rerank_k: how many candidates the finer copy decides among, at least k are; None for a default.
            ef_search: how many of the nearest codes a search along a graph expands, looking at what they are linked to:
                more is slower and finds more. Fewer than k will do: what was looked at is kept all the same. None for
                as many as slack asks for, 1,000 at most; for metric ip, which has no slack, 64. Other structures ignore
                it.
            patience: after how many nodes in a row that bring nothing new among the candidates a search along a graph
                ends, before `ef_search` are expanded; 0 for never.
            slack: where a search along a graph ends before `ef_search` are expanded: when what comes next is farther
                than 1 + slack times the k-th nearest that was found, by codes. Queries get as much work as they need:
                with 0.02 to 0.1 more is found in the same time than by `ef_search` alone. None for 0.08, or for no such
                end where `ef_search` is given; not for metric ip. After Al-Jazzazi et al., arXiv 2505.15636, whose γ it
                is.
            epsilon: how cautiously a 1-bit scan leaves out candidates, in standard errors of its estimate.
            allowed: the ids that may be found: an annbench.Filter, made once for many searches, or what one is made of,
                ids or a mask by id. Where these are few, all of them are looked at, and `nprobe` and `ef_search` mean
                nothing; else lists are looked into as without it, so that more of them find what is rarer.
            threads: how many threads share the queries; or the lists, for one query.

        Raises:
            UsageError: a query of another dim or dtype, or a parameter that cannot be.
            DatasetError: NaN, infinite or too large values, with the first row.
            IndexFileError: parts on disk that cannot be read, or were altered.
        """
        if nprobe is None:
            nprobe = self._nprobe
        if slack is None and ef_search is not None:
            end = NO_SLACK  # as walk_end says, 50 ns sooner: whole searches take 9 µs
        else:
            ef_search, end = walk_end(self._about.metric, ef_search, self._checked_slack(slack))
        only = None if allowed is None else as_filter(allowed)
        try:
            if rerank_k is None:
                rerank_k = self._rerank_factor * k
            if threads >= 1 and epsilon >= 0:
                # A float32 vector goes straight through; whatever else it is, is looked at below.
                return self._search_one(q, k, nprobe, rerank_k, epsilon, threads, ef_search, patience, end, only)
        except (TypeError, ValueError):
            pass
        except NativeIndexFileError as error:
            raise file_error(error) from None
        return self._search_converted(q, k, nprobe, rerank_k, ef_search, patience, end, epsilon, threads, only)

    def add(self, x: Any, ids: Any = None, *, threads: int = 1) -> Ids:
        """Add the rows of `x` (m, dim), as in `build`; returns their ids (m,).

        `ids` (m,) int64 must not be in use; if None, they continue above the largest there was. What was learned when
        the index was built stays as it is. Raises UsageError and DatasetError, and adds nothing then.

        In a graph every vector is looked for, as by a search with 160 in sight, or `candidates` where that is more, and
        linked to the near ones, and they to it; which are nearer, the rerank's copy decides, or without one the codes.
        `threads` share that work, and change nothing in what comes out. Searches run meanwhile, and find the vectors
        that are in. From then on the graph takes 4 bytes a vector more, until `compact`.
        """
        threads = thread_count(threads)
        require_in_memory(self._native)
        vectors = as_matrix(x, "x", self.dim)
        m = len(vectors)
        zero = checked_rows(vectors, self._about)
        given = None if ids is None else as_ids(ids, m)
        with self._changing:
            if given is None:
                own_ids = self._new_ids(m)
            else:
                own_ids = given
                self._refuse_used(own_ids)
            before = len(self._native)
            maps, assigner = self._linear_maps(), self._assign()
            try:
                fill(
                    self._native,
                    vectors,
                    own_ids,
                    self._about,
                    maps,
                    assigner,
                    silent,
                    check_ids=False,
                    threads=threads,
                )
            except BaseException as error:  # an interrupt too: of several blocks, the first may be in
                if added := len(self._native) - before:
                    self._native.remove(own_ids[:added])
                if isinstance(error, ValueError):
                    remedy = "add vectors like those that the index was built from, or build it again"
                    raise UsageError(str(error), where="x", remedy=remedy) from None
                raise
            self._next_id = max(self._first_free(), int(own_ids.max(initial=-1)) + 1)
            if self._about.unit:
                self._about = self._about.with_zero_ids(own_ids[zero])
        return own_ids

    def remove(self, ids: Any, *, threads: int = 1) -> int:
        """Remove the vectors with these ids (m,); returns m. Raises UsageError for an id that is not there, and removes
        nothing then.

        From a graph they are gone at once for searches, `len` and `ids`, while their codes and links stay as a way
        through until they are more than a tenth of all. Then what links to them is linked anew, by `threads`, which
        takes the links once more in memory; searches run meanwhile.
        """
        threads = thread_count(threads)
        require_in_memory(self._native)
        given = np.atleast_1d(np.asarray(ids))
        own_ids = as_ids(given, len(given))
        with self._changing:
            try:
                self._native.remove(own_ids, threads)
            except (IndexError, ValueError) as error:
                raise UsageError(str(error), where="ids", remedy="give ids of vectors that are in the index") from None
            self._about = self._about.without_zero_ids(own_ids)
        return len(own_ids)

    def reserve(self, n: int) -> None:
        """Take memory for `n` vectors in all: until there are more, `add` copies nothing. Otherwise an index that has
        to grow does so by half, and has both in memory meanwhile. Inverted lists grow one by one all the same.

        Raises UsageError for a number that cannot be, MemoryError.
        """
        require_in_memory(self._native)
        n = count("n", n, 0)
        with self._changing:
            try:
                self._native.reserve(n, max(n, self._first_free()) - 1)
            except ValueError as error:
                raise UsageError(str(error), where="n", remedy="give the number of vectors there will be") from None

    def compact(self, *, threads: int = 1) -> None:
        """Give back the memory that is there for further changes; after the last one of many.

        A graph is cleared of removed vectors, as `remove` does when they are many.
        """
        threads = thread_count(threads)
        require_in_memory(self._native)
        with self._changing:
            self._native.compact(threads)

    @property
    def native(self) -> ComposedIndex:
        """The native index, for those who prepare what they pass to it; its arguments are never converted."""
        return self._native

    @property
    def ids(self) -> Ids:
        """Ids (n,) of all vectors, in no particular order."""
        return np.asarray(self._native.ids)

    @property
    def dim(self) -> int:
        """Dimensions of the vectors, before the transform."""
        return self._about.dim

    @property
    def metric(self) -> str:
        """euclidean, cosine or ip."""
        return self._about.metric

    @property
    def spec(self) -> IndexSpec:
        """What the index is made of; `index.spec.fields()` is that as a configuration writes it."""
        return self._about.spec

    @property
    def why(self) -> tuple[str, ...]:
        """The reasons for what preset auto has chosen, in sentences; none for other presets."""
        return self._about.why

    @property
    def nbytes(self) -> int:
        """Bytes that the index takes in memory, a cache of parts on disk included."""
        return sum(self._native.nbytes.values())

    @property
    def nbytes_by_part(self) -> dict[str, int]:
        """Bytes in memory by what they are for: codes, rerank, ids, lists, centroids, maps, tables …"""
        return dict(self._native.nbytes)

    @property
    def disk_nbytes_by_part(self) -> dict[str, int]:
        """Bytes that stay in the file: of rerank, of links; nothing where `load` was not told so."""
        return dict(self._native.disk_nbytes)

    @property
    def zero_ids(self) -> Ids:
        """Ids of vectors of length zero under cosine, which are at distance 1 from everything; none for other metrics.

        A file names 10,000 of them at most.
        """
        return np.array(self._about.zero_ids, dtype=np.int64)

    def __len__(self) -> int:
        """How many vectors there are."""
        return len(self._native)

    def __repr__(self) -> str:
        """What it is made of, and what that takes."""
        return self._about.describe(len(self), self._native.nbytes, self._native.disk_nbytes)

    def _search_converted(
        self,
        q: Any,
        k: Any,
        nprobe: Any,
        rerank_k: Any,
        ef: Any,
        patience: Any,
        slack: float,
        epsilon: Any,
        threads: Any,
        allowed: IdFilter | None,
    ) -> tuple[Ids, Distances]:
        query = as_query(q, self.dim)
        counts = (count("k", k, 1), at_most("nprobe", nprobe, 1), at_most("rerank_k", rerank_k, 0))
        queries = 1 if query.ndim == 1 else len(query)
        if counts[0] * queries > MOST_ANSWERS:
            raise UsageError(f"got {k:,} for {queries:,} queries", where="k", remedy="ask for fewer answers at once")
        if not isinstance(epsilon, int | float) or not epsilon >= 0:
            raise UsageError(f"got {epsilon!r}", where="epsilon", remedy="give a number of at least 0")
        ef, patience = at_most("ef_search", ef, 1), at_most("patience", patience, 0)
        threads = thread_count(threads)
        try:
            if query.ndim == 1:
                return self._search_one(query, *counts, epsilon, threads, ef, patience, slack, allowed)
            k, nprobe, rerank_k = counts
            return self._native.search(
                query,
                k,
                nprobe=nprobe,
                rerank_k=rerank_k,
                epsilon=epsilon,
                threads=threads,
                ef=ef,
                patience=patience,
                slack=slack,
                filter=allowed,
            )
        except NativeIndexFileError as error:
            raise file_error(error) from None
        except ValueError as error:
            check_values(np.atleast_2d(query), "q")  # says which
            raise UsageError(str(error), where="q", remedy="scale the queries down, or use another transform") from None

    def _checked_slack(self, slack: Any) -> float | None:
        if slack is None:
            return None
        if isinstance(slack, bool) or not isinstance(slack, int | float) or not 0 <= slack <= MOST_SLACK:
            raise UsageError(f"got {slack!r}", where="slack", remedy=f"give a number from 0 to {MOST_SLACK}, or None")
        if self.metric == "ip":
            raise UsageError("it is of distances, and inner products are none", where="slack", remedy="leave it out")
        return float(slack)

    def _first_free(self) -> int:
        if self._next_id is None:
            self._next_id = int(self._native.ids.max(initial=-1)) + 1
        return self._next_id

    def _new_ids(self, m: int) -> Ids:
        first = self._first_free()
        if m and first + m - 1 > LARGEST_ID:
            raise UsageError(
                f"fewer than {m:,} are left above {first - 1}", where="ids", remedy="give ids that are not in the index"
            )
        return min(first, LARGEST_ID) + np.arange(m, dtype=np.int64)

    def _refuse_used(self, ids: Ids) -> None:
        used = np.flatnonzero(np.isin(ids, self._native.ids))
        if used.size:
            row = int(used[0])
            raise UsageError(
                f"id {ids[row]} is in use", where=f"ids: {row}", remedy="give ids that are not in the index, or none"
            )

    def _linear_maps(self) -> Maps:
        if self._maps is None:
            self._maps = self._about.maps_of(self._native.maps)
        return self._maps

    def _assign(self) -> Assigner | None:
        if self._assigner is None:
            self._assigner = self._about.assigner_of(self._native.maps)
        return self._assigner
