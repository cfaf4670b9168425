"""Faults of sections D and G: statements and values that can never work."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import asyncpg

from dbpool import Identifier, StatementError
from tests.rigs.misuse.cases import case, expect, expect_same, made, refused, refused_untaken
from tests.rigs.misuse.kinds import CROWD, LONE
from tests.rigs.misuse.stage import Stage

Use: TypeAlias = Callable[[Any], Awaitable[object]]  # of whatever has fetch() and execute()

HUGE = bytes(2**30)  # zero pages that nobody touches
MANY = range(32_768)
BEGINS: tuple[Use, ...] = (
    lambda on: on.execute("begin"),
    lambda on: on.execute("commit"),
    lambda on: on.execute("/* x */ rollback -- y"),
    lambda on: on.fetch("start transaction read only"),
    lambda on: on.execute("savepoint a"),
)
COPIES: tuple[Use, ...] = (
    lambda on: on.execute("copy written from stdin"),
    lambda on: on.fetch("COPY written (number) FROM STDIN WITH (FORMAT csv)"),
    lambda on: on.fetch("copy (select 1) to stdout"),
    lambda on: on.execute("select 1; copy written from stdin"),
)
EMPTY: tuple[Use, ...] = (lambda on: on.fetch(""), lambda on: on.execute(" ; -- nothing\n /* at all */ ;"))
NULS: tuple[Use, ...] = (lambda on: on.fetch("select 'a\0b'"), lambda on: on.fetch("select $1::text", "a\0b"))
SURROGATES: tuple[Use, ...] = (
    lambda on: on.fetch("select '\ud800'"),
    lambda on: on.fetchval("select $1::text", "\udfff"),
)
TOO_MANY: tuple[Use, ...] = (lambda on: on.execute("select 1", *MANY),)
TOO_LONG: tuple[Use, ...] = (lambda on: on.execute("select $1, $2", 1, HUGE),)
MISFITS: tuple[tuple[type[Exception], str, object], ...] = (
    (asyncpg.UntranslatableCharacterError, "select $1::jsonb", json.dumps("\0")),
    (asyncpg.DataError, "select $1::int", 2**31),
    (asyncpg.DataError, "select $1::int", "one"),
    (asyncpg.DataError, "select $1::date", "today"),
    (asyncpg.NumericValueOutOfRangeError, "select $1::int + 1", 2**31 - 1),
)
NO_OBJECT = ("select '294276-12-31'::date", "select '4713-01-01 BC'::timestamp")
HOSTILE = ('t"; drop table written; --', "t; drop table written", "Written", "select", "t.u", "'", "$1", "ß" * 31)
NOBODYS = ("", "a\0b", "\ud800", "x" * 64, "ß" * 32)


async def _refused_anywhere(stage: Stage, uses: tuple[Use, ...]) -> int:
    """By the pool without a permit; or, some times, in a transaction, which stays as it was."""
    if stage.rng.random() < 0.75:
        for use in uses:
            await refused_untaken(stage.db, made(use, stage.db), StatementError)
        return len(uses)
    number = stage.number()
    async with stage.db.transaction() as tx:
        await tx.execute("insert into written values ($1)", number)
        for use in uses:
            await refused(made(use, tx), StatementError)
        await tx.execute("insert into written values ($1)", number)
    expect_same(await stage.stored(number), 2, "M3", "rows of a transaction in which something was refused")
    return len(uses)


@case(55, CROWD)
async def begun_by_hand(stage: Stage) -> int:
    return await _refused_anywhere(stage, BEGINS)


@case(55, LONE)
async def left_open_on_a_connection(stage: Stage) -> int:
    """It works there, and what is left open is rolled back."""
    number = stage.number()
    async with stage.db.acquire() as connection:
        await connection.execute("begin")
        await connection.execute("insert into written values ($1)", number)
    async with stage.db.acquire() as connection:
        expect(holds=not connection.is_in_transaction(), goal="M10", text="a caller found a transaction open")
    expect_same(await stage.stored(number), 0, "M10", "rows stored of a transaction that was left open")
    return 1


@case(57, CROWD)
async def copy_as_a_statement(stage: Stage) -> int:
    return await _refused_anywhere(stage, COPIES)


@case(57, LONE)
async def copy_on_a_connection(stage: Stage) -> int:
    async with stage.db.acquire() as connection:
        for use in COPIES:
            await refused(made(use, connection), StatementError)
        expect_same(await connection.fetchval("select 57"), 57, "M3", "the connection's next answer")
    return len(COPIES)


@case(58, CROWD)
async def nothing_at_all(stage: Stage) -> int:
    return await _refused_anywhere(stage, EMPTY)


@case(81, CROWD)
async def nul(stage: Stage) -> int:
    await refused(stage.db.fetch("select $1::text[]", ["a\0b"]), asyncpg.CharacterNotInRepertoireError)
    return 1 + await _refused_anywhere(stage, NULS)


@case(82, CROWD)
async def lone_surrogate(stage: Stage) -> int:
    await refused(stage.db.fetch("select $1::text[]", ["\ud800"]), asyncpg.DataError)
    return 1 + await _refused_anywhere(stage, SURROGATES)


@case(83, CROWD)
async def too_many_parameters(stage: Stage) -> int:
    return await _refused_anywhere(stage, TOO_MANY)


@case(84, CROWD)
async def too_long_for_any_message(stage: Stage) -> int:
    return await _refused_anywhere(stage, TOO_LONG)


@case(85, CROWD)
async def sql_in_a_name(stage: Stage) -> int:
    """A table of that name is made, filled, read and dropped; and what can be nobody's name is refused."""
    name, column, nobodys = stage.rng.choice(HOSTILE), stage.rng.choice(HOSTILE), stage.rng.choice(NOBODYS)
    number = stage.number()
    await stage.db.execute(f"create table {Identifier('hostile', name)} ({Identifier(column)} int)")
    try:
        table = f"hostile.{Identifier(name)}"
        await stage.db.insert(table, [(number,), (number,)], columns=[column])
        got = [row[column] for row in await stage.db.fetch(f"select {Identifier(column)} from {table}")]
        expect_same(got, [number] * 2, "M3", f"rows of the table {name!r}")
    finally:
        await stage.db.execute(f"drop table {Identifier('hostile', name)}")
    try:
        Identifier(nobodys)
    except StatementError:
        return 2
    expect(holds=False, goal="M6", text=f"{nobodys!r:.80} is taken as a name")
    return 0


@case(90, CROWD)
async def value_that_does_not_fit(stage: Stage) -> int:
    """The server's own error, or the driver's."""
    for kind, sql, value in MISFITS:
        await refused(stage.db.fetchval(sql, value), kind)
    await refused(stage.db.fetchval(stage.rng.choice(NO_OBJECT)), ValueError, OverflowError)
    return len(MISFITS) + 1
