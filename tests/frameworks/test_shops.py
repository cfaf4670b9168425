"""The same shop on three frameworks, under real servers: what is stored, refused and finished."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest

from tests.support.databases import Database
from tests.support.pools import until
from tests.support.serving import ROOT, Service, service

FASTAPI, STARLETTE, LITESTAR = (f"examples.services.{name}_app:app" for name in ("fastapi", "starlette", "litestar"))
BY_ITSELF = "examples.services.fastapi_app"
TERMINATED = -signal.SIGTERM  # uvicorn raises it again when all is over
WAYS = [
    ((FASTAPI, "--loop", "asyncio"), TERMINATED),
    ((BY_ITSELF,), 0),  # on uvloop, as it is there
    ((STARLETTE, "--loop", "uvloop"), TERMINATED),
    ((LITESTAR, "--loop", "asyncio"), TERMINATED),
]

# At COMMIT, so that only who waits for COMMIT knows
UNLUCKY = """
create function refuse() returns trigger language plpgsql as $$ begin raise 'unlucky'; end $$;
create constraint trigger unlucky after insert on orders deferrable initially deferred
for each row when (new.quantity = 13) execute function refuse();
"""


@asynccontextmanager
async def shop_in(database: Database) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """The tables of the shop, seen by a connection of the test's own."""
    witness = await asyncpg.connect(database.dsn)
    try:
        await witness.execute((ROOT / "examples/services/shop.sql").read_text())
        yield witness
    finally:
        await witness.close()


async def stock(witness: asyncpg.Connection[asyncpg.Record]) -> tuple[int, int]:
    """Teapots left, teapots sold."""
    return await witness.fetchrow(  # type: ignore[return-value]
        "select stock, (select coalesce(sum(quantity), 0) from orders) from products where id = 1"
    )


async def order(shop: Service, product_id: int, quantity: int) -> httpx.Response:
    # uvicorn may drop a connection after an error, when the next request is on its way already
    headers = {"connection": "close"}
    return await shop.client.post("/orders", json={"product_id": product_id, "quantity": quantity}, headers=headers)


async def what_is_answered_is_what_is_stored(shop: Service, witness: asyncpg.Connection[asyncpg.Record]) -> None:
    await witness.execute(UNLUCKY)
    assert (await shop.client.get("/status/readyz")).json() == {"status": "ok"}
    assert (await shop.client.get("/status/status.json")).status_code == 200
    answer = await shop.client.get("/products/1")
    assert (answer.status_code, answer.json()) == (200, {"id": 1, "name": "teapot", "stock": 100})
    assert (await shop.client.get("/products/7")).status_code == 404
    answer = await order(shop, 1, 3)
    assert answer.status_code == 201
    assert answer.json()["id"] == await witness.fetchval("select id from orders")
    assert tuple(await stock(witness)) == (97, 3)
    assert (await order(shop, 2, 1)).status_code == 409
    assert (await order(shop, 1, 13)).status_code == 500
    assert tuple(await stock(witness)) == (97, 3)


@asynccontextmanager
async def sold_out_for_now(witness: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[None]:
    """Whoever orders waits, on a connection, until the end of the block."""
    async with witness.transaction():
        await witness.execute("select from products where id = 1 for update")
        yield


async def has_someone_waiting(witness: asyncpg.Connection[asyncpg.Record]) -> bool:
    await witness.execute("select pg_stat_clear_snapshot()")  # kept for the length of a transaction
    return bool(
        await witness.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        )
    )


async def is_refused(client: httpx.AsyncClient) -> bool:
    try:
        await client.get("/products/1", headers={"connection": "close"})
    except httpx.TransportError:
        return True
    return False


@pytest.mark.parametrize(("words", "code"), WAYS)
async def test_a_shop_stores_sheds_and_drains(words: tuple[str, ...], code: int, database: Database) -> None:
    full = {"DBPOOL_MAX_CONNECTIONS": "1", "DBPOOL_MAX_WAITING": "1"}
    async with shop_in(database) as witness, service(words[0], database, *words[1:], **full) as shop:
        await what_is_answered_is_what_is_stored(shop, witness)
        async with sold_out_for_now(witness):
            ordering = asyncio.create_task(order(shop, 1, 4))
            await until(lambda: has_someone_waiting(witness))
            looking = [asyncio.create_task(shop.client.get("/products/1")) for _ in range(2)]
            (refused,), (in_line,) = await asyncio.wait(looking, return_when=asyncio.FIRST_COMPLETED)
            assert (await refused).status_code == 503
            assert int((await refused).headers["retry-after"]) >= 1
            shop.tell()
            async with httpx.AsyncClient(base_url=shop.client.base_url, trust_env=False) as newcomer:
                await until(lambda: is_refused(newcomer))
            assert not ordering.done()
            assert not in_line.done()
        assert (await ordering).status_code == 201
        assert (await in_line).json()["stock"] == 93
        assert await shop.end() == code
        assert "Application shutdown complete" in shop.log
        assert "Traceback" not in shop.log.partition("Shutting down")[2]
        assert tuple(await stock(witness)) == (93, 7)


async def test_what_takes_longer_than_the_shutdown_may_is_undone_and_leaves_no_session(database: Database) -> None:
    async with shop_in(database) as witness:
        async with service(FASTAPI, database, "--timeout-graceful-shutdown", "1") as shop, sold_out_for_now(witness):
            waiting = asyncio.create_task(order(shop, 1, 3))
            await until(lambda: has_someone_waiting(witness))
            assert await shop.stop() == TERMINATED
            assert (await waiting).status_code == 500
            assert "Application shutdown complete" in shop.log
        assert tuple(await stock(witness)) == (100, 0)


async def test_each_worker_has_a_pool_and_all_of_them_end(database: Database) -> None:
    bound = {"DBPOOL_MAX_CONNECTIONS": "2", "DBPOOL_MIN_CONNECTIONS": "2"}
    async with shop_in(database) as witness, service(FASTAPI, database, "--workers", "2", **bound) as shop:

        async def sessions() -> int:
            return int(
                await witness.fetchval(
                    "select count(*) from pg_stat_activity where datname = current_database()"
                    " and pid <> pg_backend_pid() and backend_type = 'client backend'"
                )
            )

        await until(lambda: _is(4, sessions))
        answers = await asyncio.gather(*(shop.client.get("/products/1") for _ in range(100)))
        assert {answer.status_code for answer in answers} == {200}
        assert await sessions() == 4
        assert await shop.stop() == 0
        assert "Traceback" not in shop.log
        assert shop.log.count("Application shutdown complete") == 2


async def _is(number: int, look: object) -> bool:
    return bool(await look() == number)  # type: ignore[operator]
