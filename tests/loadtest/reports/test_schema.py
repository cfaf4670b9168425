"""The published schema: what a run leaves is valid, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dbpool.loadtest.document import SCHEMA
from dbpool.loadtest.schema.checking import flaw_of
from dbpool.loadtest.schema.published import document_schema, line_schema
from tests.support.loadtestdocument import sample_document

Path = tuple[str | int, ...]
BULK = ("points", "timeline", "samples", "events")
MAPS = {"settings", "errors", "ours", "others", "waits", "wait_events", "failures", "refusals"}
VALIDATOR = Draft202012Validator(document_schema())
LINES = Draft202012Validator(line_schema())


@cache
def _text() -> str:
    document = sample_document()
    open_point = next(point for point in document["points"] if point["lag_ms"])
    open_point["id"] = 0
    document |= {name: document[name][:1] for name in ("timeline", "samples", "events")}
    return json.dumps(document | {"points": [open_point]})


def small() -> dict[str, Any]:
    """A document with every section, and one of each line."""
    document: dict[str, Any] = json.loads(_text())
    return document


def objects(value: object, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each object whose keys the schema gives, with where it is."""
    if isinstance(value, list) and value:
        yield from objects(value[0], (*path, 0))
    if isinstance(value, dict):
        is_map = bool(path) and path[-1] in MAPS and path != ("settings",)
        if not is_map:
            yield path, value
        for name, item in value.items():
            yield from objects(item, (*path, name))


def at(value: Any, path: Path) -> Any:  # noqa: ANN401 - JSON
    for step in path:
        value = value[step]
    return value


def is_valid(document: object) -> bool:
    return bool(VALIDATOR.is_valid(document))


def test_the_schema_is_one_and_its_version_is_the_documents() -> None:
    Draft202012Validator.check_schema(document_schema())
    assert document_schema()["$defs"]["summary_fields"]["properties"]["schema"]["const"] == SCHEMA


def test_a_whole_run_is_valid() -> None:
    document = json.loads(json.dumps(sample_document()))
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    assert flaw_of(document) is None


def test_a_run_of_which_nothing_is_known_is_valid() -> None:
    document = small() | dict.fromkeys(
        ("usl", "knee", "recommendation", "budget", "overload", "storm", "soak", "fleet")
    )
    document |= dict.fromkeys(("settings", "statements", "comparison"))
    document |= {name: [] for name in (*BULK, "thresholds", "warnings")}
    document["calibration"] = dict.fromkeys(document["calibration"])
    assert is_valid(document)
    assert flaw_of(document) is None


@pytest.mark.parametrize("where", [path for path, _ in objects(small())], ids=lambda path: ".".join(map(str, path)))
def test_each_key_is_required_and_no_other_is_allowed(where: Path) -> None:
    for name in list(at(small(), where)):
        document = small()
        del at(document, where)[name]
        assert not is_valid(document), name
        assert str(flaw_of(document)).endswith(f"{name} is missing")
    document = small()
    at(document, where)["surprise"] = 1
    assert not is_valid(document)
    assert flaw_of(document) is None  # a later version may add something


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), "dbpool.loadtest/2"),
        (("run", "status"), "done"),
        (("run", "command"), "probe"),
        (("run", "preset"), "slow"),
        (("run", "seed"), 1.5),
        (("target", "version"), None),
        (("target", "cores"), 0),
        (("limits", "usable"), -1),
        (("limits", "role_limit"), "none"),
        (("workload", "scripts"), []),
        (("workload", "scripts", 0, "sha256"), "abc"),
        (("settings", "enough"), 95),
        (("calibration", "noop_tps"), -1),
        (("points", 0, "stage"), "warm"),
        (("points", 0, "id"), None),
        (("points", 0, "tps"), 812.0),
        (("points", 0, "tps", "ci95"), [1.0]),
        (("points", 0, "response_ms", "p99"), -1.0),
        (("points", 0, "counts", "errors"), {"57014": 0}),
        (("points", 0, "counts", "ok"), True),
        (("points", 0, "rates", "late"), 1.01),
        (("points", 0, "generator", "bound"), None),
        (("timeline", 0, "completed"), None),
        (("samples", 0, "ours"), {"active": -1}),
        (("events", 0, "kind"), "happened"),
        (("knee", "status"), "bounded"),
        (("knee", "size"), 0),
        (("recommendation", "grade"), "D"),
        (("overload", "steps", 0, "goodput_tps"), "many"),
        (("storm", "parts", 0, "name"), "other"),
        (("soak", "trends", 0, "name"), "swap"),
        (("fleet", "steps", 0, "fairness"), 1.5),
        (("thresholds", 0, "ok"), None),
        (("exit_code",), "0"),
    ],
)
def test_a_false_value_is_not_valid(path: Path, value: object) -> None:
    document = small()
    at(document, path[:-1])[path[-1]] = value
    assert not is_valid(document)


def test_what_is_of_the_wrong_type_is_named_with_its_place() -> None:
    document = small()
    document["points"][0]["response_ms"]["p50"] = "fast"
    assert flaw_of(document) == "points[0].response_ms.p50 is not number or null"
    assert flaw_of([document]) == "it is not object"


def test_each_field_says_what_it_is() -> None:
    def fields(schema: object, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(schema, list):
            for item in schema:
                yield from fields(item, path)
        if isinstance(schema, dict):
            for name, item in schema.get("properties", {}).items():
                yield f"{path}.{name}", item
            for name, item in schema.items():
                yield from fields(item, f"{path}.{name}")

    defined = document_schema()["$defs"]

    def says(field: dict[str, Any]) -> bool:
        name = field.get("$ref", "").rpartition("/")[2]
        return "description" in field or "const" in field or (name in defined and "description" in defined[name])

    assert [path for path, field in fields(document_schema(), "") if not says(field)] == []


def line(kind: str, **fields: object) -> dict[str, Any]:
    return {"t": 1.5, "type": kind, **fields}


def lines() -> list[dict[str, Any]]:
    """One of each type."""
    document = small()
    summary = {name: value for name, value in document.items() if name not in BULK}
    point, second = document["points"][0], deepcopy(document["timeline"][0])
    del second["point"], second["t"]
    load = {name: point[name] for name in ("stage", "driver", "pool_size", "clients", "offered_rate", "arrival")}
    return [
        line("meta", **summary),
        line("stage", stage="sweep", text="to find the knee", points=None, seconds=120.0),
        line("load", **load, warmup_s=3.0, time_s=10.0),
        line("tick", stage="sweep", second=3, is_warmup=False, **second),
        line("sample") | document["samples"][0],
        line("point", **point),
        line("event") | document["events"][0],
        line("verdict", knee=document["knee"], recommendation=None),
        line("summary", **summary),
    ]


@pytest.mark.parametrize("each", lines(), ids=lambda each: str(each["type"]))
def test_each_line_of_a_time_line_is_valid_only_as_it_must_be(each: dict[str, Any]) -> None:
    assert [error.message for error in LINES.iter_errors(each)] == []
    for name in each:
        assert not LINES.is_valid({key: value for key, value in each.items() if key != name}), name
    assert not LINES.is_valid(each | {"surprise": 1})
    assert not LINES.is_valid(each | {"type": "other"})
