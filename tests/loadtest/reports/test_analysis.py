"""The verdict of a document, which counts no more of it than may be compared."""

from __future__ import annotations

import json
from typing import Any

from dbpool.loadtest.analysis import analysed
from dbpool.loadtest.assumptions import Assumptions
from tests.support.loadtestdocument import sample_document

Json = dict[str, Any]


def judged(document: Json) -> Json:
    found: Json = analysed(document, Assumptions.of(document["settings"]))["recommendation"]
    return found


def sweep_of(document: Json, size: int) -> list[Json]:
    return [each for each in document["points"] if each["stage"] == "sweep" and each["pool_size"] == size]


def test_what_the_generator_limited_is_not_what_to_expect() -> None:
    document = sample_document()
    plain = judged(document)
    bound = json.loads(json.dumps(sweep_of(document, plain["pool_size"])[0]))
    bound["generator"]["bound"] = True
    bound["flags"] = ["generator_bound", "unsteady"]
    bound["service_ms"]["p99"] *= 50
    bound["response_ms"]["p99"] *= 50
    document["points"].append(bound)
    assert judged(document) == plain


def test_what_failed_is_a_doubt() -> None:
    document = remote()
    assert judged(document)["grade"] == "A"
    for point in document["points"]:
        point["counts"]["errors"] = {"40001": point["counts"]["ok"]}
        point["counts"]["due"] += point["counts"]["ok"]
    found = judged(document)
    assert found["grade"] == "B"
    assert any("of the transactions failed" in reason for reason in found["reasons"])


def test_a_latency_limit_that_could_not_be_judged_is_a_doubt() -> None:
    document = remote() | {"settings": sample_document()["settings"] | {"latency_limit_ms": 1e-3}}
    for point in document["points"]:
        point["service_ms"]["p99"] = None
    found = judged(document)
    assert found["grade"] == "B"
    assert any("whether the latency limit is kept is not known" in reason for reason in found["reasons"])
    document["settings"]["latency_limit_ms"] = None
    assert any("no latency limit was judged" in reason for reason in judged(document)["reasons"])


def test_an_interrupted_search_is_judged_as_it_was() -> None:
    document = remote()
    document["knee"]["status"] = "UNRESOLVED"
    assert judged(document)["pool_size"] is None


def remote() -> Json:
    """Nothing speaks against it."""
    document = sample_document()
    document["target"]["local"] = False
    document["limits"]["others"] = 0
    return document
