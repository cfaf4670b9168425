"""A function given as ``credentials`` that can be made to hang or raise."""

from __future__ import annotations

import asyncio

from tests.rigs.rigserver import PASSWORD

SECRET = "kanari3nv0gel"  # what it says as it raises, and nobody may quote


class Password:
    """Answers at once, but where it is told otherwise."""

    def __init__(self) -> None:
        self._may_answer: asyncio.Event | None = None
        self._raises = False
        self.asked_in_vain = 0
        """How often it was asked while it was ill."""

    def hang(self) -> None:
        self._may_answer = asyncio.Event()

    def fail(self) -> None:
        self._raises = True

    def heal(self) -> None:
        if self._may_answer is not None:
            self._may_answer.set()
        self._may_answer, self._raises = None, False

    async def asked(self) -> str:
        if self._raises:
            self.asked_in_vain += 1
            raise RuntimeError(SECRET)
        if self._may_answer is not None:
            self.asked_in_vain += 1
            await self._may_answer.wait()
        return PASSWORD
