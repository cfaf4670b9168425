"""docs/testing.md: its blocks are one project, whose tests pass; it names all that there is."""

from __future__ import annotations

import re

import pytest

import dbpool.testing
from dbpool.testing import FakePool, FaultProxy, missingfixtures, poolfixtures, serverfixtures
from tests.docs.guide import ROOT
from tests.support.userproject import Project, project

__all__ = ["project"]

TEXT = (ROOT / "docs" / "testing.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
FILES = {body.splitlines()[0].removeprefix("# ").removesuffix(".py"): body for kind, body in BLOCKS if kind == "python"}
TESTS = sum(body.count("def test_") for body in FILES.values())


def the(kind: str) -> str:
    (body,) = [body for each, body in BLOCKS if each == kind]
    return str(body)


def test_the_blocks_of_the_guide_are_a_project_that_passes(project: Project) -> None:
    ini = the("ini").removeprefix("[pytest]\n")
    ended = project(ini=ini, migrations={"1_users.sql": the("sql")}, **FILES)
    assert ended.code == 0, ended.text
    assert ended.counts() == {"passed": TESTS + 1}, ended.text  # one of them has two cases


def test_every_fixture_is_in_the_guide() -> None:
    made = {
        name
        for module in (poolfixtures, serverfixtures)
        for name, value in vars(module).items()
        if type(value).__name__ == "FixtureFunctionDefinition"
    }
    assert set(missingfixtures.NAMES) < made
    assert {name for name in made - {"dbpool_administrator"} if f"`{name}`" not in TEXT} == set()


def test_what_the_guide_names_is_there(pytestconfig: pytest.Config) -> None:
    for option in re.findall(r"--dbpool-\w+", TEXT):
        assert pytestconfig.getoption(option) is None or option
    for name in re.findall(r"^\| `(?:await )?(\w+)\(", TEXT, re.MULTILINE):
        assert hasattr(FaultProxy, name), name
    for name in ("on", "go_down", "come_back", "lose_connections"):
        assert f"`{name}(" in TEXT
        assert hasattr(FakePool, name)
    for name in (
        "FakePool",
        "UnexpectedStatement",
        "Deadlock",
        "Way",
        "proxy_before",
        "run",
        "sandbox",
        "explore_schedules",
        "at_every_step",
    ):
        assert hasattr(dbpool.testing, name)
    for ini in re.findall(r"`(dbpool_(?:server|dsn|image|migrations|settings|patience))`", TEXT):
        pytestconfig.getini(ini)


def test_what_the_guide_links_to_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
