"""Passwords that change: asked for when a connection is opened."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from dbpool.errors import CredentialsError

Answer: TypeAlias = str | tuple[str, str]  # a password, or user and password
Callback: TypeAlias = Callable[[], Answer | Awaitable[Answer]]


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """Whom to connect as; ``user`` is None for the DSN's."""

    user: str | None
    password: str = field(repr=False)


class Credentials:
    """What *ask* answers, for *ttl* seconds at a time; however many connect at once, it is asked once.

    Nothing that it raises or returns is ever quoted, for it may hold the secret.

    Args:
        ask: a function, or a coroutine function; it must not block.
        timeout: seconds for one answer.
    """

    def __init__(self, ask: Callback, ttl: float, timeout: float) -> None:
        self._ask = ask
        self._ttl = ttl
        self._timeout = timeout
        self._secret: Secret | None = None
        self._valid_until = 0.0
        self._asking: asyncio.Task[Secret] | None = None

    async def get(self) -> Secret:
        """The secret of this moment.

        Raises:
            CredentialsError: the callback failed, took too long, or answered with something else.
        Cancelling: whoever else waits for the same answer gets it all the same.
        """
        loop = asyncio.get_running_loop()
        if self._secret is not None and loop.time() < self._valid_until:
            return self._secret
        if self._asking is None or self._asking.get_loop() is not loop:
            self._asking = loop.create_task(self._refresh())
            self._asking.add_done_callback(self._asked)
        return await asyncio.shield(self._asking)

    def refused(self, secret: Secret) -> None:
        """The server does not take *secret* any more: ask again, unless that was done already."""
        if secret is self._secret:
            self._secret = None

    def _asked(self, asking: asyncio.Task[Secret]) -> None:
        self._asking = None
        if not asking.cancelled():
            asking.exception()  # seen, though everyone who waited may have left

    async def _refresh(self) -> Secret:
        failure = "has not answered in time"
        answer: object = None
        try:
            async with asyncio.timeout(self._timeout):
                answer = self._ask()
                if inspect.isawaitable(answer):
                    answer = await cast("Awaitable[object]", answer)
                failure = ""
        except TimeoutError:
            pass
        except (Exception, asyncio.CancelledError) as error:
            failure = f"raised {type(error).__name__}"
        if failure:  # not in the handler: the callback's own exception may hold the secret
            raise CredentialsError(f"the credentials callback {failure}")
        self._secret = _checked(answer)
        self._valid_until = asyncio.get_running_loop().time() + self._ttl
        return self._secret


def _checked(answer: object) -> Secret:
    match answer:
        case str() if answer:
            return Secret(None, answer)
        case (str() as user, str() as password) if isinstance(answer, tuple) and user and password:
            return Secret(user, password)
        case _:
            raise CredentialsError(
                f"the credentials callback must return a password, or a tuple of user and password, neither empty; it "
                f"returned {'an empty one' if answer == '' else type(answer).__name__}"
            )
