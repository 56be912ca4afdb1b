from annbench.report.pareto import AXES, algorithm_fronts, front_table


def test_only_usable_contenders_enter_fronts(content):
    for setting in content.settings:
        table = front_table(setting.points)
        assert (table["status"] == "ok").all()
        assert (table["verdict"] != "invalid").all()
        assert "null" not in set(table["algorithm"])
    everything = set(content.points["verdict"])
    assert {"ok", "suspect", "invalid"} <= everything  # or the test above proves nothing


def test_suspect_points_enter_marked(content):
    verdicts = set().union(*(front_table(s.points)["verdict"] for s in content.settings))
    assert verdicts == {"ok", "suspect"}


def test_fronts_trade_recall_for_cost(content):
    for setting in content.settings:
        for axis in AXES:
            for front in algorithm_fronts(setting.points, axis).values():
                assert front["recall_at_k"].is_monotonic_increasing
                cost = front[axis.column] * -axis.better
                assert cost.is_monotonic_increasing
                assert cost.is_unique


def test_the_overall_front_is_made_of_the_algorithms_own(content):
    for setting in content.settings:
        table = front_table(setting.points)
        for axis in AXES:
            assert (table[f"front_{axis.name}"] | ~table[f"overall_{axis.name}"]).all()
            assert table[f"overall_{axis.name}"].any() == setting.points[axis.column].notna().any()
