import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from synthetic_records import example_dataset, make_record, make_records

from annbench.results.frame import points_frame, records_frame


def test_one_row_a_record_with_flat_parameters():
    records = [
        make_record(build={"M": 16}, search={"ef": 40}),
        make_record(algorithm="composed", build={"codec": {"kind": "uniform", "bits": 4}, "dims": [1, 2]}),
    ]
    frame = records_frame(records)
    assert len(frame) == 2
    assert frame["record_id"].tolist() == [r.key.digest for r in records]
    assert frame["build.M"].tolist() == [16, pd.NA]
    assert frame["search.ef"].dtype == "Int64"
    assert frame.loc[1, ["build.codec.kind", "build.codec.bits", "build.dims"]].tolist() == [
        "uniform",
        4,
        "[1,2]",
    ]


def test_a_parameter_of_several_types_becomes_text():
    frame = records_frame([make_record(build={"m": 8}), make_record(build={"m": "auto"}), make_record()])
    assert frame["build.m"].tolist() == ["8", "auto", pd.NA]


def test_huge_integers_do_not_overflow():
    assert records_frame([make_record(build={"m": 2**70})])["build.m"].tolist() == [str(2**70)]


def test_bytes_per_vector_and_ratio_to_float32():
    data = example_dataset(n=1000, dim=100)
    row = records_frame([make_record(dataset=data, float32_ratio=0.25)]).iloc[0]
    assert row["bytes_per_vector"] == 100
    assert row["float32_ratio"] == 0.25
    assert np.isnan(records_frame([make_record(float32_ratio=None)])["float32_ratio"].iloc[0])


def test_failed_and_invalid_records_are_not_usable():
    frame = records_frame(
        [
            make_record(),
            make_record(verdict="suspect", reasons=("swap",)),
            make_record(verdict="invalid", reasons=("recall is 0",)),
            make_record(status="crashed", verdict="invalid", detail="SIGSEGV"),
        ]
    )
    assert frame["usable"].tolist() == [True, True, False, False]
    assert np.isnan(frame["recall_at_k"].iloc[3])


def test_workers_become_one_point_by_their_medians():
    frame = records_frame([make_record(qps=q, worker=i) for i, q in enumerate((100.0, 300.0, 110.0))])
    point = points_frame(frame).iloc[0]
    assert (point["qps_best"], point["qps_low"], point["qps_high"]) == (110, 100, 300)
    assert (point["workers"], point["workers_lost"], point["verdict"]) == (3, 0, "ok")


def test_one_worker_spreads_over_its_passes():
    point = points_frame(records_frame([make_record(qps=100)])).iloc[0]
    assert (point["qps_low"], point["qps_high"]) == (pytest.approx(92), 100)


def test_points_differ_by_anything_but_worker_build_and_block():
    def other(**change):
        record = make_record()
        return record.model_copy(update={"key": record.key.model_copy(update=change)})

    same = [other(worker_index=5), other(build_index=3), other(interleaved=True)]
    different = [
        other(seed=1),
        other(machine_id="machine-b"),
        other(isa="avx512"),
        other(threads=2),
        other(library_versions={"hnswlib": "0.9"}),
        other(search={"ef": 1}),
    ]
    assert len(points_frame(records_frame([make_record(), *same]))) == 1
    assert len(points_frame(records_frame([make_record(), *different]))) == 7


def test_a_lost_worker_makes_the_point_suspect_and_leaves_the_medians():
    records = [
        make_record(status="crashed", verdict="invalid", detail="SIGSEGV", worker=0),
        make_record(qps=100, worker=1),
        make_record(qps=100, worker=2, verdict="invalid", reasons=("3 duplicate ids returned",), recall=0.1),
    ]
    point = points_frame(records_frame(records)).iloc[0]
    assert (point["verdict"], point["workers"], point["workers_lost"]) == ("suspect", 1, 2)
    assert point["verdict_reasons"] == "2 of 3 workers not usable (SIGSEGV)"
    assert (point["recall_at_k"], point["qps_best"]) == (0.95, 100)
    assert point["usable"]


def test_a_point_without_a_usable_record_keeps_its_failure():
    records = [make_record(status="timeout", verdict="invalid", detail="60 s", worker=w) for w in range(2)]
    point = points_frame(records_frame(records)).iloc[0]
    assert (point["usable"], point["status"], point["status_detail"]) == (False, "timeout", "60 s")
    assert np.isnan(point["qps_best"])


def test_reasons_of_all_workers_are_kept_once():
    records = [
        make_record(worker=w, verdict="suspect", reasons=(r,)) for w, r in enumerate(("swap", "swap", "throttled"))
    ]
    assert points_frame(records_frame(records))["verdict_reasons"].iloc[0] == "swap; throttled"


def test_points_keep_the_order_of_their_first_record():
    frame = records_frame(make_records(workers=2))
    points = points_frame(frame)
    assert points["point_id"].tolist() == frame["point_id"].drop_duplicates().tolist()


def test_no_records_give_an_empty_table():
    assert len(records_frame([])) == 0


def test_the_table_survives_parquet(tmp_path):
    frame = records_frame(make_records(workers=2))
    frame.to_parquet(tmp_path / "records.parquet")
    back = pd.read_parquet(tmp_path / "records.parquet")
    assert back["qps_best"].equals(frame["qps_best"])
    assert list(back.columns) == list(frame.columns)
