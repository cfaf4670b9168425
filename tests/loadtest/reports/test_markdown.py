"""Markdown for a comment: short, in order, and whatever a run holds cannot break out of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbpool.loadtest.comparing import compare_runs
from dbpool.loadtest.report import markdown, marking
from dbpool.loadtest.report.markdown import MOST_BYTES, text
from dbpool.loadtest.report.view.figure import Table
from tests.support.comparedruns import run_of
from tests.support.loadtestdocument import sample_document

Json = dict[str, Any]
NASTY = "a|b `c` <img src=x onerror=alert(1)> **d** [e](javascript:f) @someone #12 </details> \\| \n| x |"


def bare(**fields: Any) -> Json:  # noqa: ANN401 - as JSON has it
    """A run that has hardly begun."""
    document = run_of(sizes=0)
    sections = (
        "usl",
        "knee",
        "recommendation",
        "budget",
        "overload",
        "storm",
        "soak",
        "fleet",
        "statements",
        "settings",
    )
    return document | dict.fromkeys(sections) | {"thresholds": [], "warnings": []} | fields


def test_what_matters_most_comes_first_and_tables_are_folded() -> None:
    found = text(sample_document())
    order = ["## Load test", "**14 connections**", "| what | found |", "DatabasePool(", "✗ missed", "**Warnings**"]
    order += ["<details><summary>Throughput", "<details><summary>Overload", "<details><summary>Storms"]
    places = [found.index(each) for each in order]
    assert places == sorted(places)
    assert found.count("<details>") == found.count("</details>")


def test_a_whole_run_is_short_enough_for_a_comment() -> None:
    assert len(text(sample_document()).encode()) < MOST_BYTES


def test_a_run_that_is_too_long_leaves_tables_out_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "MOST_BYTES", 6_000)
    found = text(sample_document())
    assert len(found.encode()) < 6_000
    left = found.splitlines()[-1].removeprefix("Left out, as it would be too long: ").removesuffix(".").split(", ")
    assert {"Latency", "All points"} <= {*left}
    assert not any(f"<summary>{title}</summary>" in found for title in left)


def test_a_run_that_went_very_wrong_is_still_short_enough() -> None:
    document = sample_document()
    document["storm"]["parts"] = [part | {"text": "ü" * 20_000} for part in document["storm"]["parts"] * 60]
    document["warnings"] = [{"code": "many", "text": f"{number} " + "ü" * 3000} for number in range(5000)]
    document["points"] *= 40
    found = text(document)
    assert len(found.encode()) < MOST_BYTES
    assert "- and 4980 more" in found


def test_long_tables_say_how_many_rows_are_left_out() -> None:
    rows = [[str(number), "x"] for number in range(marking.MOST_ROWS + 7)]
    found = marking.table(Table("Many", ["n", "what"], rows))
    assert "\n7 more rows are in the JSON document." in found
    assert found.count("\n|") == marking.MOST_ROWS + 1


def test_nothing_in_a_run_is_taken_for_markup() -> None:
    document = bare(warnings=[{"code": "x", "text": NASTY}])
    document["thresholds"] = [{"expr": NASTY, "value": 1.0, "ok": False, "point": None}]
    document["workload"]["scripts"][0]["name"] = NASTY
    found = text(document)
    for each in ("<img", "</details> ", " `c`", "**d**", "[e](", "@someone", "#12", "\n| x"):
        assert each not in found, each
    assert "&lt;img src=x onerror=alert(1)&gt;" in found
    rows = [line for line in found.splitlines() if line.startswith("|") and "img" in line]
    assert [row.replace("\\|", "").replace("\\\\", "").count("|") for row in rows] == [4]


def test_a_cell_is_as_long_as_a_cell_may_be() -> None:
    found = marking.table(Table("One", ["what"], [["y" * 5000]]))
    assert max(map(len, found.splitlines())) < marking.MOST_IN_CELL + 20


@pytest.mark.parametrize("code", ["plain", "```\nin a fence\n```", "````"])
def test_a_block_of_code_ends_where_it_should(code: str) -> None:
    first, *middle, last = marking.code(code, "python").splitlines()
    assert first == f"{last}python"
    assert last not in middle
    assert "\n".join(middle) == code


def test_a_run_without_verdict_or_points_is_no_error() -> None:
    found = text(bare())
    assert found.startswith("## Load test")
    assert "None" not in found


def test_a_comparison_stands_open_with_its_regressions() -> None:
    before, after = run_of(), run_of(tps=0.7, seed=1)
    found = text(after | {"comparison": compare_runs(before, after)})
    assert "### Compared with the baseline" in found
    assert "- sweep, dbpool, pool of 1: tps went from" in found
    assert "| REGRESSION |" in found


def test_it_is_a_function_of_the_document_alone() -> None:
    document = json.loads(json.dumps(sample_document()))
    before = json.dumps(document)
    assert text(document) == text(document)
    assert json.dumps(document) == before
