"""What an index is made of: parsed, refused with a remedy, and told to the native index."""

from __future__ import annotations

from typing import Any

import pytest

from annbench.errors import UnknownNameError, UsageError
from annbench.indexes.codecs.registry import CODECS
from annbench.indexes.spec import IndexSpec, make_spec, with_choices
from annbench.indexes.structures import STRUCTURES

PCA = {"kind": "pca", "dim": 32}


def uniform(**fields: Any) -> dict[str, Any]:
    return {"kind": "uniform", **fields}


@pytest.mark.parametrize(
    ("codec", "native"),
    [
        ("float32", {"codec": "float32"}),
        ("float16", {"codec": "float16"}),
        (uniform(), {"codec": "uniform", "bits": 4, "fit": "rabitq"}),
        (uniform(bits=8, fit="min-max"), {"codec": "uniform", "bits": 8, "fit": "min-max"}),
        (uniform(bits=2), {"codec": "planes", "bits": 2, "fit": "rabitq", "query_bits": 8, "rescale": True}),
        (
            uniform(bits=4, query_bits=4),
            {"codec": "planes", "bits": 4, "fit": "rabitq", "query_bits": 4, "rescale": True},
        ),
        (uniform(rescale=False), {"codec": "planes", "bits": 4, "fit": "rabitq", "query_bits": 8, "rescale": False}),
        (uniform(bits_per_dim=True), {"codec": "planes", "bits": 4, "fit": "rabitq", "query_bits": 8, "rescale": True}),
        (uniform(residual_bits=8, fit="osq"), {"codec": "two-level", "bits": 4, "second_bits": 8, "fit": "osq"}),
        (uniform(scan_bits=1), {"codec": "staged", "bits": 1, "second_bits": 4, "fit": "rabitq"}),
        (uniform(bits=7, scan_bits=1), {"codec": "staged", "bits": 1, "second_bits": 7, "fit": "rabitq"}),
    ],
)
def test_codecs_by_their_native_names(codec: Any, native: dict[str, Any]) -> None:
    assert make_spec(codec=codec).codec.native() == native


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"codec": "unifrom"}, "did you mean uniform"),
        ({"codec": {"kind": "uniform", "bit": 4}}, "did you mean bits"),
        ({"transform": {"kind": "pcaa", "dim": 3}}, "did you mean pca"),
        ({"structure": "graf"}, "did you mean graph"),
        ({"rerank": "float61"}, "did you mean float16"),
        ({"codec": {"kind": "uniform", "kinds": 4}}, "unknown parameter of uniform"),
    ],
)
def test_unknown_names_list_the_closest(slots: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        make_spec(**slots)


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"codec": uniform(bits=9)}, r"uniform: bits = 9: .*less than or equal to 8"),
        ({"codec": uniform(bits="4")}, r'bits = "4"'),
        ({"codec": uniform(bits=True)}, "bits = true"),
        ({"codec": uniform(residual_bits=8, scan_bits=1)}, "keep one of them"),
        ({"codec": uniform(bits=2, residual_bits=8)}, "set bits 4"),
        ({"codec": uniform(bits=1, scan_bits=1)}, "set bits 2 to 8"),
        ({"codec": uniform(fit="min-max", scan_bits=1)}, "set fit rabitq"),
        ({"codec": uniform(scan_bits=1, query_bits=4)}, "leave them out"),
        ({"codec": uniform(residual_bits=4, rescale=False)}, "leave them out"),
        ({"codec": uniform(residual_bits=5)}, "residual_bits = 5"),
        ({"codec": "product"}, "product: needs groups; add groups"),
        ({"codec": {"kind": "va-file", "bits": 0.0}}, "bits = 0.0"),
        ({"structure": {"kind": "ivf", "nlist": 0}}, "nlist = 0"),
        ({"structure": {"kind": "ivf", "nlist": 1, "assignments": 2}}, "set nlist >= 2"),
        ({"structure": {"kind": "ivf", "nlist": 9, "train_rows": 8}}, "set train_rows >= 9"),
        ({"rerank": {"kind": "uniform", "bits": 5}}, "bits = 5"),
        ({"codec": 4}, r"write \{'kind'"),
        ({"codec": {"bits": 4}}, r"write \{'kind'"),
        ({"codec": STRUCTURES["flat"]()}, "got Flat"),
    ],
)
def test_values_that_cannot_be_say_what_to_do(slots: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_spec(**slots)


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({"transform": {"kind": "pca", "dim": 65}}, "set dim <= 64"),
        ({"codec": {"kind": "product", "groups": 65}}, "set groups <= 64"),
        ({"codec": {"kind": "product", "groups": 15, "opq": True}}, "set groups 16"),
        ({"structure": {"kind": "ivf", "nlist": 101}}, "set nlist <= 100, or structure flat"),
        ({"transform": PCA, "structure": {"kind": "ivf", "nlist": 9, "dim": 33}}, "set dim <= 32"),
        ({"structure": {"kind": "ivf", "nlist": 9, "dim": 8}}, "use a transform that orders them"),
        (
            {
                "transform": PCA,
                "codec": {"kind": "product", "groups": 8, "opq": True},
                "structure": {"kind": "ivf", "nlist": 9, "dim": 8},
            },
            "leave out the structure's dim, or opq",
        ),
        ({"transform": {"kind": "whitening", "dim": 9}, "codec": "va-file"}, "use a transform that keeps distances"),
        ({"codec": {"kind": "va-file", "bits": 0.001}}, "set bits to 1 or more"),
        (
            {"codec": {"kind": "product", "groups": 16, "factors": False}, "structure": {"kind": "ivf", "nlist": 9}},
            "without factors its codes know of no list's centroid; leave out factors, or use structure flat",
        ),
    ],
)
def test_what_does_not_fit_the_vectors_or_each_other(slots: dict[str, Any], message: str) -> None:
    spec = make_spec(**slots)
    with pytest.raises(UsageError, match=message):
        spec.check(100, 64, "euclidean", queries=False)


