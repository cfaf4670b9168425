"""A shop on FastAPI: a pool for each process, transactions that commit before the answer, refusals as 503.

psql "$DATABASE_URL" -f examples/services/shop.sql
uvicorn examples.services.fastapi_app:app --workers 2 --timeout-graceful-shutdown 20
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, TypedDict, cast

import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, PositiveInt

from dbpool import DatabasePool, Lane, Transaction
from dbpool.web import Shedding, status_app


class Product(BaseModel):
    id: int
    name: str
    stock: int


class NewOrder(BaseModel):
    product_id: int
    quantity: PositiveInt = 1


class Order(NewOrder):
    id: int
    placed_at: datetime
    confirmed_at: datetime | None


class Lanes(TypedDict):
    """What each request finds in its state: the pool by three lines, so that none takes it all."""

    db: DatabasePool
    exports: Lane
    background: Lane


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[Lanes]:
    # Nobody waits for longer than a client would: who would is refused at once, and Shedding makes a 503 of it.
    async with DatabasePool.from_env(acquire_timeout=3, deadline_aware=True, max_waiting=200) as db:
        app.mount("/status", status_app(db, token=os.environ.get("STATUS_TOKEN")))
        yield {"db": db, "exports": db.lane("exports", at_most=2), "background": db.lane("background", at_most=1)}


app = FastAPI(lifespan=lifespan)
app.add_middleware(Shedding)


def pool(request: Request) -> DatabasePool:
    return cast(DatabasePool, request.state.db)


async def transaction(request: Request) -> AsyncIterator[Transaction]:
    async with request.state.db.transaction() as tx:
        yield tx


async def snapshot(request: Request) -> AsyncIterator[Transaction]:
    async with request.state.exports.transaction(isolation="repeatable_read", readonly=True) as tx:
        yield tx


Pool = Annotated[DatabasePool, Depends(pool)]
# Ends with the function: a COMMIT that fails is a 500, and nobody reads of an order that is not stored.
Tx = Annotated[Transaction, Depends(transaction, scope="function")]
# Ends with the response: it has a connection before the first byte is sent, and until the last one is.
Snapshot = Annotated[Transaction, Depends(snapshot, scope="request")]


@app.get("/products/{product_id}")
async def product(product_id: int, db: Pool) -> Product:
    found = await db.fetchrow("select id, name, stock from products where id = $1", product_id, into=Product)
    if found is None:
        raise HTTPException(404, "no such product")
    return found


@app.post("/orders", status_code=201)
async def place(new: NewOrder, tx: Tx, request: Request, later: BackgroundTasks) -> Order:
    sold = await tx.fetchval(
        "update products set stock = stock - $2 where id = $1 and stock >= $2 returning id",
        new.product_id,
        new.quantity,
    )
    if sold is None:
        raise HTTPException(409, "not in stock")  # rolls back, as any error does
    order = await tx.fetchrow(
        "insert into orders (product_id, quantity) values ($1, $2) returning *",
        new.product_id,
        new.quantity,
        into=Order,
    )
    assert order is not None
    later.add_task(confirm, request.state.background, order.id)
    return order


async def confirm(background: Lane, order_id: int) -> None:
    """Runs after the response, when the transaction is over: on a connection of its own, and never on many."""
    await background.execute("update orders set confirmed_at = now() where id = $1", order_id)


@app.get("/orders.ndjson")
async def export(tx: Snapshot) -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        async for order in tx.stream("select * from orders order by id", into=Order):
            yield order.model_dump_json() + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


if __name__ == "__main__":
    # After a clean shutdown uvicorn raises the signal anew, which would be the process's exit code.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), timeout_graceful_shutdown=20)
