"""A client that keeps to a service's limits: 5 requests at once, 50 a second.

    python examples/http_client.py [requests]

A semaphore bounds how many are under way, not how many a second: with quick answers it runs into the second limit, and
who is refused and tries again only adds to the load. A ``Gate`` has both bounds, and its line is first come, first
served. The client keeps a little below the limit, as the network bunches requests up, and heeds Retry-After all the
same, since others may use the same key. No database is needed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AbstractAsyncContextManager

import aiohttp

from dbpool import Gate, Rate

from support.limits import Bucket, Limits
from support.weather import weather_service

AT_ONCE, A_SECOND = 5, 50


class WeatherClient:
    """Asks for the weather, each request through *gate*."""

    def __init__(self, session: aiohttp.ClientSession, url: str, gate: AbstractAsyncContextManager[object]) -> None:
        self._session, self._url, self._gate = session, url, gate

    async def degrees(self, city: str, *, tries: int = 5) -> float:
        """The temperature. Raises: aiohttp.ClientError: no answer, or none but refusals."""
        for _ in range(tries):
            async with self._gate:
                async with self._session.get(f"{self._url}/weather/{city}") as response:
                    if response.status != 429:
                        response.raise_for_status()
                        return float((await response.json())["degrees"])
                    pause_s = float(response.headers["Retry-After"])
            await asyncio.sleep(pause_s)  # outside of the gate: who waits holds no permit
        response.raise_for_status()
        raise AssertionError


async def ask_all(requests: int, gate: AbstractAsyncContextManager[object], name: str) -> None:
    limits = Limits(AT_ONCE, Bucket(A_SECOND))
    async with weather_service(limits) as url, aiohttp.ClientSession() as session:
        client = WeatherClient(session, url, gate)
        began = time.perf_counter()
        calls = (client.degrees(f"city{number}") for number in range(requests))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        took = time.perf_counter() - began
    failed = sum(isinstance(answer, Exception) for answer in answers)
    print(
        f"{name}: {requests - failed} answers in {took:.1f} s, {failed} given up, {limits.seen['requests']} requests, "
        f"at most {limits.most_at_once} at once, {limits.seen['refused']} refused"
    )


async def main(requests: int = 100) -> None:
    await ask_all(requests, asyncio.Semaphore(AT_ONCE), "semaphore")
    await ask_all(requests, Gate(AT_ONCE, rate=Rate(A_SECOND * 0.9, burst=AT_ONCE)), "gate")


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
