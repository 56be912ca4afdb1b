"""Which codes a search looks at: all, some lists of them, or those along a graph. Each is a class and a line here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from annbench.indexes.choice import Choice

DEFAULT_SLACK = 0.08  # of searches along a graph
SLACK_EF = 1000  # that are expanded at most where slack ends a search
DEFAULT_EF = 64  # where it cannot: inner products are no distances; about as many as slack lets most searches expand
NO_SLACK = -1.0


def walk_end(metric: str, ef_search: int | None, slack: float | None) -> tuple[int, float]:
    """Where a search along a graph ends: after how many expanded nodes, and by how much slack, NO_SLACK for none.

    Each None is a default: slack, unless `ef_search` is given or the metric has none.
    """
    if slack is None:
        if ef_search is not None:
            return ef_search, NO_SLACK
        if metric == "ip":
            return DEFAULT_EF, NO_SLACK
        slack = DEFAULT_SLACK
    return SLACK_EF if ef_search is None else ef_search, slack


class Structure(Choice):
    """The choice of a structure with its parameters."""

    def problem(self, n: int, dim: int) -> tuple[str, str] | None:
        """Why n vectors coded in `dim` dimensions cannot be arranged so, and what to do about it; or None."""
        return None


class Flat(Structure):
    """Every search looks at every code."""

    kind: Literal["flat"] = "flat"

    def __str__(self) -> str:
        return "flat"


class Ivf(Structure):
    """Inverted lists: `nlist` clusters of the mapped vectors, of which a search looks into the nearest `nprobe`.

    `dim` clusters by the first dimensions only (AdANNS-IVF; Rege et al., NeurIPS 2023); None for all that are coded.
    With `assignments` 2 every vector also goes to the list whose residual is most orthogonal to its first one's (SOAR;
    Sun et al., NeurIPS 2023). `train_rows` vectors are sampled for the clustering; None: 128 a list.
    """

    kind: Literal["ivf"] = "ivf"
    nlist: int = Field(ge=1, le=1 << 20)
    dim: int | None = Field(default=None, ge=1)
    assignments: Literal[1, 2] = 1
    train_rows: int | None = Field(default=None, ge=1)

    def __str__(self) -> str:
        return f"{self.nlist:,} lists"

    @model_validator(mode="after")
    def _enough(self) -> Ivf:
        if self.assignments > self.nlist:
            raise ValueError("assignments 2 needs two lists; set nlist >= 2, or assignments 1")
        if self.train_rows is not None and self.train_rows < self.nlist:
            raise ValueError(
                f"train_rows {self.train_rows} is below nlist {self.nlist}; set train_rows >= {self.nlist}"
            )
        return self

    def problem(self, n: int, dim: int) -> tuple[str, str] | None:
        if self.nlist > n:
            return f"nlist {self.nlist} exceeds the {n} vectors", f"set nlist <= {n}, or structure flat"
        if self.dim is not None and self.dim > dim:
            return f"structure dim {self.dim} exceeds the {dim} dimensions that are coded", f"set dim <= {dim}"
        return None


QUERY_LINKS = 16  # that pay where there are queries unlike the vectors to learn from


class GraphStructure(Structure):
    """Every vector is linked to near ones, at most `degree` of them; a search goes from link to link (Vamana;
    Subramanya et al., DiskANN, NeurIPS 2019).

    Vectors come in at random. Links are chosen among the `candidates` nearest that a search along the graph so far
    finds: of two the farther one is left out where `alpha` times their squared distance does not exceed its own; for
    inner products they are chosen by direction among the candidates. The room that this leaves goes to links from near
    vectors to those that fewer than half of `degree` lead to, and then to links to the nearest. A search begins at
    `entries` vectors in the middle of clusters and expands the `ef_search` nearest that it finds.

    With `query_links`, up to so many links of a vector are made for the training queries that the index is built with,
    in place of its farthest ones: where queries are unlike the vectors, those nearest to one may be far from one
    another. Each of the 200 nearest to a query, found by a scan of all codes, is linked to one that is nearer to it,
    and from such a one (after RoarGraph; Chen et al., VLDB 2024). `add` and `remove` choose links by the distances
    between vectors alone: where they change a row, its links for queries may go.
    """

    kind: Literal["graph"] = "graph"
    degree: int = Field(default=32, ge=2, le=1024)
    alpha: float = Field(default=1.1, ge=1, le=10, allow_inf_nan=False)
    candidates: int = Field(default=64, ge=2, le=4096)
    entries: int = Field(default=64, ge=1, le=4096)
    query_links: int = Field(default=0, ge=0, le=1023)

    def __str__(self) -> str:
        return f"graph of {self.degree} links"

    @model_validator(mode="after")
    def _room(self) -> GraphStructure:
        if self.query_links >= self.degree:
            raise ValueError(
                f"query_links {self.query_links} leaves none of degree {self.degree} for links between near vectors; "
                f"set query_links < {self.degree}"
            )
        return self


STRUCTURES: dict[str, type[Structure]] = {
    "flat": Flat,
    "ivf": Ivf,
    "graph": GraphStructure,
}
