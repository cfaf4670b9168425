"""Runs against each other: what is the same is told from what is better or worse, and from what cannot be told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dbpool.loadtest.comparable import NotComparable
from dbpool.loadtest.comparing import METRICS, compare_runs
from dbpool.loadtest.schema.published import document_schema
from tests.support.comparedruns import DOCUMENT, run_of
from tests.support.loadtestdocument import sample_document

Json = dict[str, Any]


def metrics_of(section: Json, name: str) -> list[Json]:
    return [metric for point in section["points"] for metric in point["metrics"] if metric["name"] == name]


def verdicts_of(section: Json, name: str = "tps") -> set[str]:
    return {metric["verdict"] for metric in metrics_of(section, name)}


def test_a_comparison_is_the_section_that_the_schema_has() -> None:
    section = compare_runs(run_of(), run_of(tps=0.8, seed=1))
    document = run_of() | {"comparison": section, "recommendation": None}
    errors = Draft202012Validator(document_schema()).iter_errors(json.loads(json.dumps(document)))
    assert [error.message for error in errors] == []


def test_a_run_does_not_differ_from_itself() -> None:
    section = compare_runs(run_of(), run_of())
    assert section["verdict"] == "no difference shown"
    assert section["regressions"] == []
    assert section["recommended_size"]["verdict"] == "same"
    assert section["also"] == []
    assert [metric["name"] for metric in section["points"][0]["metrics"]] == list(METRICS)


@pytest.mark.parametrize(
    ("run", "verdict", "regressed"),
    [
        ({"tps": 0.8}, "worse", {"tps"}),
        ({"tps": 1.3}, "better", set()),
        ({"ms": 1.2}, "worse", {*METRICS} - {"tps"}),
        ({"ms": 0.8}, "better", set()),
        ({"tps": 1.2, "ms": 1.2}, "better and worse", {*METRICS} - {"tps"}),
        ({"tps": 0.96}, "worse", set()),  # shown, but within what is allowed
        ({"tps": 0.98}, "no difference shown", set()),  # runs of the same differ as much
    ],
)
def test_what_became_better_or_worse_is_told(run: Json, verdict: str, regressed: set[str]) -> None:
    section = compare_runs(run_of(), run_of(seed=3, **run))
    assert section["verdict"] == verdict
    found = {each["name"] for point in section["points"] for each in point["metrics"] if each["is_regression"]}
    assert found == regressed
    assert len(section["regressions"]) == 2 * len(regressed)
    assert all(text.startswith("sweep, dbpool, pool of ") for text in section["regressions"])


def test_how_much_worse_is_allowed_is_the_callers_choice() -> None:
    before, after = run_of(), run_of(tps=0.8, seed=3)
    assert compare_runs(before, after, max_regression=0.19)["regressions"]
    assert not compare_runs(before, after, max_regression=0.21)["regressions"]


@pytest.mark.slow
def test_noise_alone_is_seldom_a_regression() -> None:
    found = [
        compare_runs(run_of(seed=seed, noise=0.08, sizes=5), run_of(seed=seed + 1000, noise=0.08, sizes=5))
        for seed in range(12)
    ]
    assert sum(bool(section["regressions"]) for section in found) <= 2


def test_of_single_runs_throughput_alone_is_judged() -> None:
    section = compare_runs(run_of(repeats=1), run_of(repeats=1, tps=0.8, ms=1.3, seed=1))
    assert verdicts_of(section) == {"worse"}
    assert {metric["basis"] for metric in metrics_of(section, "tps")} == {"batches"}
    assert verdicts_of(section, "response_p99_ms") == {"too few repeats to tell"}
    assert verdicts_of(compare_runs(run_of(repeats=1), run_of(repeats=1, tps=0.95, seed=1))) == {"no difference shown"}


@pytest.mark.parametrize("change", [{"ci95": None}, {"is_settled": False}])
def test_a_single_run_without_an_interval_to_rely_on_is_too_little(change: Json) -> None:
    before, after = run_of(repeats=1), run_of(repeats=1, tps=0.5)
    for point in after["points"]:
        point["tps"] |= change
    section = compare_runs(before, after)
    assert section["verdict"] == "too few repeats to tell"
    assert "--repeat 3" in section["text"]
    assert section["points"][0]["metrics"][0]["ratio"] == pytest.approx(0.5, rel=0.05)


def test_the_noise_that_calibration_found_widens_single_runs() -> None:
    before, after = run_of(repeats=1), run_of(repeats=1, tps=0.8, seed=1)
    after["calibration"]["noise_cv"] = 0.2
    assert verdicts_of(compare_runs(before, after)) == {"no difference shown"}


def test_a_percentile_that_one_run_does_not_know_is_left_out() -> None:
    before, after = run_of(), run_of()
    for point in after["points"]:
        point["response_ms"]["p99"] = None
        point["service_ms"] = None
    names = [metric["name"] for metric in compare_runs(before, after)["points"][0]["metrics"]]
    assert names == ["tps", "response_p50_ms", "response_p95_ms"]


def test_points_that_only_one_run_has_or_that_were_cut_short_are_counted_apart() -> None:
    before, after = run_of(sizes=3), run_of(sizes=2)
    after["points"][0]["flags"] = ["incomplete"]
    section = compare_runs(before, after)
    assert [point["pool_size"] for point in section["points"]] == [1, 2]
    assert section["points"][0]["repeats"] == {"baseline": 3, "run": 2}
    assert section["unmatched"] == {"baseline": 3, "run": 1}


def test_runs_that_have_no_load_in_common_do_not_compare() -> None:
    after = run_of()
    for point in after["points"]:
        point["driver"] = "asyncpg"
    with pytest.raises(NotComparable, match="no load was measured in both"):
        compare_runs(run_of(), after, allow_mismatch=True)


def _sharded(document: Json) -> None:
    document["points"][0]["pool_sharded"] = True


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda run: run["workload"].update(scale=21), "scale: 20 and 21"),
        (lambda run: run["workload"].update(mode="simple"), "workload: tpcb-like@1"),
        (lambda run: run["workload"]["scripts"][0].update(weight=2), "tpcb-like@2"),
        (lambda run: run["workload"]["scripts"][0].update(sha256="0" * 64), "00000000"),
        (lambda run: run["target"].update(version="17.2"), "server version: postgres 18.1 and postgres 17.2"),
        (lambda run: run["target"].update(kind="pgbouncer"), "pgbouncer 18.1"),
        (_sharded, "is sharded: False and True"),
    ],
)
def test_runs_that_differ_in_what_matters_are_refused_unless_allowed(
    change: Callable[[Json], None], named: str
) -> None:
    before, after = run_of(), run_of()
    change(after)
    with pytest.raises(NotComparable) as caught:
        compare_runs(before, after)
    assert named in str(caught.value)
    assert "--allow-mismatch" in str(caught.value)
    assert any(named in text for text in compare_runs(before, after, allow_mismatch=True)["mismatches"])


def test_what_else_differs_is_said() -> None:
    after = run_of()
    after["tool"]["dbpool"] = "0.2.0"
    after["target"]["settings"]["shared_buffers"] = "1GB"
    after["target"]["cores"] = None
    assert compare_runs(run_of(), after)["also"] == [
        "dbpool: 0.1.0 and 0.2.0",
        "cores: 8 and not known",
        "shared_buffers: 2GB and 1GB",
    ]


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"pool_size": 14}, "same"),
        ({"pool_size": 16, "low": 12, "high": 20}, "no difference shown"),
        ({"pool_size": 40, "low": 30, "high": None}, "larger"),
        ({"pool_size": 4, "low": 3, "high": 5}, "smaller"),
        ({"pool_size": None, "low": None, "high": None}, "not known"),
    ],
)
def test_recommended_sizes_differ_only_where_their_ranges_do(change: Json, verdict: str) -> None:
    before, after = run_of(), run_of()
    before["recommendation"] |= {"pool_size": 14, "low": 13, "high": 15}
    after["recommendation"] |= change
    assert compare_runs(before, after)["recommended_size"]["verdict"] == verdict
    assert compare_runs(before, after | {"recommendation": None})["recommended_size"] is None


def test_whole_runs_compare() -> None:
    section = compare_runs(json.loads(DOCUMENT), sample_document(seed=2))
    assert section["verdict"] in ("no difference shown", "too few repeats to tell")
    assert any(point["generator_bound"] for point in section["points"])


def test_as_many_arrivals_of_another_kind_are_another_load() -> None:
    even, random = run_of(), run_of(ms=1.5)
    for document, arrival in ((even, "constant"), (random, "poisson")):
        for point in document["points"]:
            point |= {"clients": None, "offered_rate": 300.0, "arrival": arrival}
    with pytest.raises(NotComparable, match="no load"):
        compare_runs(even, random)
