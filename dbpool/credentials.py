"""Passwords that change: asked for when a connection is opened."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import cast

from dbpool.dsn import is_printable
from dbpool.errors import CredentialsError
from dbpool.settings import AskCredentials


@dataclass(frozen=True, slots=True, eq=False)
class Secret:
    """Whom to connect as; ``user`` is None for the DSN's."""

    user: str | None
    password: str = field(repr=False)


@dataclass(slots=True, eq=False)
class Question:
    """One call of the callback, under way; it ends in a Secret, or in what went wrong."""

    task: asyncio.Task[Secret | str]
    askers: int = 0


class Credentials:
    """What *ask* answers, for *ttl* seconds at a time; however many connect at once, it is asked once.

    Nothing that it raises or returns is ever quoted, for it may hold the secret.

    Args:
        ask: a function, or a coroutine function; it must not block.
    """

    def __init__(self, ask: AskCredentials, ttl: float) -> None:
        self._ask = ask
        self._ttl = ttl
        self._secret: Secret | None = None
        self._valid_until = 0.0
        self._question: Question | None = None

    async def get(self, deadline: float) -> Secret:
        """The secret of this moment; *deadline* is by the loop's clock.

        Raises:
            CredentialsError: the callback failed, took too long, or answered with something else.
        Cancelling: whoever else waits for the same answer gets it all the same; the last one ends the callback.
        """
        clock = asyncio.get_running_loop().time
        if self._secret is not None and clock() < self._valid_until:
            return self._secret
        question = self._question or self._begin()
        task = question.task
        question.askers += 1
        try:
            await asyncio.wait([task], timeout=max(0.0, deadline - clock()))
        finally:
            question.askers -= 1
            if not question.askers and not task.done():
                task.cancel()
                if self._question is question:
                    self._question = None  # it may take its time to end: the next asks anew
        answer = _answer_of(task) if task.done() else "has not answered in time"
        if isinstance(answer, str):
            raise CredentialsError(f"the credentials callback {answer}")
        return answer

    def renew(self) -> None:
        """Ask anew from now on, also where an answer is under way, as it may be the old one."""
        self._secret = self._question = None

    def refused(self, secret: Secret) -> None:
        """The server does not take *secret* any more: ask again, unless that was done already."""
        if secret is self._secret:
            self._secret = None

    def _begin(self) -> Question:
        task = asyncio.get_running_loop().create_task(self._call())
        self._question = Question(task)
        task.add_done_callback(self._ended)
        return self._question

    def _ended(self, task: asyncio.Task[Secret | str]) -> None:
        answer = _answer_of(task)
        if self._question is None or self._question.task is not task:
            return  # nobody waits for it any more
        self._question = None
        if isinstance(answer, Secret):
            self._secret = answer
            self._valid_until = asyncio.get_running_loop().time() + self._ttl

    async def _call(self) -> Secret | str:
        try:
            answer: object = self._ask()
            if inspect.isawaitable(answer):
                answer = await cast("asyncio.Future[object]", answer)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise  # asyncio has to know
        except BaseException as error:
            return _told(error)
        return _read(answer)


def _answer_of(task: asyncio.Task[Secret | str]) -> Secret | str:
    """What a call that is over came to; asyncio, which would log its text, sees that its error was looked at."""
    if task.cancelled():
        return _told(asyncio.CancelledError())
    error = task.exception()
    return task.result() if error is None else _told(error)


def _told(error: BaseException) -> str:
    return f"raised {type(error).__name__}"


def _read(answer: object) -> Secret | str:
    match answer:
        case str() as password if password:
            secret = Secret(None, _bare(password))
        case (str() as user, str() as password) if isinstance(answer, tuple) and user and password:
            secret = Secret(_bare(user), _bare(password))
        case _:
            return (
                f"must return a password, or a tuple of user and password, neither empty; it returned "
                f"{'an empty one' if answer == '' else type(answer).__name__}"
            )
    # The driver would quote what it cannot encode, and a NUL ends a user's name in the middle of a message.
    if not is_printable(secret.password + (secret.user or "")):
        return "returned a control character, such as a line's end, or a lone surrogate"
    return secret


def _bare(text: str) -> str:
    """*text* as no more than a str: the driver sends nothing of a class made from it, such as a StrEnum."""
    return str.__str__(text)
