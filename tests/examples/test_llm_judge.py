"""The judge of examples/ with a stub that has limits and fails; killed, run again, refused."""

from __future__ import annotations

import asyncio
import importlib
import re
from types import ModuleType
from typing import cast

import pytest

from tests.docs.guide import ROOT
from tests.examples.running import PATIENCE_S, begun, printed
from tests.support.databases import Database
from tests.support.pools import witness_of

ROWS = 60


def of_rows(rows: list[tuple[object, ...]]) -> dict[object, object]:
    """Pairs as a mapping."""
    return dict(cast("list[tuple[object, object]]", rows))


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the stub, found as the example finds it."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    return importlib.import_module("support.llm")


async def test_every_row_gets_one_verdict_in_spite_of_failures(database: Database, llm: ModuleType) -> None:
    model = llm.Model(seed=3, fails=0.1)
    async with llm.served(model) as url, witness_of(database) as witness:
        text = await printed("llm_judge", str(ROWS), dsn=database.dsn, OPENAI_BASE_URL=url)
        assert await witness.value("select count(*) from example_answer where score between 1 and 5") == ROWS
    assert f"{ROWS} of {ROWS} have a verdict" in text
    assert re.search(r"\d+ tokens, \$0\.\d+", text)
    seen = model.limits.seen
    assert seen["failed"] + seen["hung"] > 0
    assert seen["refused"] <= ROWS / 10  # no storm: a few at the most, where the machine is busy
    assert model.limits.most_at_once <= llm.AT_ONCE


async def test_killed_and_run_again_it_judges_nothing_twice_and_loses_nothing(
    database: Database, llm: ModuleType
) -> None:
    model = llm.Model(fails=0.0)
    async with llm.served(model) as url, witness_of(database) as witness:
        process = await begun("llm_judge", str(ROWS), dsn=database.dsn, OPENAI_BASE_URL=url)
        judged = "select count(*) from example_answer where judged_at is not null"
        async with asyncio.timeout(PATIENCE_S):
            assert process.stdout is not None
            await process.stdout.readline()  # the table is there
            while await witness.value(judged) < 10:
                await asyncio.sleep(0.01)
            process.kill()
            await process.communicate()
        before = of_rows(await witness.rows("select id, judged_at from example_answer where judged_at is not null"))
        assert 10 <= len(before) < ROWS
        asked = len(model.asked)
        text = await printed("llm_judge", str(ROWS), dsn=database.dsn, OPENAI_BASE_URL=url)
        after = of_rows(await witness.rows("select id, judged_at from example_answer where score is not null"))
    assert f"{ROWS - len(before)} of {ROWS} to judge" in text
    assert len(after) == ROWS
    assert {number: after[number] for number in before} == before
    again = {int(question[1 : question.index("]")]) for question in model.asked[asked:]}
    assert again.isdisjoint(before)
    assert len(model.asked) <= ROWS + 2 * llm.AT_ONCE  # those that were under way


async def test_a_service_that_is_down_ends_it_with_a_sentence(database: Database) -> None:
    process = await begun("llm_judge", "5", dsn=database.dsn, OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    async with asyncio.timeout(PATIENCE_S):
        _, err = await process.communicate()
    assert process.returncode == 1
    assert b"run it again later" in err.splitlines()[-1]
    async with witness_of(database) as witness:
        assert await witness.value("select count(*) from example_answer where judged_at is null") == 5
