"""docs/grafana.json and docs/alerts.yml ask for nothing that the collector does not give."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from dbpool import DatabasePool
from dbpool.telemetry.prometheus import PoolCollector
from tests.docs.guide import ROOT
from tests.support.databases import Database

DASHBOARD: dict[str, Any] = json.loads((ROOT / "docs" / "grafana.json").read_text("utf-8"))
RULES: list[dict[str, Any]] = yaml.safe_load((ROOT / "docs" / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [target for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [*(query["expr"] for query in QUERIES), *(rule["expr"] for rule in RULES)]

OF_THE_SCRAPE = {"job", "instance"}  # labels that Prometheus adds
SELECTOR = re.compile(r"(dbpool_\w+)(?:\{([^}]*)\})?")
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")


async def labels_of_all(database: Database) -> dict[str, set[str]]:
    """Every sample's name with its labels, of a pool in which something of each kind has happened."""
    registry = CollectorRegistry()
    async with DatabasePool(database.dsn) as db:
        registry.register(PoolCollector(db))
        await db.fetchval("select 1")
        with pytest.raises(Exception, match="nowhere"):
            await db.fetch("select * from nowhere")
        return {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


async def test_every_metric_and_label_is_there(database: Database) -> None:
    known = await labels_of_all(database)
    assert len(EXPRESSIONS) > 30
    for expression in EXPRESSIONS:
        selectors = SELECTOR.findall(expression)
        assert selectors, expression
        labels = {label for name, _ in selectors for label in known[name]}
        for name, inside in selectors:
            assert set(re.findall(r"(\w+)\s*=", inside)) <= known[name], expression
        for group in GROUPING.findall(expression):
            assert set(re.split(r",\s*", group)) <= labels | OF_THE_SCRAPE, expression
    for query in QUERIES:
        shown = set(re.findall(r"\{\{(\w+)\}\}", query["legendFormat"]))
        (first, _), *_ = SELECTOR.findall(query["expr"])
        assert shown <= known[first], query
        groups = GROUPING.findall(query["expr"])
        if groups:
            assert shown <= set(re.split(r",\s*", groups[0])), query


async def test_every_series_of_interest_has_a_place(database: Database) -> None:
    """Each alert can be looked into on the dashboard."""
    drawn = {name for query in QUERIES for name, _ in SELECTOR.findall(query["expr"])}
    watched = {name for rule in RULES for name, _ in SELECTOR.findall(rule["expr"])}
    assert watched <= drawn


def test_the_dashboard_is_whole() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?([a-z]\w*)\}?", json.dumps(DASHBOARD))) - {"labels"}
    assert used == variables


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_what_is_wrong(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    groups = GROUPING.findall(rule["expr"])
    assert shown
    assert not groups or shown <= set(re.split(r",\s*", groups[0]))
