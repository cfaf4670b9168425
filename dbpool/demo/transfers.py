"""Transactions that conflict, and are run again until each has happened exactly once."""

from __future__ import annotations

import asyncio
from random import Random

from dbpool import DatabasePool, Transaction
from dbpool.demo.plan import Plan

TRANSFERS = 100
TELLERS = 5  # more would only conflict more often: two accounts bear one transfer at a time
ATTEMPTS = 100
THINKING_S = 0.002  # between reading and writing, as an application that computes; the moment for a conflict
OPENING_CENTS = 1_000_000


class Transfers:
    """Moves money between two accounts, many times at once."""

    def __init__(self, db: DatabasePool, plan: Plan) -> None:
        self._db = db
        self._random = Random(f"transfers {plan.seed}")
        self._left = TRANSFERS
        self._accounts: list[int] = []
        self.done = 0
        self.retries = 0
        """Times that a conflict made the whole transaction run again."""

    async def open_accounts(self) -> int:
        """Make the two accounts; return the cents in both."""
        rows = await self._db.fetch(
            "INSERT INTO accounts (balance_cents) VALUES ($1), ($1) RETURNING id", OPENING_CENTS
        )
        self._accounts = [row["id"] for row in rows]
        return await self.balance()

    async def balance(self) -> int:
        """The cents in both accounts."""
        return int(await self._db.fetchval("SELECT sum(balance_cents)::bigint FROM accounts"))

    async def run(self) -> None:
        """Make all transfers, several at a time."""
        async with asyncio.TaskGroup() as tellers:
            for _ in range(TELLERS):
                tellers.create_task(self._transfer_until_done())

    async def _transfer_until_done(self) -> None:
        while self._left:
            self._left -= 1
            source, target = self._random.sample(self._accounts, 2)
            await self._transfer(source, target, self._random.randint(1, 5_000))

    async def _transfer(self, source: int, target: int, cents: int) -> None:
        tries = 0

        async def work(tx: Transaction) -> None:
            nonlocal tries
            self.retries += tries > 0
            tries += 1
            rows = await tx.fetch("SELECT id, balance_cents FROM accounts WHERE id = ANY($1::bigint[])", self._accounts)
            balance = {row["id"]: row["balance_cents"] for row in rows}
            await asyncio.sleep(THINKING_S)
            for account, change in sorted({source: -cents, target: cents}.items()):  # in one order: no deadlocks
                await tx.execute(
                    "UPDATE accounts SET balance_cents = $2 WHERE id = $1", account, balance[account] + change
                )

        await self._db.run(work, isolation="serializable", attempts=ATTEMPTS)
        self.done += 1
