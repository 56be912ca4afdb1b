from synthetic_records import ENVIRONMENT, make_record

from annbench.report.evidence import machines, overheads, verdict_groups
from annbench.results.frame import points_frame, records_frame


def points(*records):
    return points_frame(records_frame(records))


def test_reasons_that_differ_in_figures_are_one_group():
    suspect = [
        make_record(search={"ef": i}, verdict="suspect", reasons=(f"CPU ÷ wall = 1.{i} with 1 thread",))
        for i in range(5)
    ]
    (group,) = verdict_groups(points(make_record(), *suspect))
    assert (group.outcome, group.count, group.reason) == ("suspect", 5, "CPU ÷ wall = 1.0 with 1 thread")
    assert len(group.examples) == 3


def test_failures_say_phase_and_cause_and_come_first():
    groups = verdict_groups(
        points(
            make_record(verdict="suspect", reasons=("swap",), search={"ef": 1}),
            make_record(verdict="invalid", reasons=("recall is 0",), search={"ef": 2}),
            make_record(status="crashed", verdict="invalid", detail="SIGSEGV", search={"ef": 3}),
        )
    )
    assert [(g.outcome, g.reason) for g in groups] == [
        ("crashed", "in search: SIGSEGV"),
        ("invalid", "recall is 0"),
        ("suspect", "swap"),
    ]


def test_the_null_adapter_is_not_blamed_for_its_recall():
    assert verdict_groups(points(make_record(algorithm="null", verdict="invalid", reasons=("recall is 0",)))) == []


def test_overhead_is_the_null_adapters_time_and_the_largest_share():
    null = make_record(algorithm="null", qps=2e6, verdict="invalid", reasons=("recall is 0",), recall=0.0)
    found = overheads(points(null, make_record(overhead=0.02), make_record(search={"ef": 9}, overhead=0.3)))
    (row,) = found
    assert row.us_per_query == 0.5
    assert row.largest_share == 0.3
    assert overheads(points(make_record())) == []


def test_environment_facts_that_agree_are_said_once():
    others = [{**ENVIRONMENT, "load_average": [i, i, i]} for i in range(6)]
    records = [make_record(environment=e) for e in others] + [make_record(machine="machine-b")]
    first, second = machines(records)
    facts = dict(first.facts)
    assert (first.records, second.records) == (6, 1)
    assert facts["cpu.model"] == "Example CPU @ 2.00 GHz"
    assert facts["blas[0].internal_api"] == "openblas"
    assert facts["system.governor"] == "unknown"
    assert facts["memory_bytes"] == "17,179,869,184 (16.0 GiB)"
    assert facts["load_average"].startswith("differs: ")
    assert facts["load_average"].endswith("and 2 more")
