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
