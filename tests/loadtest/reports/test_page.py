"""The report as one file: whole, small, safe against what documents hold, and possible for any of them."""

from __future__ import annotations

import copy
import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest

from dbpool.loadtest.report.html import live, page
from tests.support.htmlpages import Seen, read
from tests.support.loadtestdocument import sample_document

MOST_BYTES = 400_000
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"'><img src=x onerror=alert(1)>",
    "]]></style><style>*{display:none}</style>",
    "\u202eright to left\u202c \U0001f40d\u2028\u2029\x00",
    "&lt;b&gt; &amp; \\u003c",
]
KNOWN_BAD = {"img", "iframe", "object", "embed", "form", "input", "link", "base", "b", "video", "audio"}


def small_document() -> dict[str, Any]:
    """The sample with few points, seconds and looks."""
    document = sample_document()
    kept = [point["id"] for point in document["points"] if point["id"] in {1, 3, 10, 19, 21, 27, 31, 32}]
    document["points"] = [point for point in document["points"] if point["id"] in kept]
    document["timeline"] = [line for line in document["timeline"] if line["point"] in kept][::6]
    document["samples"] = document["samples"][::40]
    return document


def test_the_page_of_a_default_run_is_smaller_than_400_kb() -> None:
    assert len(page(sample_document()).encode()) < MOST_BYTES


def test_the_page_of_a_run_with_as_many_seconds_as_are_shown_is_too_all_of_them_with_failures() -> None:
    document = sample_document()
    last, lines, samples = document["points"][-1], document["timeline"], document["samples"]
    last["window_s"] = 300.0
    lines += [
        lines[n] | {"point": last["id"], "t": 12 + n, "errors": n % 3, "skipped": n % 5}
        for n in range(500 - len(lines))
    ]
    samples += [samples[n] | {"t": samples[-1]["t"] + n + 1.0} for n in range(500 - len(samples))]
    assert (len(lines), len(samples)) == (500, 500)
    text = page(document)
    assert "Failures over time" in text
    assert len(text.encode()) < MOST_BYTES


def test_the_page_needs_nothing_from_elsewhere() -> None:
    seen = read(page(sample_document()))
    for tag, attributes in seen.elements:
        assert tag not in KNOWN_BAD
        assert "src" not in attributes
        assert "style" not in attributes  # the policy forbids them
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("href", "#").startswith("#")


@pytest.mark.parametrize(("make", "connects"), [(page, "'none'"), (lambda document: live(document)[0], "'self'")])
def test_the_policy_lets_run_and_style_exactly_what_is_in_the_page(
    make: Callable[[Mapping[str, Any]], str], connects: str
) -> None:
    seen = read(make(small_document()))
    policy = next(a["content"] for _, a in seen.elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == connects
    running = [text for tag, attributes, text in seen.raw if tag == "script" and "type" not in attributes]
    styling = [text for tag, _, text in seen.raw if tag == "style"]
    assert rules["script-src"] == " ".join(f"'sha256-{_hash(text)}'" for text in running)
    assert rules["style-src"] == " ".join(f"'sha256-{_hash(text)}'" for text in styling)


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def test_headings_are_in_order_and_none_is_empty() -> None:
    seen = read(page(sample_document()))
    levels = [int(tag[1]) for tag, _ in seen.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(text.strip() for _, text in seen.headings)
    assert len([text for tag, text in seen.headings if tag == "h2"]) == 13


def test_ids_are_there_once_and_links_lead_to_them() -> None:
    seen = read(page(sample_document()))
    ids = [attributes["id"] for _, attributes in seen.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"][1:] for tag, attributes in seen.elements if tag == "a"} <= set(ids)


def test_every_figure_has_a_drawing_data_and_a_table() -> None:
    document = sample_document()
    text = page(document)
    seen = read(text)
    keys = [attributes["data-figure"] for tag, attributes in seen.elements if "data-figure" in attributes]
    assert keys == list(_figures(seen)) == list(live(document)[1]["figures"])
    assert text.count('<svg class="drawing') == len(keys)
    assert text.count("<summary>Numbers") == len(keys)
    assert len(keys) >= 18


def _figures(seen: Seen) -> dict[str, Any]:
    (data,) = [text for tag, attributes, text in seen.raw if attributes.get("type") == "application/json"]
    found: dict[str, Any] = json.loads(data)
    return found


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_the_document_is_a_text_of_the_page(text: str) -> None:
    innocent, hostile = read(page(_filled("w" * len(text)))), read(page(_filled(text)))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in innocent.elements]
    assert [sorted(a) for _, a in hostile.elements] == [sorted(a) for _, a in innocent.elements]
    assert _figures(hostile).keys() == _figures(innocent).keys()
    assert hostile.text.count(text.replace("\x00", "\ufffd")) + hostile.text.count(text) > 20


def _filled(text: str) -> dict[str, Any]:
    """A document with *text* wherever it has a text that others may choose."""
    document = small_document()
    document["workload"]["scripts"] = [{"name": text, "weight": 1, "sha256": text}]
    document["run"] |= {"argv": [text], "id": text, "command": text, "status": text, "started": text}
    document["tool"] = dict.fromkeys(document["tool"], text)
    document["target"] |= {"version": text, "settings": {text: text}}
    for point in document["points"]:
        point |= {"flags": [text], "why": text, "driver": text}
        point["counts"]["errors"] = {text: 3}
    for sample in document["samples"]:
        sample |= {"ours": {text: 2}, "waits": {text: 1}, "wait_events": {text: 1}}
    for name in ("events", "statements", "warnings"):
        for each in document[name]:
            each |= {key: text for key, value in each.items() if isinstance(value, str) and key != "kind"}
    document["recommendation"] |= {"reasons": [text], "binding": text, "code": text, "grade": text}
    document["overload"]["behaviour"] = text
    document["limits"]["probe"] |= {"refusal_class": text, "label": text}
    for part in document["storm"]["parts"]:
        part |= {"text": text, "failures": {text: 1}, "name": text}
    document["thresholds"] = [{"expr": text, "value": 1.0, "ok": False, "point": None}]
    return document


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": "dbpool.loadtest/1"},
        {"run": {"status": "interrupted"}, "points": [], "timeline": [], "samples": [], "events": []},
        dict.fromkeys(sample_document()),
    ],
)
def test_a_document_with_almost_nothing_has_a_page_without_empty_chapters(document: dict[str, Any]) -> None:
    seen = read(page(document))
    assert [text for tag, text in seen.headings if tag == "h3"] == []
    assert [text for tag, text in seen.headings if tag == "h2"][-1:] == ["Method and settings"]


