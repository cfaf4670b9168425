"""A service on loopback that has limits: GET /weather/CITY."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from support.limits import Limits, Refused


@asynccontextmanager
async def weather_service(limits: Limits) -> AsyncIterator[str]:
    """Its address, for the length of the block."""

    async def weather(request: web.Request) -> web.Response:
        try:
            with limits.admitted():
                await asyncio.sleep(0.02)
                return web.json_response({"city": request.match_info["city"], "degrees": 21})
        except Refused as refused:
            return web.json_response({}, status=429, headers={"Retry-After": f"{refused.retry_after:.3f}"})

    app = web.Application()
    app.router.add_get("/weather/{city}", weather)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
