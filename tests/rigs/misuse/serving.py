"""Faults of section C: what the server does by limits of its own, and passwords that are not to be had."""

from __future__ import annotations

import asyncio

import asyncpg

from dbpool import CommitOutcomeUnknown, ConnectionLost, CredentialsError, ServerUnavailable, Transaction
from tests.rigs.misuse.cases import Wrong, case, expect, expect_same, refused
from tests.rigs.misuse.kinds import ASKED, CROWD, IDLERS, LONE
from tests.rigs.misuse.password import SECRET
from tests.rigs.misuse.stage import Stage

PID = "select pg_backend_pid()"
INSERT = "insert into written values ($1)"
GONE_S = 1.0  # for a session that rests to be ended
IDLE_S = 0.012


@case(36, ASKED, is_harmless=False)
async def password_not_to_be_had(stage: Stage) -> int:
    began = asyncio.get_running_loop().time()
    async with stage.db.acquire() as connection:
        connection.terminate()
    before = stage.password.asked_in_vain
    stage.rng.choice([stage.password.hang, stage.password.fail])()
    try:
        error = await refused(stage.db.fetchval("select 1"), ServerUnavailable)
        over_s = stage.over_s(began, 0.4)  # some attempts of connect_timeout each
    finally:
        stage.password.heal()
        await stage.until_served()
    cause = error.__cause__
    expect(holds=isinstance(cause, CredentialsError), goal="M6", text=f"its cause is {cause!r}")
    expect(holds=SECRET not in f"{error}{cause}", goal="M11", text="what the callback said is quoted")
    expect(holds=over_s <= 0, goal="M6", text=f"it took {over_s:.3f} s more than connecting may")
    return stage.password.asked_in_vain - before


@case(41, CROWD, is_harmless=False)
@case(41, LONE, is_harmless=False)
async def transaction_that_idles(stage: Stage) -> int:
    """It is ended between two statements, or before its COMMIT."""
    number, goes_on = stage.number(), stage.rng.random() < 0.5
    told: ConnectionLost | None = None
    try:
        async with stage.db.transaction(settings={"idle_in_transaction_session_timeout": "1"}) as tx:
            await tx.execute(INSERT, number)
            await asyncio.sleep(IDLE_S)
            if goes_on:
                await tx.execute(INSERT, number)
    except ConnectionLost as error:
        told = error
    stored = await stage.stored(number)
    if isinstance(told, CommitOutcomeUnknown):  # the server's end and our COMMIT crossed
        expect(holds=stored in (0, 1), goal="M5", text=f"{stored} rows of one transaction are stored")
        return 0
    expect_same(stored, 0 if told else 1 + goes_on, "M5" if told else "M3", f"rows stored after {told!r}")
    if told is not None and goes_on:
        # Who meets the message itself has the server's reason, who comes behind it what became of all; between its
        # message and its end asyncpg knows neither.
        texts = "IdleInTransaction", "not stored", "InternalClientError"
        expect(holds=any(text in str(told) for text in texts), goal="M6", text=f"it tells neither: {told}")
    return int(told is not None)


@case(41, CROWD, is_harmless=False)
async def transaction_that_takes_too_long(stage: Stage) -> int:
    number = stage.number()

    async def work() -> None:
        async with stage.db.transaction(settings={"transaction_timeout": "4"}) as tx:
            await tx.execute(INSERT, number)
            await tx.execute("select pg_sleep(20)")

    if await stage.db.fetchval("select current_setting('transaction_timeout', true)") is None:
        return 0  # before PostgreSQL 17
    error = await refused(work(), ConnectionLost)
    expect_same(await stage.stored(number), 0, "M5", "rows stored though the server ended their transaction")
    said = f"{error} {error.__cause__!r}"
    return int("transaction timeout" in said or "TransactionTimeout" in said)


@case(42, IDLERS, is_harmless=False)
async def session_that_idles(stage: Stage) -> int:
    before = await stage.asked(PID)
    for _ in range(int(GONE_S / 0.002)):
        if not stage.db.stats().connections:
            break
        await asyncio.sleep(0.002)
    else:
        raise Wrong("M2", f"a session that the server ended {GONE_S} s ago is still counted")
    expect(holds=await stage.asked(PID) != before, goal="M3", text="a session that the server ended answers")
    return 1


@case(43, CROWD)
@case(43, LONE)
async def statement_timeout(stage: Stage) -> int:
    """In a transaction, or on a connection of one's own, of which the next caller sees nothing."""
    number = stage.number()

    async def in_transaction() -> None:
        async with stage.db.transaction(settings={"statement_timeout": "2"}) as tx:
            await tx.execute(f"insert into written select {number} from pg_sleep(20)")

    async def on_a_connection() -> None:
        async with stage.db.acquire() as connection:
            await connection.execute("set statement_timeout = 2")
            await connection.execute(f"insert into written select {number} from pg_sleep(20)")

    error = await refused(stage.rng.choice([in_transaction, on_a_connection])(), asyncpg.QueryCanceledError)
    expect_same(await stage.stored(number), 0, "M5", "rows stored though the server cancelled their statement")
    expect_same(await stage.db.fetchval("show statement_timeout"), "0", "M10", "the next caller's statement_timeout")
    return int(getattr(error, "sqlstate", "") == "57014")


@case(43, CROWD, setup="create table locked (a int)")
async def lock_timeout(stage: Stage) -> int:
    tried: list[int] = []

    async def work(tx: Transaction) -> None:
        tried.append(1)
        await tx.execute("insert into locked values (1)")

    async with stage.db.transaction() as holder:
        await holder.execute("lock table locked")
        error = await refused(stage.db.run(work, settings={"lock_timeout": "2"}), asyncpg.LockNotAvailableError)
    expect_same(len(tried), 1, "M4", "tries of a transaction that must not be repeated")
    return int(getattr(error, "sqlstate", "") == "55P03")