@pytest.mark.parametrize("left_out", ["knee", "overload", "storm", "soak", "fleet", "budget", "samples", "timeline"])
def test_a_chapter_without_numbers_is_left_out(left_out: str) -> None:
    with_all, document = read(page(small_document())), small_document()
    document[left_out] = [] if isinstance(document[left_out], list) else None
    without = read(page(document))
    headings = {text for tag, text in without.headings if tag == "h2"}
    gone = {text for tag, text in with_all.headings if tag == "h2"} - headings
    chapters = {
        "overload": "Overload",
        "storm": "Storms",
        "soak": "Soak",
        "fleet": "Fleet",
        "budget": "Connection budget",
        "timeline": "Over time",
    }
    assert gone == ({chapters[left_out]} if left_out in chapters else set())


def test_an_interrupted_run_says_so_above_all_that_it_has() -> None:
    document = small_document()
    document["run"]["status"] = "interrupted"
    for name in ("recommendation", "knee", "usl", "overload", "storm"):
        document[name] = None
    document["points"] = document["points"][:2]
    seen = read(page(document))
    assert "The run was interrupted: it has what was measured until then." in seen.text
    assert ("h2", "At a glance") in seen.headings


def test_whatever_is_not_known_the_page_is_made() -> None:
    document = small_document()
    paths = list(_paths(document))
    assert len(paths) > 300
    failed = {}
    for path in random.sample(paths, 120):  # others each time: the seed is pytest's
        try:
            page(_without(document, path))
        except Exception as error:
            failed[path] = error
    assert failed == {}


NEVER_NULL = {"id", "stage", "share", "offered_rate", "t", "expr", "n", "mean"}
"""What is there wherever what it belongs to is."""
COUNTS = {"ours", "others", "waits", "wait_events", "failures", "errors"}
"""Of which each that is there is a number."""


def _paths(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """To all that may be unknown, in the first of each list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in NEVER_NULL and path[-1:] not in {(name,) for name in COUNTS}:
                yield (*path, key)
            yield from _paths(inner, (*path, key))
    elif isinstance(value, list) and value and path[-1] not in {"curve", "cdf", "argv"}:
        yield from _paths(value[0], (*path, 0))


def _without(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    changed = copy.copy(document)
    at: Any = changed
    for key in path[:-1]:
        at[key] = copy.copy(at[key])
        at = at[key]
    at[path[-1]] = None
    return changed


def test_a_percentile_that_n_is_too_small_for_says_so_and_an_unknown_one_does_not() -> None:
    document = small_document()
    point = document["points"][0]
    point["response_ms"]["p99"] = None
    point["service_ms"] = None
    row = read(page(document)).table("All points")[1]
    assert row[9] == "n too small"
    assert row[10] == "–"
