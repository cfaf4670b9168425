"""Thresholds: read as k6 writes them, judged strictly, patient where asked to abort."""

from __future__ import annotations

import pytest

from dbpool.core.loadtest.comparison import Comparison, Verdict
from dbpool.core.loadtest.thresholds import (
    NUMBERS,
    SERIES,
    Patience,
    Threshold,
    is_regression,
    judge,
    share_of,
    threshold_of,
)
from dbpool.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("response_ms:p(99)<50", ("response_ms", "p(99)", "<", 50)),
        ("response_ms:p(99.90) <= 50.5", ("response_ms", "p(99.9)", "<=", 50.5)),
        (" service_ms : avg < 3 ", ("service_ms", "avg", "<", 3)),
        ("wait_ms:max<1e3", ("wait_ms", "max", "<", 1000)),
        ("connect_ms:min>0", ("connect_ms", "min", ">", 0)),
        ("tps>=1000", ("tps", "avg", ">=", 1000)),
        ("tps:p(5)>900", ("tps", "p(5)", ">", 900)),
        ("error_rate<0.1%", ("error_rate", "value", "<", 0.001)),
        ("late_rate<0.01", ("late_rate", "value", "<", 0.01)),
        ("dropped_rate<=0", ("dropped_rate", "value", "<=", 0)),
        ("recommended_size>=8", ("recommended_size", "value", ">=", 8)),
        ("recovery_s<10", ("recovery_s", "value", "<", 10)),
        ("bystander_ratio<1.5", ("bystander_ratio", "value", "<", 1.5)),
    ],
)
def test_a_threshold_is_read(text: str, wanted: tuple[str, str, str, float]) -> None:
    assert threshold_of(text) == Threshold(text, *wanted)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a threshold is like"),
        ("response_ms", "a threshold is like"),
        ("response_ms:p(99)=50", "a threshold is like"),
        ("response_ms:p(99)<50<60", "not a number"),
        ("response_ms:p(99)<50ms", "not a number"),
        ("response_ms:p(99)<nan", "not a number"),
        ("response_ms:p(99)<inf", "not a number"),
        ("response_ms<50", "needs :avg"),
        ("response_ms:median<50", "needs :avg"),
        ("response_ms:p(100)<50", "between 0 and 100"),
        ("response_ms:p(0)<50", "between 0 and 100"),
        ("response_ms:p(x)<50", "between 0 and 100"),
        ("response_ms:p(99)<5%", "percentage"),
        ("latency:p(99)<50", "there is no metric 'latency'"),
        ("error_rate:avg<0.1", "is one number"),
    ],
)
def test_what_is_no_threshold_is_refused_and_told_why(text: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        threshold_of(text)
    assert says in str(caught.value)
    assert repr(text) in str(caught.value)


def test_every_metric_can_be_judged() -> None:
    for metric in SERIES:
        assert threshold_of(f"{metric}:p(50)>1").metric == metric
    for metric in NUMBERS:
        assert threshold_of(f"{metric}>1").metric == metric


@pytest.mark.parametrize(
    ("operator", "met"),
    [
        ("<", [True, False, False]),
        ("<=", [True, True, False]),
        (">", [False, False, True]),
        (">=", [False, True, True]),
    ],
)
def test_a_value_below_at_or_above_the_limit_is_judged(operator: str, met: list[bool]) -> None:
    threshold = threshold_of(f"tps{operator}10")
    assert [judge(threshold, lambda *_, value=value: value).is_met for value in (9.0, 10.0, 11.0)] == met


def test_the_metric_is_asked_for_by_name_and_aggregate() -> None:
    asked = []

    def measured(metric: str, aggregate: str) -> float:
        asked.append((metric, aggregate))
        return 7.5

    assert judge(threshold_of("response_ms:p(99.9)<8"), measured).value == 7.5
    assert asked == [("response_ms", "p(99.9)")]


def test_what_was_not_measured_does_not_pass() -> None:
    found = judge(threshold_of("response_ms:p(99.99)<50"), lambda *_: None)
    assert (found.value, found.is_met) == (None, False)


def test_patience_is_over_after_two_bad_windows_in_a_row() -> None:
    patience = Patience()
    assert [patience.is_over(is_met=met) for met in (False, True, False, False, False, True)] == [
        False,
        False,
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), (" 12.5% ", 0.125), ("0", 0), ("0%", 0)])
def test_an_allowed_regression_is_read(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "%", "five", "-1%", "100%", "1", "5", "nan", "5%%"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        share_of(text)


@pytest.mark.parametrize(
    ("ratio", "verdict", "higher_is_better", "is_one"),
    [
        (0.94, Verdict.WORSE, True, True),
        (0.96, Verdict.WORSE, True, False),
        (1.06, Verdict.WORSE, False, True),
        (1.04, Verdict.WORSE, False, False),
        (0.5, Verdict.NO_DIFFERENCE, True, False),
        (0.5, Verdict.UNKNOWN, True, False),
        (1.5, Verdict.BETTER, True, False),
        (0.5, Verdict.BETTER, False, False),
    ],
)
def test_a_regression_is_worse_surely_and_by_more_than_allowed(
    ratio: float, verdict: Verdict, higher_is_better: bool, is_one: bool
) -> None:
    comparison = Comparison(ratio, None, None, verdict)
    assert is_regression(comparison, 0.05, higher_is_better=higher_is_better) is is_one
