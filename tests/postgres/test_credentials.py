"""Passwords that change while a pool is open."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from dbpool import CredentialsError, DatabasePool, Gap, PoolSettings, ServerUnavailable, SettingsError
from dbpool.events import ConnectFailed, Event
from tests.support.databases import Database
from tests.support.pools import pool_of, role_in, until, witness_of

CANARY = "canary-91fa"

pytestmark = pytest.mark.every_loop


class Vault:
    """Knows the password of the moment, and how often it was asked."""

    def __init__(self, answer: str | tuple[str, str]) -> None:
        self.answer = answer
        self.asked = 0

    async def __call__(self) -> str | tuple[str, str]:
        self.asked += 1
        return self.answer


def role_of(dsn: str) -> str:
    role = urlsplit(dsn).username
    assert role is not None
    return role


async def change_password(database: Database, role: str, password: str) -> None:
    async with witness_of(database) as witness:
        await witness.run(f"alter role \"{role}\" password '{password}'")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def everything_said(error: BaseException) -> str:
    """Whatever a log, a debugger or a crash report would show."""
    return "".join(f"{e!r} {e.args!r} {vars(e)!r}{''.join(traceback.format_exception(e))}" for e in chain(error))


def without_password(dsn: str) -> str:
    return dsn.replace(":pw@", "@")


async def use_all(db: DatabasePool, connections: int) -> set[int]:
    """Have so many connections open at once; return their process ids."""
    rows = await asyncio.gather(
        *(db.fetchval("select pg_backend_pid() from pg_sleep(0.05)") for _ in range(connections))
    )
    return set(rows)


async def use_when_it_works(db: DatabasePool) -> set[int]:
    """The same for one, or none while the pool waits before it connects again."""
    try:
        return await use_all(db, 1)
    except ServerUnavailable:
        return set()


async def test_a_password_that_was_changed_is_asked_for_once_and_open_connections_live_on(database: Database) -> None:
    async with role_in(database) as dsn:
        vault = Vault("pw")
        async with pool_of(without_password(dsn), 3, credentials=vault) as db:
            (first,) = await use_all(db, 1)
            assert vault.asked == 1
            await change_password(database, role_of(dsn), vault_answer := "new pw")
            assert await use_all(db, 1) == {first}
            vault.answer = vault_answer
            assert first in await use_all(db, 3)
            assert vault.asked == 2  # though two connects met the refusal
            assert db.stats().connect_failures_total == 0


async def test_a_drain_after_a_rotation_replaces_every_connection_and_asks_anew(database: Database) -> None:
    async with role_in(database) as dsn:
        vault = Vault("pw")
        async with pool_of(without_password(dsn), 2, credentials=vault) as db:
            old = await use_all(db, 2)
            assert db.drain() == 2  # while the server takes the old password still: no refusal tells
            assert not old & await use_all(db, 2)
            assert vault.asked == 2


async def test_a_user_may_be_named_with_the_password_and_the_listener_uses_it_too(database: Database) -> None:
    async with role_in(database) as dsn:
        user = role_of(dsn)
        nobody = dsn.replace(f"{user}:pw@", "nobody@")
        async with pool_of(nobody, 1, credentials=lambda: (user, "pw")) as db:
            assert await db.fetchval("select current_user") == user
            async with db.listen("orders") as events:
                await db.execute("notify orders, '7'")
                assert (await anext(aiter(events))) is not None


async def test_they_may_be_of_a_class_made_from_str(database: Database) -> None:
    class Token(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "***"

    async with role_in(database) as dsn:
        answer = (Token(role_of(dsn)), Token("pw"))
        async with pool_of(database, 1, credentials=lambda: answer) as db:
            assert await db.fetchval("select current_user") == role_of(dsn)


async def test_a_password_that_stays_wrong_is_told_once_without_being_quoted(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with role_in(database) as dsn:
        vault = Vault(CANARY)
        db = DatabasePool(without_password(dsn), 1, credentials=vault)
        told: list[Event] = []
        db.on_event(told.append)
        with pytest.raises(ServerUnavailable, match="InvalidPasswordError") as caught:
            await db.open()
        assert isinstance(caught.value.__cause__, asyncpg.InvalidPasswordError)
        assert vault.asked == 2  # once more, and no more
        assert sum(isinstance(event, ConnectFailed) for event in told) == 1
        assert CANARY not in everything_said(caught.value)
        assert CANARY not in f"{db!r} {db.settings!r} {db.stats()!r} {db.report()!r} {told!r} {caplog.text}"


async def test_a_callback_that_fails_is_the_cause_and_what_it_said_is_not_quoted(database: Database) -> None:
    def ask() -> str:
        raise RuntimeError(CANARY)

    with pytest.raises(ServerUnavailable, match="the credentials callback raised RuntimeError") as caught:
        await DatabasePool(database.dsn, 1, credentials=ask).open()
    assert "Check the function given as credentials" in str(caught.value)
    assert CANARY not in everything_said(caught.value)


class Odd(BaseException):
    """What no handler of exceptions expects."""


@pytest.mark.parametrize("error", [Odd, GeneratorExit])
@pytest.mark.parametrize("answers_later", [False, True])
async def test_a_callback_that_raises_what_is_no_exception_costs_the_pool_nothing(
    database: Database, caplog: pytest.LogCaptureFixture, error: type[BaseException], answers_later: bool
) -> None:
    is_ill = False

    def answer() -> str:
        if is_ill:
            raise error(CANARY)
        return "pw"

    async def answer_later() -> str:
        return answer()

    async with role_in(database) as dsn:
        ask = answer_later if answers_later else answer
        options = {"credentials_ttl": 1e-6, "outage_patience": 0.01}
        async with pool_of(without_password(dsn), 1, credentials=ask, **options) as db:  # type: ignore[arg-type]
            for _ in range(3):
                is_ill = True
                async with db.acquire() as connection:
                    await connection.close()
                with pytest.raises(ServerUnavailable, match=f"raised {error.__name__}") as caught:
                    await db.fetchval("select 1")
                assert isinstance(caught.value.__cause__, CredentialsError)
                assert CANARY not in everything_said(caught.value)
                is_ill = False
                assert len(await until(lambda: use_when_it_works(db))) == 1
    gc.collect()
    assert CANARY not in caplog.text
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize("end", ["\n", "\0", "\udc80"])
async def test_what_the_driver_could_not_encode_is_refused_without_being_quoted(database: Database, end: str) -> None:
    db = DatabasePool(database.dsn, 1, credentials=lambda: ("app", CANARY + end), outage_patience=0.01)
    with pytest.raises(ServerUnavailable, match="the credentials callback returned a control character") as caught:
        await db.open()
    assert CANARY not in everything_said(caught.value)


async def test_the_second_answer_and_the_first_have_connect_timeout_together(database: Database) -> None:
    asked = 0

    async def ask() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.6)
        return "wrong" if asked == 1 else "pw"

    async with role_in(database) as dsn:
        db = DatabasePool(without_password(dsn), 1, credentials=ask, connect_timeout=1.0, outage_patience=0.01)
        with pytest.raises(ServerUnavailable, match="has not answered in time"):
            await db.open()
        assert asked == 2


async def test_a_pool_that_is_closed_leaves_no_callback_behind(database: Database) -> None:
    asked = asyncio.Event()

    async def ask() -> str:
        asked.set()
        return await asyncio.Future[str]()

    db = DatabasePool(database.dsn, 1, credentials=ask)
    opening = asyncio.create_task(db.open())
    await asked.wait()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    await db.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_listener_that_reconnects_after_a_rotation_asks_anew(database: Database) -> None:
    async with role_in(database) as dsn, witness_of(database) as witness:
        vault = Vault("pw")
        async with pool_of(without_password(dsn), 1, credentials=vault) as db, db.listen("orders") as events:
            await change_password(database, role_of(dsn), "new pw")
            vault.answer = "new pw"
            await witness.terminate(*await witness.pids())
            following = aiter(events)
            assert isinstance(await anext(following), Gap)
            await witness.run("notify orders, '7'")
            assert await anext(following) is not None
            assert vault.asked == 2


async def test_an_answer_that_is_too_old_is_asked_for_anew_by_a_plain_function(database: Database) -> None:
    async with role_in(database) as dsn:
        asked = 0

        def ask() -> str:
            nonlocal asked
            asked += 1
            return "pw"

        async with pool_of(without_password(dsn), 2, credentials=ask, credentials_ttl=1e-6) as db:
            await use_all(db, 2)
            assert asked == 2
        async with pool_of(without_password(dsn), 2, credentials=ask) as db:
            await use_all(db, 2)
            assert asked == 3


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(SettingsError, match="credentials must be a function, not str"):
        DatabasePool("postgresql://app@localhost/shop", credentials=CANARY)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="credentials_ttl"):
        DatabasePool("postgresql://app@localhost/shop", credentials=lambda: "", credentials_ttl=0)
    with pytest.raises(SettingsError, match="DBPOOL_CREDENTIALS is not read"):
        PoolSettings.from_env({"DATABASE_URL": "postgresql://app@localhost/shop", "DBPOOL_CREDENTIALS": CANARY})
