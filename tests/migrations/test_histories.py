"""Histories that cannot be followed: each is told in one sentence, and nothing is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbpool import migrate
from dbpool.errors import MigrationError
from tests.support.databases import Database
from tests.support.migrationfolders import Steps


async def refusal(database: Database, folder: Path, revision: str = "head", *, down: bool = False) -> str:
    go = migrate.downgrade if down else migrate.upgrade
    with pytest.raises(MigrationError) as caught:
        await go(database.dsn, revision, folder=folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_folder_that_is_missing(database: Database, tmp_path: Path) -> None:
    assert "does not exist: dbpool migrate new" in await refusal(database, tmp_path / "nowhere")
    (tmp_path / "file").touch()
    assert "is no folder" in await refusal(database, tmp_path / "file")


async def test_a_folder_without_steps(database: Database, steps: Steps) -> None:
    assert "there are no steps in" in await refusal(database, steps.path)
    (steps.path / "versions").mkdir()
    assert "makes the first" in await refusal(database, steps.path)
    with pytest.raises(MigrationError, match="there are no steps in"):
        migrate.history(steps.path)


async def test_two_heads(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table mine ()")
    steps.sql("b2", "select 1", after="a1")
    steps.sql("c3", "select 1", after="a1")
    assert "2 heads, b2 and c3" in await refusal(database, steps.path)
    assert "--merge" in await refusal(database, steps.path)
    await migrate.upgrade(database.dsn, "heads", folder=steps.path)
    merge = await migrate.new_revision("join them", steps.path, merge=True, rev_id="d4")
    assert merge is not None
    done = await migrate.upgrade(database.dsn, folder=steps.path)
    assert done.after == ("d4",)
    assert migrate.history(steps.path)[-1].after == ("b2", "c3")


async def test_an_unknown_revision_and_an_ambiguous_beginning_of_one(database: Database, steps: Steps) -> None:
    steps.sql("abc1", "create table mine ()")
    steps.sql("abd2", "select 1", after="abc1")
    assert "'nowhere'" in await refusal(database, steps.path, "nowhere")
    ambiguous = await refusal(database, steps.path, "ab")
    assert "abc1" in ambiguous
    assert "abd2" in ambiguous
    assert (await migrate.upgrade(database.dsn, "abc", folder=steps.path)).after == ("abc1",)


async def test_a_file_that_is_no_python(database: Database, steps: Steps) -> None:
    steps.sql("a1", "select 1").write_text("def upgrade(:\n")
    assert "line 1, is no Python" in await refusal(database, steps.path)


async def test_a_file_that_says_not_which_step_it_is(database: Database, steps: Steps) -> None:
    steps.sql("a1", "select 1").write_text("def upgrade(): pass\n")
    assert "a1_step.py" in await refusal(database, steps.path)


async def test_a_cycle(database: Database, steps: Steps) -> None:
    steps.sql("a1", "select 1", after="b2")
    steps.sql("b2", "select 1", after="a1")
    assert "a1" in await refusal(database, steps.path)


async def test_a_step_that_stands_on_nothing_known(database: Database, steps: Steps) -> None:
    steps.sql("b2", "select 1", after="gone")
    assert "step b2_step.py in" in await refusal(database, steps.path)
    assert "comes after gone, which is not there" in await refusal(database, steps.path)


async def test_two_steps_of_one_id(database: Database, steps: Steps) -> None:
    first = steps.sql("a1", "select 1")
    (first.parent / "copy.py").write_text(first.read_text())
    assert "are a1: a1_step.py and copy.py. Give one another id" in await refusal(database, steps.path)


async def test_a_step_that_imports_what_is_not_there(database: Database, steps: Steps) -> None:
    steps.sql("a1", "select 1").write_text("import nowhere\n")
    assert "No module named 'nowhere' (a1_step.py, line 1)" in await refusal(database, steps.path)


async def test_a_way_back_past_a_step_without_downgrade_changes_nothing(database: Database, steps: Steps) -> None:
    steps.add("a1", "op.execute('create table mine ()')", None)
    steps.sql("b2", "alter table mine add x int", "alter table mine drop x", after="a1")
    await migrate.upgrade(database.dsn, folder=steps.path)
    sentence = await refusal(database, steps.path, "base", down=True)
    assert "a1_step.py has no downgrade()" in sentence
    assert "nothing was changed" in sentence
    assert await migrate.current(database.dsn, folder=steps.path) == "b2"
    assert (await migrate.downgrade(database.dsn, "-1", folder=steps.path)).after == ("a1",)


async def test_a_step_that_says_it_cannot_go_back(database: Database, steps: Steps) -> None:
    steps.add("a1", "pass", "raise NotImplementedError")
    await migrate.upgrade(database.dsn, folder=steps.path)
    assert "cannot do this" in await refusal(database, steps.path, "base", down=True)


async def test_a_database_newer_than_the_folder(database: Database, steps: Steps) -> None:
    steps.sql("a1", "select 1")
    newest = steps.sql("b2", "select 1", after="a1")
    await migrate.upgrade(database.dsn, folder=steps.path)
    newest.unlink()
    assert "newer than this one" in await refusal(database, steps.path)
    with pytest.raises(MigrationError, match="at revision b2"):
        await migrate.status(database.dsn, folder=steps.path)
