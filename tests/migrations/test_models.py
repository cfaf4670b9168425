"""Models and database: what differs, and steps that are written from that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from dbpool import migrate
from dbpool.errors import MigrationError
from tests.migrations.test_folders import asked
from tests.support.databases import Database
from tests.support.migrationfolders import Steps


def shop(*columns: sa.Column[Any]) -> sa.MetaData:
    metadata = sa.MetaData()
    sa.Table("orders", metadata, sa.Column("id", sa.BigInteger, primary_key=True), *columns)
    return metadata


async def test_a_first_folder_is_made_from_models_and_then_nothing_differs(database: Database, tmp_path: Path) -> None:
    await migrate.upgrade(database.dsn)  # the package's own tables are nobody's models
    folder, models = tmp_path / "db" / "migrations", shop(sa.Column("note", sa.Integer, index=True))
    first = await migrate.new_revision(
        "orders, at last", folder, dsn=database.dsn, metadata=models, autogenerate=True, rev_id="0001"
    )
    assert first is not None
    assert first.parent == folder / "versions"
    assert first.name.endswith("_0001_orders_at_last.py")
    assert "dbpool" not in first.read_text().partition("def upgrade")[2]
    await migrate.upgrade(database.dsn, folder=folder)
    assert (await migrate.check(database.dsn, folder=folder, metadata=models)).is_same
    assert await migrate.new_revision("no more", folder, dsn=database.dsn, metadata=models, autogenerate=True) is None
    await migrate.downgrade(database.dsn, "base", folder=folder)
    assert await asked(database, "select 1 from pg_tables where tablename = 'orders'") == []


async def test_what_differs_is_said_in_words(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table orders (id bigint primary key, old text, kept text not null); ")
    await migrate.upgrade(database.dsn, folder=steps.path)
    models = shop(sa.Column("kept", sa.Text), sa.Column("fresh", sa.Integer))
    found = await migrate.check(database.dsn, folder=steps.path, metadata=models)
    assert set(found.differences) == {
        "add column orders.fresh",
        "remove column orders.old",
        "change nullable of orders.kept from False to True",
    }
    assert not found.is_same


async def test_pending_steps_are_found_before_models_are_looked_at(database: Database, steps: Steps) -> None:
    steps.sql("a1", "create table orders (id bigint primary key)")
    found = await migrate.check(database.dsn, folder=steps.path, metadata=shop())
    assert ([step.id for step in found.pending], found.differences) == (["a1"], ())
    with pytest.raises(MigrationError, match="lacks a1"):
        await migrate.new_revision("more", steps.path, dsn=database.dsn, metadata=shop(), autogenerate=True)


async def test_models_that_an_env_names_are_used(database: Database, steps: Steps) -> None:
    steps.sql("a1", "select 1")
    (steps.path / "env.py").write_text(
        "import sqlalchemy as sa\nfrom dbpool.migrate.env import run\n"
        "metadata = sa.MetaData()\nsa.Table('orders', metadata, sa.Column('id', sa.Integer))\nrun(metadata=metadata)\n"
    )
    await migrate.upgrade(database.dsn, folder=steps.path)
    assert (await migrate.check(database.dsn, folder=steps.path)).differences == ("add table orders",)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("nowhere.models:metadata", "cannot be imported: ModuleNotFoundError"),
        ("sqlalchemy:metadata", "cannot be imported: AttributeError"),
        ("sqlalchemy:MetaData", "is no sqlalchemy.MetaData but type"),
        ("sqlalchemy", "should look like package.module:metadata"),
    ],
)
async def test_models_that_cannot_be_had_are_told(steps: Steps, place: str, sentence: str) -> None:
    with pytest.raises(MigrationError, match=sentence):
        await migrate.check("postgresql://nobody@127.0.0.1:1/x", folder=steps.path, metadata=place)


async def test_without_models_nothing_is_generated(database: Database, steps: Steps) -> None:
    with pytest.raises(MigrationError, match="compared with what"):
        await migrate.new_revision("more", steps.path, dsn=database.dsn, autogenerate=True)
    assert not list((steps.path / "versions").glob("*.py"))


@pytest.mark.parametrize("name", ["billing_version", """it's a "table" of ours"""])
async def test_a_version_table_of_a_new_folder_is_kept_in_its_env(
    database: Database, tmp_path: Path, name: str
) -> None:
    await migrate.new_revision("first", tmp_path / "billing", version_table=name)
    await migrate.upgrade(database.dsn, folder=tmp_path / "billing")
    assert (await migrate.status(database.dsn, folder=tmp_path / "billing")).version_table == name


async def test_new_steps_stand_one_on_the_other(tmp_path: Path) -> None:
    for name in ("one", "two"):
        await migrate.new_revision(name, tmp_path / "m", rev_id=name)
    assert [(step.id, step.after, step.message) for step in migrate.history(tmp_path / "m")] == [
        ("one", (), "one"),
        ("two", ("one",), "two"),
    ]
    with pytest.raises(MigrationError, match="1 head: there is nothing to merge"):
        await migrate.new_revision("join", tmp_path / "m", merge=True)


@pytest.mark.parametrize(
    ("rev_id", "sentence"),
    [
        ("a@b", "the id 'a@b' has other characters than letters"),
        ("../x", "has other characters"),
        ("it's", "has other characters"),
        ("head", "means something else"),
        ("one", "is that of a step already"),
        ("x" * 33, "has 33 characters, 32 are the most"),
    ],
)
async def test_an_id_that_no_step_can_have_is_refused(tmp_path: Path, rev_id: str, sentence: str) -> None:
    await migrate.new_revision("first", tmp_path / "m", rev_id="one")
    with pytest.raises(MigrationError, match=f"the step cannot be written: .*{sentence}"):
        await migrate.new_revision("next", tmp_path / "m", rev_id=rev_id)
    assert [step.id for step in migrate.history(tmp_path / "m")] == ["one"]


async def test_a_message_may_have_any_characters(tmp_path: Path) -> None:
    messages = [r"C:\x and \N", 'three """', "öäü ${x} % 'one' \"two\"", "ends with \\"]
    for message in messages:
        await migrate.new_revision(message, tmp_path / "m")
    assert [step.message for step in migrate.history(tmp_path / "m")] == messages
