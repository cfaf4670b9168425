"""docs/status-page.md: its programs serve what it says, its probes exist, its table of the JSON is complete."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import httpx
import pytest

from dbpool.web.asgi import App
from tests.docs.guide import ROOT, Program, programs_of
from tests.support.databases import Database
from tests.support.uvicorns import served

TEXT = (ROOT / "docs" / "status-page.md").read_text("utf-8")
PROGRAMS = programs_of(TEXT)
TOKEN = "8Jc0x-a-token-of-some-length"


def app_of(program: Program, database: Database, monkeypatch: pytest.MonkeyPatch) -> App:
    """What *program* calls ``app``."""
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    monkeypatch.setenv("STATUS_TOKEN", TOKEN)
    module = ModuleType("main")
    monkeypatch.setitem(sys.modules, "main", module)  # where Litestar looks for the types of a handler
    exec(compile(program.source, f"<{program}>", "exec"), vars(module))
    app: App = module.app
    return app


def test_it_has_the_programs_that_are_run_here() -> None:
    sections = [program.section for program in PROGRAMS]
    assert sections == ["Mount it", "Mount it", "Who may look", "Turn callers away politely"]


@pytest.mark.parametrize("number", [0, 1])
async def test_the_page_is_where_it_was_mounted(
    number: int, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with served(app_of(PROGRAMS[number], database, monkeypatch)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert "All is well" in (await client.get("/status/")).text
            for probe in probes():
                assert (await client.get(probe)).status_code == 200
            document = (await client.get("/status/status.json")).json()
    described = set(re.findall(r"`(\w+)(?:\[\])?`", TEXT.partition("## The JSON")[2].partition("## Turn")[0]))
    (pool,) = document["pools"]
    names = {*document, *pool, *pool["gate"], *pool["timeline"], *pool["verdict"]}
    names |= {name for rows in ("events", "sites") for row in pool[rows] for name in row}
    assert names <= described


async def test_the_token_is_needed_and_is_enough(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(app_of(PROGRAMS[2], database, monkeypatch)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/")).status_code == 401
            answer = await client.get("/status.json", headers={"authorization": f"Bearer {TOKEN}"})
            assert answer.json()["title"] == "Orders"


async def test_the_service_answers(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(app_of(PROGRAMS[3], database, monkeypatch)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/orders")).json() == 7


def probes() -> list[str]:
    """The paths that the page gives to Kubernetes."""
    paths = re.findall(r"httpGet: \{ path: (\S+), port", TEXT)
    assert len(paths) == 2
    return paths


def test_the_picture_is_there_and_small() -> None:
    assert 10_000 < (ROOT / "docs" / "status-page.png").stat().st_size < 200_000
