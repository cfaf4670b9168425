"""A language model's service on loopback, as openai's client knows it: it has limits, and fails at random.

cd examples && python -m support.llm            # prints its address; ends with its stdin
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from support.limits import Bucket, Limits, Refused

AT_ONCE = 8
REQUESTS_A_MINUTE = 3_000
TOKENS_A_MINUTE = 600_000
FAILS = 0.05  # of the requests with 500, and as many without an answer in time


def tokens_of(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"]) // 4 + 4 for message in messages)


class Model:
    """Answers with a verdict; ``asked`` has each user message that was answered."""

    def __init__(self, limits: Limits | None = None, *, seed: int = 1, fails: float = FAILS) -> None:
        self.limits = limits or Limits(AT_ONCE, Bucket(REQUESTS_A_MINUTE / 60), Bucket(TOKENS_A_MINUTE / 60, 1.0))
        self.asked: list[str] = []
        self._random, self._fails = random.Random(seed), fails

    async def complete(self, request: web.Request) -> web.Response:
        body = await request.json()
        used = tokens_of(body["messages"])
        try:
            with self.limits.admitted(used + int(body.get("max_completion_tokens", 0))):
                return await self._answer(body, used)
        except Refused as refused:
            error = {"message": str(refused), "type": "requests", "code": "rate_limit_exceeded"}
            headers = {"Retry-After": f"{refused.retry_after:.3f}"}
            return web.json_response({"error": error}, status=429, headers=headers)

    async def _answer(self, body: dict[str, object], used: int) -> web.Response:
        await asyncio.sleep(self._random.uniform(0.02, 0.08))
        luck = self._random.random()
        if luck < self._fails:
            self.limits.seen["failed"] += 1
            return web.json_response({"error": {"message": "overloaded", "type": "server_error"}}, status=500)
        if luck < 2 * self._fails:
            self.limits.seen["hung"] += 1
            await asyncio.sleep(5)  # longer than its client waits
        question = body["messages"][-1]["content"]  # type: ignore[index]
        self.asked.append(question)
        verdict = {"score": len(question) % 5 + 1, "reason": "it answers what was asked"}
        usage = {"prompt_tokens": used, "completion_tokens": 20, "total_tokens": used + 20}
        message = {"role": "assistant", "content": json.dumps(verdict)}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        answer = {"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": body["model"]}
        return web.json_response({**answer, "choices": [choice], "usage": usage})


@asynccontextmanager
async def served(model: Model) -> AsyncIterator[str]:
    """The ``base_url``, for the length of the block."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", model.complete)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def main() -> None:
    model = Model()
    async with served(model) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    print(dict(model.limits.seen), f"at most {model.limits.most_at_once} at once")


if __name__ == "__main__":
    asyncio.run(main())
