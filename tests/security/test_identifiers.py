"""A name means exactly itself, or is refused: nothing in it is ever read as SQL."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dbpool
from dbpool import Identifier, StatementError
from dbpool.core.identifier import problem_with
from tests.support.databases import Database
from tests.support.pools import pool_of

CHARACTERS = st.one_of(st.sampled_from("\"'.;$\\ \t\n%aA_é😀-*()/"), st.characters(exclude_characters="\0"))
NAMES = st.text(CHARACTERS, min_size=1, max_size=63).filter(lambda name: problem_with(name) is None)
MANY = st.lists(st.lists(NAMES, min_size=1, max_size=4), min_size=20, max_size=60)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(names=MANY)
async def test_the_server_reads_back_what_was_quoted(database: Database, names: list[list[str]]) -> None:
    written = [str(Identifier(*parts)) for parts in names]
    columns = ", ".join(f"{number} as {Identifier(parts[0])}" for number, parts in enumerate(names))
    async with pool_of(database, 1) as db:
        read = await db.fetch("select parse_ident(written) as parts from unnest($1::text[]) as written", written)
        row = await db.fetchrow(f"select {columns}")
    assert [each["parts"] for each in read] == names
    assert row is not None
    assert list(row.keys()) == [parts[0] for parts in names], "nothing was cut off"


@pytest.mark.parametrize(
    "name", ["x" * 63, "é" * 31 + "x", "😀" * 15, "a.b", '"', '""', "x; drop table users --", " ", "select", "\n", "\\"]
)
async def test_any_name_that_the_server_takes_is_taken(database: Database, name: str) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(f"create table {Identifier(name)} ({Identifier(name)} int)")
        found = await db.fetchrow(
            "select c.relname, a.attname from pg_class c join pg_attribute a on attrelid = c.oid and attnum = 1 "
            "where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace"
        )
        assert found is not None
        assert tuple(found) == (name, name)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ((), "needs at least one name"),
        (("",), "it is empty"),
        (("shop", ""), "it is empty"),
        (("a\0b",), "it has a NUL"),
        (("\ud800",), "it has a lone surrogate"),
        (("x" * 64,), "it has 64 bytes, and names have at most 63"),
        (("é" * 32,), "it has 64 bytes"),
        ((7,), "it is no str but int"),
        ((b"users",), "it is no str but bytes"),
    ],
)
def test_what_can_be_no_name_is_refused(parts: tuple[str, ...], says: str) -> None:
    with pytest.raises(StatementError, match=says) as caught:
        Identifier(*parts)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value)) < 200


def test_it_is_a_value() -> None:
    assert Identifier("shop", "Orders") == Identifier("shop", "Orders") != Identifier("shop.Orders")
    assert len({Identifier("a"), Identifier("a"), Identifier("b")}) == 2
    assert repr(Identifier("shop", 'a"b')) == "Identifier('shop', 'a\"b')"
    assert str(Identifier("shop", 'a"b')) == '"shop"."a""b"'
    assert Identifier("a") != "a"
    assert dbpool.Identifier is Identifier


@pytest.mark.parametrize("name", ["x" * 64, "a\0b", "", "\ud800"])
async def test_a_name_that_would_be_cut_off_names_no_other_table(database: Database, name: str) -> None:
    async with pool_of(database, 2) as db:
        await db.execute(f"create table {'x' * 63} (a int, {'y' * 63} int)")
        with pytest.raises(StatementError):
            await db.insert(name, [{"a": 1}])
        with pytest.raises(StatementError):
            await db.update_from(name, [{"a": 1, "b": 2}], key="a")
        with pytest.raises((StatementError, dbpool.UsageError)):
            await db.insert("x" * 63, [{"a": 1, "y" * 64: 2}])
        with pytest.raises((StatementError, dbpool.UsageError, dbpool.LoadFailed)):
            await db.load(name, [(1, 2)])
        with pytest.raises((StatementError, dbpool.UsageError)):
            await db.export(name, "/dev/null")
        assert await db.fetchval(f"select count(*) from {'x' * 63}") == 0


def test_an_identifier_is_laid_out_as_its_text_is() -> None:
    assert f"{Identifier('a'):>5}|{Identifier('a', 'b'):<9}|{Identifier('a')}" == '  "a"|"a"."b"  |"a"'
