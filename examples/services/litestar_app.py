"""The shop on Litestar.

psql "$DATABASE_URL" -f examples/services/shop.sql
uvicorn examples.services.litestar_app:app --timeout-graceful-shutdown 20
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from litestar import Litestar, asgi, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException, NotFoundException
from litestar.logging import LoggingConfig
from litestar.params import FromPath, JSONBody

from dbpool import AcquireTimeout, DatabasePool, LineFull, Overloaded, Transaction
from dbpool.web import Shedding, status_app


@dataclass
class Product:
    id: int
    name: str
    stock: int


@dataclass
class NewOrder:
    product_id: int
    quantity: int


@dataclass
class Order(NewOrder):
    id: int


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    async with DatabasePool.from_env(acquire_timeout=3, deadline_aware=True, max_waiting=200) as db:
        app.state.db = db
        status = status_app(db, token=os.environ.get("STATUS_TOKEN"))
        app.register(asgi("/status", is_mount=True, copy_scope=True)(status))
        yield


async def pool(state: State) -> DatabasePool:
    db: DatabasePool = state.db
    return db


async def transaction(db: NamedDependency[DatabasePool]) -> AsyncGenerator[Transaction, None]:
    async with db.transaction() as tx:  # Litestar ends it before the response is sent
        yield tx


@get("/products/{product_id:int}")
async def product(product_id: FromPath[int], db: NamedDependency[DatabasePool]) -> Product:
    found = await db.fetchrow("select id, name, stock from products where id = $1", product_id, into=Product)
    if found is None:
        raise NotFoundException("no such product")
    return found


@post("/orders")
async def place(data: JSONBody[NewOrder], tx: NamedDependency[Transaction]) -> Order:
    sold = await tx.fetchval(
        "update products set stock = stock - $2 where id = $1 and stock >= $2 returning id",
        data.product_id,
        data.quantity,
    )
    if sold is None:
        raise HTTPException("not in stock", status_code=409)
    order = await tx.fetchrow(
        "insert into orders (product_id, quantity) values ($1, $2) returning id, product_id, quantity",
        data.product_id,
        data.quantity,
        into=Order,
    )
    assert order is not None
    return order


app = Litestar(
    [product, place],
    dependencies={"db": Provide(pool), "tx": Provide(transaction)},
    lifespan=[lifespan],
    middleware=[Shedding],
    # a 500 is logged, what a client or a full pool explains is not
    logging_config=LoggingConfig(
        log_exceptions="always", disable_stack_trace={404, 409, LineFull, Overloaded, AcquireTimeout}
    ),
)
