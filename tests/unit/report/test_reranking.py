"""The same codes with and without a finer copy are recognised, in every adapter's own words."""

from __future__ import annotations

from typing import Any

import pytest
from synthetic_records import make_record

from annbench.report.reranking import Codes, codes_of
from annbench.results.frame import points_frame, records_frame

FACTORY = "faiss-factory"


def codes(algorithm: str, build: dict[str, Any], search: dict[str, Any], *, beside: Any = None) -> Codes:
    """Of one point, in a frame that also has `beside`'s columns: other points' parameters are missing values there."""
    records = [make_record(algorithm=algorithm, build=build, search=search)]
    if beside is not None:
        records.append(make_record(algorithm="other", build=beside, search={"more": 1, "nprobe": 2.5}))
    frame = points_frame(records_frame(records))
    return codes_of(frame[frame["algorithm"] == algorithm].iloc[0].to_dict())


PLAIN_AND_RERANKED = {
    "composed": (
        "composed",
        ({"codec": {"kind": "uniform", "bits": 4}, "rerank": {"kind": "none"}}, {"rerank_k": None, "nprobe": None}),
        ({"codec": {"kind": "uniform", "bits": 4}, "rerank": {"kind": "float32"}}, {"rerank_k": 100, "nprobe": None}),
        "float32",
    ),
    "composed without the slot": (
        "composed",
        ({"codec": {"kind": "uniform", "bits": 4}}, {}),
        ({"codec": {"kind": "uniform", "bits": 4}, "rerank": {"kind": "uniform", "bits": 8}}, {"rerank_k": 100}),
        "uniform bits=8",
    ),
    "faiss factory, flat": (
        FACTORY,
        ({"factory": "RR,RaBitQ4", "parameters": ""}, {"parameters": ""}),
        ({"factory": "RR,RaBitQ4,RFlat", "parameters": ""}, {"parameters": "k_factor_rf=10"}),
        "float32",
    ),
    "faiss factory, refined by codes": (
        FACTORY,
        ({"factory": "IVF8,PQ8x4fs"}, {"parameters": "nprobe=8"}),
        ({"factory": "IVF8,PQ8x4fs,Refine(SQ8)"}, {"parameters": "k_factor_rf=10,nprobe=8"}),
        "SQ8",
    ),
    "faiss lists": (
        "faiss-ivf",
        ({"nlist": 1, "storage": "PQfs", "refine": "none"}, {"nprobe": 1, "k_factor": 1.0}),
        ({"nlist": 1, "storage": "PQfs", "refine": "SQfp16"}, {"nprobe": 1, "k_factor": 10.0}),
        "float16",
    ),
}


@pytest.mark.parametrize("beside", [None, {"rerank": {"kind": "none"}, "refine": "none", "codec": {"kind": "x"}}])
@pytest.mark.parametrize("name", PLAIN_AND_RERANKED)
def test_codes_have_one_key_with_and_without_rerank(name: str, beside: Any) -> None:
    algorithm, plain, reranked, copy = PLAIN_AND_RERANKED[name]
    without, with_it = codes(algorithm, *plain, beside=beside), codes(algorithm, *reranked, beside=beside)
    assert without.key == with_it.key
    assert (without.rerank, without.depth) == (None, None)
    assert (with_it.rerank, with_it.depth) == (copy, 100)


@pytest.mark.parametrize(
    ("build", "search"),
    [
        ({"factory": "RR,RaBitQ2"}, {"parameters": ""}),
        ({"factory": "RR,RaBitQ4"}, {"parameters": "nprobe=4"}),
        ({"factory": "RR,RaBitQ4", "seed": 7}, {"parameters": ""}),
    ],
)
def test_other_codes_or_another_search_have_another_key(build: dict[str, Any], search: dict[str, Any]) -> None:
    assert codes(FACTORY, build, search).key != codes(FACTORY, {"factory": "RR,RaBitQ4"}, {"parameters": ""}).key


def test_a_refinement_that_looks_at_k_alone_says_so() -> None:
    found = codes(FACTORY, {"factory": "SQ4,RFlat"}, {"parameters": ""})
    assert (found.rerank, found.depth) == ("float32", 10)
