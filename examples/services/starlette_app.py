"""The shop on Starlette alone.

psql "$DATABASE_URL" -f examples/services/shop.sql
uvicorn examples.services.starlette_app:app --timeout-graceful-shutdown 20
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from dbpool import DatabasePool
from dbpool.web import Shedding, status_app


class State(TypedDict):
    db: DatabasePool


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    async with DatabasePool.from_env(acquire_timeout=3, deadline_aware=True, max_waiting=200) as db:
        app.mount("/status", status_app(db, token=os.environ.get("STATUS_TOKEN")))
        yield {"db": db}


async def product(request: Request[State]) -> JSONResponse:
    row = await request.state["db"].fetchrow(
        "select id, name, stock from products where id = $1", request.path_params["product_id"]
    )
    if row is None:
        raise HTTPException(404, "no such product")
    return JSONResponse(dict(row))


async def place(request: Request[State]) -> JSONResponse:
    new = await request.json()
    async with request.state["db"].transaction() as tx:  # over before the response begins; an error rolls back
        sold = await tx.fetchval(
            "update products set stock = stock - $2 where id = $1 and stock >= $2 returning id",
            new["product_id"],
            new["quantity"],
        )
        if sold is None:
            raise HTTPException(409, "not in stock")
        order_id = await tx.fetchval(
            "insert into orders (product_id, quantity) values ($1, $2) returning id", new["product_id"], new["quantity"]
        )
    return JSONResponse({"id": order_id}, status_code=201)


app = Starlette(
    routes=[Route("/products/{product_id:int}", product), Route("/orders", place, methods=["POST"])],
    middleware=[Middleware(Shedding)],
    lifespan=lifespan,
)
