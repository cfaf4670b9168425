"""LLM as a judge: rows go to a model, verdicts come back into the rows, whatever happens in between.

    DATABASE_URL=... OPENAI_BASE_URL=... OPENAI_API_KEY=... python examples/llm_judge.py [rows]

Without OPENAI_BASE_URL it asks a stub on this machine, which has limits as the real service has (requests at once, a
minute, tokens a minute: 429 with Retry-After beyond) and fails at random.

- One gate stands before the service: so many at once, and as many a minute as requests and tokens allow, less a tenth.
- A verdict is stored as soon as it is there; what to judge is what has none. So it may be killed at any moment and run
  again: what is stored is not asked again. Asked twice are only the few that were under way.
- 429, 5xx and silence are tried again, after what the service says or with jitter; other errors are stored in the row,
  and end nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from openai import APIConnectionError, APIStatusError, AsyncOpenAI, RateLimitError

from dbpool import DatabasePool, Gate, Progress, Rate

from support.database import database_url
from support.llm import AT_ONCE, REQUESTS_A_MINUTE, TOKENS_A_MINUTE, Model, served

MODEL = "gpt-4o-mini"
DOLLARS_PER_TOKEN = {"prompt": 0.15e-6, "completion": 0.60e-6}
MOST_TOKENS = 60  # of an answer
TOKENS_EACH = 150  # of a question with its answer, at most
TRIES = 6
TABLE = """
create table if not exists example_answer (
    id int primary key, question text not null, answer text not null,
    score int, reason text, error text, judged_at timestamptz)
"""
TO_JUDGE = "select id, question, answer from example_answer where judged_at is null order by id"
STORE = """
update example_answer set score = $2, reason = $3, error = $4, judged_at = clock_timestamp()
where id = $1 and judged_at is null
"""
PROMPT = 'Judge the answer. Reply with JSON: {"score": 1 to 5, "reason": "..."}'


@dataclass
class Judge:
    client: AsyncOpenAI
    gate: Gate
    db: DatabasePool
    tokens: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)

    async def judge(self, number: int, question: str, answer: str) -> None:
        """Store the verdict on one row, or the error that ended it for good."""
        score = reason = error = None
        try:
            verdict = json.loads(await self.ask(f"[{number}] Question: {question}\nAnswer: {answer}"))
            score, reason = int(verdict["score"]), str(verdict["reason"])
        except (APIStatusError, ValueError, KeyError, TypeError) as problem:  # or no verdict, in spite of all
            if isinstance(problem, APIStatusError) and is_passing(problem):
                raise  # the service is down: stays to be judged
            error = str(problem)
        await self.db.execute(STORE, number, score, reason, error)

    async def ask(self, text: str) -> str:
        for attempt in range(1, TRIES + 1):
            try:
                async with self.gate:
                    answer = await self.client.chat.completions.create(
                        model=MODEL,
                        messages=[{"role": "system", "content": PROMPT}, {"role": "user", "content": text}],
                        max_completion_tokens=MOST_TOKENS,
                    )
            except (APIStatusError, APIConnectionError) as error:  # no answer in time is the latter
                if attempt == TRIES or not is_passing(error):
                    raise
                self.again[type(error).__name__] += 1
                await asyncio.sleep(pause_s(error, attempt))  # outside of the gate
            else:
                if answer.usage is not None:
                    self.tokens["prompt"] += answer.usage.prompt_tokens
                    self.tokens["completion"] += answer.usage.completion_tokens
                return answer.choices[0].message.content or ""
        raise AssertionError(TRIES)


def is_passing(error: Exception) -> bool:
    return not isinstance(error, APIStatusError) or error.status_code == 429 or error.status_code >= 500


def pause_s(error: Exception, attempt: int) -> float:
    told = error.response.headers.get("retry-after") if isinstance(error, RateLimitError) else None
    return (float(told) if told else 0.1 * 2 ** (attempt - 1)) + random.uniform(0, 0.1)


async def main(rows: int = 200) -> None:
    async with AsyncExitStack() as stack:
        dsn = stack.enter_context(database_url())
        model = None if os.environ.get("OPENAI_BASE_URL") else Model()
        base_url = await stack.enter_async_context(served(model)) if model else os.environ["OPENAI_BASE_URL"]
        key = os.environ.get("OPENAI_API_KEY", "none needed")
        # it would try again by itself, outside of the gate
        client = await stack.enter_async_context(AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=1))
        db = await stack.enter_async_context(DatabasePool(dsn, 4, name="judge"))
        await db.execute(TABLE)
        made = ((n, f"What is {n} + {n}?", f"It is {2 * n}.") for n in range(1, rows + 1))
        await db.insert("example_answer", made, columns=("id", "question", "answer"), on_conflict="nothing")
        a_minute = min(REQUESTS_A_MINUTE, TOKENS_A_MINUTE / TOKENS_EACH) * 0.9
        judge = Judge(client, Gate(AT_ONCE, rate=Rate(a_minute, per=60), timeout=600, name="model"), db)

        def tell(progress: Progress) -> None:
            print(
                f"{progress.items} judged, {progress.per_s:.0f} a second, tried again: {dict(judge.again)}", flush=True
            )

        left = await db.fetch(TO_JUDGE)
        print(f"{len(left)} of {rows} to judge", flush=True)
        work = db.for_each(left, lambda row: judge.judge(*row), at_once=2 * AT_ONCE, ordered=False, progress=tell)
        try:
            async for _ in work:
                pass
        except (APIStatusError, APIConnectionError) as error:
            sys.exit(f"the service fails ({error}): run it again later, what is judged stays judged")
        judged = await db.fetchval("select count(*) from example_answer where score is not null")
    dollars = sum(count * DOLLARS_PER_TOKEN[kind] for kind, count in judge.tokens.items())
    print(f"{judged} of {rows} have a verdict; {sum(judge.tokens.values())} tokens, ${dollars:.4f}")
    print(f"{judge.again['RateLimitError']} times 429; tried again: {dict(judge.again)}")


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
