"""What figures and tables show, from documents alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbpool.core import hdr
from dbpool.core.histogram import merged
from dbpool.loadtest.report.drawing.marks import runs
from dbpool.loadtest.report.sizes import sizes_of
from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.contents import figures_of, sections_of
from dbpool.loadtest.report.view.figure import Axis, Figure, Kind, Scale, Verdict
from dbpool.loadtest.report.view.glance import at_a_glance
from dbpool.loadtest.report.view.latency import latencies
from dbpool.loadtest.report.view.pooled import pooled, pooler_settings
from dbpool.loadtest.report.view.reading import by_size, points_of
from dbpool.loadtest.report.view.seconds import seconds_of
from dbpool.loadtest.report.view.sessions import connections
from dbpool.loadtest.report.view.spectrum import spectra
from dbpool.loadtest.report.view.thinning import MOST
from dbpool.loadtest.report.view.throughput import throughput
from dbpool.loadtest.report.view.timeline import over_time
from dbpool.loadtest.report.view.timespent import times_spent
from tests.support.loadtestdocument import sample_document


def figures(document: dict[str, Any]) -> dict[str, Figure]:
    return {figure.key: figure for figure in figures_of(sections_of(document))}


def test_all_that_is_drawn_lies_on_its_axes() -> None:
    for figure in figures(sample_document()).values():
        for axis in (figure.x, figure.y):
            assert axis.low < axis.high
            assert all(axis.low <= at <= axis.high * (1 + 1e-9) for at, _ in axis.ticks), (figure.key, axis)
            assert axis.scale is Scale.LINEAR or axis.low > 0
        for series in figure.series:
            bases = series.base or [0.0] * len(series.values)
            tops = [base + value for base, value in zip(bases, series.values, strict=True) if value is not None]
            assert all(figure.y.low <= top <= figure.y.high for top in tops), (figure.key, series.name)
            assert all(figure.x.low <= x <= figure.x.high for x in series.xs or figure.xs), (figure.key, series.name)


def test_the_curve_has_the_intervals_of_the_analysis_and_is_hollow_where_the_generator_was_the_limit() -> None:
    document = sample_document()
    figure = throughput(document)
    assert figure is not None
    measured = figure.series[-1]
    sizes = document["knee"]["sizes"]
    assert list(measured.values) == [each["tps"] for each in sizes]
    assert list(measured.lows or []) == [each["low"] for each in sizes]
    assert [size for size, is_hollow in zip(figure.xs, measured.hollow or [], strict=True) if is_hollow] == [64.0]
    assert [rule.at for rule in figure.rules] == [document["knee"]["size"]]
    assert figure.band == (document["knee"]["peak_tps"] * 0.95, document["knee"]["peak_tps"])


def test_without_an_analysis_the_repeats_are_taken_together() -> None:
    document = sample_document()
    document["knee"] = document["usl"] = None
    figure = throughput(document)
    assert figure is not None
    repeats = [p["tps"]["mean"] for p in document["points"] if (p["stage"], p["pool_size"]) == ("sweep", 4)]
    assert len(repeats) == 4
    measured = dict(zip(figure.xs, figure.series[-1].values, strict=True))
    assert measured[4.0] == pytest.approx(sum(repeats) / 4)


def test_what_the_verdict_leaves_out_is_in_no_figure_of_the_sweep() -> None:
    document = sample_document()
    plain = [throughput(document), *latencies(document), *times_spent(document)[:1], spectra(document)[0]]
    once = [point for point in document["points"] if point["stage"] == "sweep"]
    with_fewer = [each | {"most_workers": 1} for each in json.loads(json.dumps(once))]
    bound = [each | {"most_workers": 2} for each in json.loads(json.dumps(once)) if each["pool_size"] == 4]
    for point in document["points"]:
        point["most_workers"] = 2
    for point in (*with_fewer, *bound):
        point["tps"]["mean"] /= 2
        point["generator"]["bound"] = True
        point["service_ms"] = point["response_ms"] = document["points"][0]["service_ms"]
    document["points"] = [*with_fewer, *bound, *document["points"]]
    again = [throughput(document), *latencies(document), *times_spent(document)[:1], spectra(document)[0]]
    assert [each and each.table.rows for each in again] == [each and each.table.rows for each in plain]
    assert [each.tps for each in sizes_of(document)] == [each.tps for each in sizes_of(sample_document())]


def test_percentiles_of_repeats_are_those_of_all_their_transactions() -> None:
    points = points_of(sample_document(), "sweep")
    (four,) = [each for each in by_size(points) if each.size == 4]
    whole = merged(hdr.decode(point["service_ms"]["hdr"]) for point in four.points)
    p99_ns = whole.quantile(0.99)
    assert p99_ns is not None
    assert four.percentiles("service_ms")["p99"] == p99_ns / 1e6
    assert p99_ns / 1e6 != four.points[0]["service_ms"]["p99"]


def test_a_histogram_that_cannot_be_read_leaves_the_first_point_of_its_size() -> None:
    points = points_of(sample_document(), "sweep")
    for point in points:
        point["service_ms"]["hdr"] = "nonsense"
    (four,) = [each for each in by_size(points) if each.size == 4]
    assert four.percentiles("service_ms")["p99"] == four.points[0]["service_ms"]["p99"]


def test_the_parts_of_a_stack_stand_on_each_other_and_add_up() -> None:
    document = sample_document()
    for figure in times_spent(document):
        assert all(series.kind is Kind.BAR for series in figure.series)
        for bar in range(len(figure.xs)):
            top = 0.0
            for series in figure.series:
                assert series.base is not None
                assert series.base[bar] == pytest.approx(top)
                top += series.values[bar] or 0.0


def test_a_spectrum_ends_where_there_are_too_few_values() -> None:
    document = sample_document()
    figure = spectra(document)[0]
    n = sum(p["response_ms"]["n"] for p in document["points"] if (p["stage"], p["pool_size"]) == ("sweep", 14))
    assert figure.xs[-1] <= n / 10 < figure.xs[-1] * 10 ** (1 / 12) * 1.01
    assert figure.table.rows[-1][0] == "99.99 %"


def test_a_second_that_the_load_did_not_last_for_has_no_throughput_but_its_failures_count() -> None:
    document = sample_document()
    point = document["points"][0]
    lasted = round(point["warmup_s"] + point["window_s"])
    line = dict.fromkeys(document["timeline"][0]) | {"point": point["id"], "t": lasted, "completed": 3}
    document["timeline"] = [*document["timeline"][:lasted], line | {"errors": 2}]
    *whole, drain = seconds_of(document)
    assert all(each.completed is not None for each in whole)
    assert drain.completed is None
    assert drain.failed["errors"] == 2
    assert [figure.key for figure in over_time(document)] == [
        "timeline",
        "timeline-response",
        "timeline-failures",
    ]


def test_a_long_run_is_thinned_to_the_worst_of_some_seconds() -> None:
    document = sample_document()
    document["points"] = [document["points"][0] | {"window_s": 36_000.0}]
    line = document["timeline"][0]
    document["timeline"] = [line | {"t": t, "completed": t % 7, "errors": int(t == 5000)} for t in range(36_000)]
    document["timeline"][20_000]["response_max_ms"] = 12_345.0
    seconds = seconds_of(document)
    assert MOST / 2 < len(seconds) <= MOST
    assert max(each.max_ms or 0.0 for each in seconds) == 12_345.0
    assert sum(each.failed["errors"] for each in seconds) == 1
    assert all(2.5 < (each.completed or 0) < 3.5 for each in seconds)


def test_seconds_of_the_point_that_is_measured_now_are_shown_where_they_are() -> None:
    document = sample_document()
    last = max(each.at_s for each in seconds_of(document))
    document["timeline"].append(document["timeline"][0] | {"point": None, "t": 480.0, "stage": "soak"})
    assert (seconds_of(document)[-1].at_s, seconds_of(document)[-1].stage) == (480.0, "soak")
    assert last < 480.0


@pytest.mark.parametrize(
    ("values", "reach", "found"),
    [
        ([1, 2, 3], None, [[0, 1, 2]]),
        ([1, None, 3], None, [[0], [2]]),
        ([None, None, None], None, []),
        ([1, 2, 3], 1.5, [[0, 1], [2]]),
    ],
)
def test_a_line_has_a_gap_where_nothing_is_known(
    values: list[float | None], reach: float | None, found: list[list[int]]
) -> None:
    assert list(runs([0.0, 1.0, 3.0], values, reach)) == found


def test_limits_far_above_all_connections_are_told_not_drawn() -> None:
    document = sample_document()
    near = connections(document)
    assert near is not None
    assert [rule.name for rule in near.rules] == ["max_connections: 100", "usable: 95"]
    document["limits"] |= {"max_connections": 5000, "usable": 4995}
    far = connections(document)
    assert far is not None
    assert list(far.rules) == []
    assert "max_connections: 5000" in far.says


def test_clients_at_a_pooler_are_those_of_all_its_pools() -> None:
    document = sample_document()
    assert pooled(document) is None
    pool = {"database": "shop", "user": "app", "cl_active": 4, "cl_waiting": 9, "sv_active": 4, "sv_idle": 0}
    for sample in document["samples"]:
        sample["pools"] = [pool | {"maxwait_ms": 12.5}, pool | {"cl_waiting": None, "maxwait_ms": None}]
    document["limits"]["pooler"] = {"version": "1.24", "max_client_conn": 100, "pool_mode": None, "databases": []}
    figure, table = pooled(document), pooler_settings(document)
    assert figure is not None
    assert table is not None
    assert [series.values[0] for series in figure.series] == [8, 9]
    assert list(figure.table.rows[0]) == ["0:02", "8", "9", "8", "0", "12.5"]
    assert table.rows == [["version", "1.24"], ["max_client_conn", "100"]]


def test_no_recommendation_says_why_in_large() -> None:
    document = sample_document()
    document["recommendation"] |= {"pool_size": None, "code": None, "reasons": ["the server drifts"]}
    verdict = at_a_glance(document)[0]
    assert isinstance(verdict, Verdict)
    assert (verdict.number, verdict.says) == ("No recommendation", "The server drifts.")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0"), (0.012345, "0.0123"), (1.2345, "1.23"), (123.4, "123"), (98765.4, "98,765")],
)
def test_figures_have_three_digits_that_count_and_none_is_dropped(value: float | None, text: str) -> None:
    assert numbers.figure(value) == text


@pytest.mark.parametrize(("durations", "text"), [(None, "–"), ({"p99": None}, "n too small"), ({"p99": 1.5}, "1.50")])
def test_what_is_not_known_is_told_from_what_n_is_too_small_for(durations: Any, text: str) -> None:  # noqa: ANN401
    assert numbers.percentile(durations, "p99") == text


@pytest.mark.parametrize(
    "axis",
    [
        axes.from_zero("x", []),
        axes.from_zero("x", [None, 0.0]),
        axes.from_zero("x", [1e-9]),
        axes.from_zero("x", [3e9]),
        axes.logarithmic("x", []),
        axes.logarithmic("x", [0.0, None]),
        axes.logarithmic("x", [5.0]),
        axes.logarithmic("x", [1e-4, 1e5]),
        axes.of_sizes("x", []),
        axes.of_sizes("x", [7]),
        axes.of_sizes("x", [3, 100]),
        axes.of_time("x", 0.0, 0.0),
        axes.of_time("x", 0.0, 90_000.0),
        axes.of_shares("x", 1.0),
    ],
)
def test_an_axis_has_some_ticks_and_not_too_many_whatever_it_is_for(axis: Axis) -> None:
    assert 1 <= len(axis.ticks) <= 30
    assert axis.low < axis.high
    assert all(axis.low * 0.999 <= at <= axis.high * 1.001 for at, _ in axis.ticks)


def test_what_is_expected_of_another_size_is_said_to_be() -> None:
    document = sample_document()
    document["recommendation"]["pool_size"] = 31
    document["recommendation"]["expected"]["size"] = 16
    told = str(at_a_glance(document))
    assert "as measured with 16" in told
    document["recommendation"]["pool_size"] = 16
    assert "as measured with" not in str(at_a_glance(document))