@pytest.mark.parametrize("codec", ["va-file", {"kind": "product", "groups": 16, "factors": False}])
def test_codes_of_distances_are_not_for_inner_products(codec: Any) -> None:
    spec = make_spec(codec=codec)
    spec.check(100, 64, "cosine", queries=False)
    refused = f"{spec.codec.kind}: its codes stand for distances, .* or metric euclidean or cosine"
    with pytest.raises(UsageError, match=refused):
        spec.check(100, 64, "ip", queries=False)


def test_fields_make_the_same_spec_and_leave_out_defaults() -> None:
    spec = make_spec(PCA, uniform(bits=8, fit="osq"), {"kind": "ivf", "nlist": 5}, "float16")
    assert spec.fields() == {
        "transform": PCA,
        "codec": {"kind": "uniform", "bits": 8, "fit": "osq"},
        "structure": {"kind": "ivf", "nlist": 5},
        "rerank": {"kind": "float16"},
    }
    assert make_spec(**spec.fields()) == spec
    assert with_choices(spec, {"codec": None, "rerank": "none"}).fields()["rerank"] == {"kind": "none"}
    assert with_choices(spec, {"codec": CODECS["float32"]()}).codec == CODECS["float32"]()
    with pytest.raises(UnknownNameError, match="did you mean codec"):
        with_choices(spec, {"codex": "float32"})


def test_what_is_derived_of_a_spec() -> None:
    plain = make_spec()
    assert (plain.nlist, plain.assignments, plain.default_nprobe, plain.default_rerank_factor) == (1, 1, 1, 0)
    assert (plain.coded_dim(64), plain.prefix_dim(64), plain.rotation_edges(64)) == (64, 64, [64])
    lists = {"kind": "ivf", "nlist": 1000, "dim": 8, "assignments": 2}
    spec: IndexSpec = make_spec(PCA, uniform(scan_bits=1), lists, "float16")
    assert (spec.nlist, spec.assignments, spec.default_nprobe, spec.default_rerank_factor) == (1000, 2, 50, 3)
    assert (spec.coded_dim(64), spec.prefix_dim(64), spec.rotation_edges(64)) == (32, 8, [8, 32])
    assert make_spec(structure={"kind": "ivf", "nlist": 3}).default_nprobe == 3
