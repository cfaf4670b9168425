"""Refusals in real frameworks, by middleware and around the whole app; their own errors stay theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fastapi import Depends, FastAPI
from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from dbpool.errors import LineFull
from dbpool.web import Shedding
from dbpool.web.asgi import App
from tests.support.asgiclient import ask


def refuse() -> None:
    raise LineFull("full", capacity=1, held=1, waiting=3)


async def passes_on(request: Request, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


def starlette(*, by_middleware: bool, debug: bool = False) -> App:
    async def refused(request: Request) -> None:
        refuse()

    async def missing(request: Request) -> None:
        raise HTTPException(404)

    async def broken(request: Request) -> None:
        raise ValueError("broken")

    routes = [Route("/refused", refused), Route("/missing", missing), Route("/broken", broken)]
    middleware = [Middleware(BaseHTTPMiddleware, dispatch=passes_on)]
    if by_middleware:
        middleware.insert(0, Middleware(Shedding, retry_after=2))
    app = Starlette(debug=debug, routes=routes, middleware=middleware)
    return app if by_middleware else Shedding(app)


def nested() -> App:
    return Shedding(Starlette(routes=[Mount("/", starlette(by_middleware=False))]))


def fastapi(*, by_middleware: bool) -> App:
    app = FastAPI()

    def connection() -> Iterator[int]:
        refuse()
        yield 1

    @app.get("/refused")
    async def refused(_: int = Depends(connection)) -> None: ...

    @app.get("/broken")
    def broken() -> None:
        raise ValueError("broken")

    if by_middleware:
        app.add_middleware(Shedding)
    return app if by_middleware else Shedding(app)


def litestar(*, by_middleware: bool, debug: bool = False) -> App:
    async def connection() -> int:
        refuse()
        return 1

    @get("/refused", dependencies={"connection": Provide(connection)})
    async def refused(connection: NamedDependency[int]) -> None: ...

    @get("/missing")
    async def missing() -> None:
        raise NotFoundException

    @get("/broken")
    async def broken() -> None:
        raise ValueError("broken")

    middleware = [Shedding] if by_middleware else []
    app = Litestar([refused, missing, broken], middleware=middleware, debug=debug, logging_config=None)
    return app if by_middleware else Shedding(app)


APPS: dict[str, Callable[[], App]] = {
    "starlette, middleware": lambda: starlette(by_middleware=True),
    "starlette, around": lambda: starlette(by_middleware=False),
    "starlette, debugging": lambda: starlette(by_middleware=False, debug=True),
    "starlette, mounted": nested,
    "fastapi, middleware": lambda: fastapi(by_middleware=True),
    "fastapi, around": lambda: fastapi(by_middleware=False),
    "litestar, middleware": lambda: litestar(by_middleware=True),
    "litestar, around": lambda: litestar(by_middleware=False),
    "litestar, debugging": lambda: litestar(by_middleware=False, debug=True),
}


@pytest.mark.parametrize("name", APPS)
async def test_a_refusal_becomes_503(name: str) -> None:
    response = await ask(APPS[name](), "GET", "/refused")
    assert response.status == 503
    assert response.json()["retry_after"] == int(response["retry-after"]) >= 1


@pytest.mark.parametrize("name", APPS)
async def test_a_page_that_is_not_there_stays_404(name: str) -> None:
    assert (await ask(APPS[name](), "GET", "/missing")).status == 404


@pytest.mark.parametrize("name", APPS)
async def test_another_error_is_not_hidden(name: str) -> None:
    if name.startswith("litestar"):
        assert (await ask(APPS[name](), "GET", "/broken")).status == 500
    else:
        with pytest.raises(ValueError, match="broken"):
            await ask(APPS[name](), "GET", "/broken")
