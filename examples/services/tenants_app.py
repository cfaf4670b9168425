"""Many tenants in one table: row-level security on the server keeps them apart, whatever the program forgets.

psql "$DATABASE_URL" -f examples/services/tenants.sql                # as the owner
DATABASE_URL=postgresql://tenants_app@localhost/app uvicorn examples.services.tenants_app:app
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel

from dbpool import DatabasePool, Transaction
from dbpool.web import Shedding


class State(TypedDict):
    db: DatabasePool


class Note(BaseModel):
    slug: str
    body: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[State]:
    async with DatabasePool.from_env(acquire_timeout=3, deadline_aware=True) as db:
        if not await db.fetchval("select row_security_active('notes')"):
            raise RuntimeError(
                "row-level security does not hold for this role: it must not be a superuser or BYPASSRLS"
            )
        yield {"db": db}


app = FastAPI(lifespan=lifespan)
app.add_middleware(Shedding)


def tenant(x_tenant: Annotated[str, Header(pattern="^[a-z0-9-]+$")]) -> str:
    return x_tenant  # in life out of a signed token, never what a client merely says


async def transaction(request: Request, tenant: Annotated[str, Depends(tenant)]) -> AsyncIterator[Transaction]:
    # The setting ends with the transaction, whatever becomes of it: the next tenant's connection has none.
    async with request.state.db.transaction(settings={"app.tenant": tenant}) as tx:
        yield tx


Tx = Annotated[Transaction, Depends(transaction, scope="function")]


@app.get("/notes")
async def notes(tx: Tx) -> list[Note]:
    return await tx.fetch("select slug, body from notes order by slug", into=Note)  # no WHERE to forget


@app.put("/notes/{slug}")
async def put(slug: str, note: Note, tx: Tx) -> Note:
    await tx.execute(
        "insert into notes (slug, body) values ($1, $2) on conflict (tenant, slug) do update set body = $2",
        slug,
        note.body,
    )
    return note


@app.delete("/notes/{slug}", status_code=204)
async def delete(slug: str, tx: Tx) -> None:
    if await tx.execute("delete from notes where slug = $1", slug) == "DELETE 0":
        raise HTTPException(404, "no such note")
