"""The report at a terminal: it fits, and says what the document has."""

from __future__ import annotations

import csv as read
import io
import json
from typing import Any

import pytest
from rich.console import Console

from dbpool.loadtest.comparing import compare_runs
from dbpool.loadtest.report import csv
from dbpool.loadtest.report.columns import fitted
from dbpool.loadtest.report.strokes import bar, can_draw, sparkline
from dbpool.loadtest.report.text import print_report
from tests.loadtest.reports.test_markdown import bare
from tests.support.comparedruns import run_of
from tests.support.loadtestdocument import sample_document

Json = dict[str, Any]


def printed(document: Json, width: int = 80, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict" if encoding == "utf-8" else "replace")
    print_report(document, Console(file=file, width=width))
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    before, after = run_of(), sample_document()
    after["comparison"] = compare_runs(run_of(repeats=1), run_of(tps=0.7, seed=1, repeats=1))
    assert before
    assert max(map(len, printed(after, width).splitlines())) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_no_number_is_cut(width: int) -> None:
    document = sample_document()
    found = printed(document, width)
    assert "…" not in found
    for step in document["overload"]["steps"]:
        assert f"{step['goodput_tps']:,.0f}" in found
    for each in document["knee"]["sizes"]:
        assert f"{each['tps']:,.0f}" in found


def test_the_chapters_follow_each_other_and_warnings_are_last() -> None:
    found = printed(sample_document())
    order = ["Load test", "14 connections", "At a glance", "DatabasePool(", "Throughput by pool size"]
    order += ["Overload", "Goodput", "Time to connect", "Trends", "Connection budget", "Warnings"]
    places = [found.index(each) for each in order]
    assert places == sorted(places)


def test_the_best_size_is_marked_and_one_that_the_generator_limited_is_told_apart() -> None:
    lines = printed(sample_document()).splitlines()
    assert [line.split()[0] for line in lines if line.endswith("knee, recommended")] == ["14"]
    assert [line.split()[0] for line in lines if line.endswith("generator's limit")] == ["64"]
    bars = {int(line.split()[0]): line.count("█") for line in lines if "█" in line}
    assert bars[1] < bars[4] < bars[14] <= bars[20]


def test_a_terminal_without_such_characters_gets_others() -> None:
    found = printed(sample_document(), encoding="ascii")
    assert "####" in found


def test_a_run_without_verdict_or_points_is_no_error() -> None:
    assert "None" not in printed(bare())


def test_each_point_of_a_benchmark_has_its_durations() -> None:
    document = run_of(sizes=1, repeats=2)
    for point in document["points"]:
        point |= {"stage": "bench", "driver": "asyncpg", "clients": 20}
        point["counts"]["errors"] = {"40001": 7}
    found = printed(document)
    assert found.count("asyncpg  20 clients, pool of 1, 9 s") == 2
    assert found.count("n too small") >= 2
    assert "7 errors 40001" in found
    assert "the generator alone: 21,400 tps" in found


@pytest.mark.parametrize(
    ("value", "drawn"),
    [(0, ""), (0.001, "▏"), (0.5, "████"), (0.25, "██"), (0.3125, "██▌"), (1, "████████"), (2, "████████"), (-1, "")],
)
def test_a_bar_is_as_long_as_its_share(value: float, drawn: str) -> None:
    assert bar(value, 1, 8) == drawn
    assert bar(value, 1, 8, plain=True) == "#" * max(len(drawn.rstrip("▏▎▍▌▋▊▉")), 1 if drawn else 0)


def test_a_sparkline_has_a_height_for_each_value_and_a_gap_for_what_is_not_known() -> None:
    assert sparkline([0, 4, None, 8]) == "▁▅ █"
    assert sparkline([]) == ""
    assert sparkline([0, 0, None]) == "▁▁ "
    assert sparkline([1, 8], plain=True) == ":@"


def test_what_can_be_drawn_depends_on_the_encoding() -> None:
    assert can_draw("utf-8")
    assert not can_draw("latin-1")
    assert not can_draw("no such encoding")


def test_columns_give_way_down_to_their_least() -> None:
    assert fitted([3, 3, 3], [5, 30, 10], 60) == [5, 30, 10]
    assert sum(fitted([3, 3, 3], [5, 30, 10], 20)) == 20
    assert fitted([3, 3, 3], [5, 30, 10], 2) == [3, 3, 3]


def test_the_points_are_rows_of_comma_separated_values() -> None:
    document = json.loads(json.dumps(sample_document()))
    rows = list(read.DictReader(io.StringIO(csv.text(document))))
    assert len(rows) == len(document["points"])
    for row, point in zip(rows, document["points"], strict=True):
        assert int(row["id"]) == point["id"]
        assert float(row["tps"]) == point["tps"]["mean"]
        assert float(row["response_p99_ms"]) == point["response_ms"]["p99"]
        assert row["lag_p50_ms"] == ("" if point["lag_ms"] is None else str(point["lag_ms"]["p50"]))
        assert row["clients"] == ("" if point["clients"] is None else str(point["clients"]))
        assert int(row["ok"]) == point["counts"]["ok"]
        assert float(row["generator_cpu"]) == point["generator"]["cpu"]
        assert bool(int(row["generator_bound"])) == point["generator"]["bound"]
        assert row["server_cpu"] == ""  # nobody looked


def test_a_point_of_which_nothing_is_known_has_empty_cells() -> None:
    document = run_of(sizes=1, repeats=1)
    document["points"][0] |= {"tps": None, "response_ms": None, "service_ms": None, "flags": ["incomplete", "suspect"]}
    (row,) = read.DictReader(io.StringIO(csv.text(document)))
    assert (row["tps"], row["tps_low"], row["response_p99_ms"]) == ("", "", "")
    assert row["flags"] == "incomplete suspect"
