"""A lease that a session has: what SQLAlchemy keeps of it in registries is nobody's way to it."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterator
from typing import Any

from sqlalchemy.ext.asyncio.base import ReversibleProxy
from sqlalchemy.orm import session
from sqlalchemy.pool.base import _finalize_fairy

from dbpool.leaseholder import Leaseholder


class SessionHolder(Leaseholder):
    """Holds a permit and a connection for a session or connection of SQLAlchemy's."""

    __slots__ = ("answer", "is_overdue")

    answer: asyncio.Future[Any]  # to what was sent last
    is_overdue: bool  # it took too long

    def overdue(self) -> None:
        self.is_overdue = True
        self.answer.cancel()  # asyncpg then asks the server to cancel

    def known(self) -> list[object]:
        """What refers to sessions, weakly or to clean up after them, and gives them to nobody.

        That ``close_all_sessions`` could end any of them does not count: it gives up, as a cancellation does.
        """
        return [*super().known(), *_of_finalizers(), *_of_registries()]


def _of_finalizers() -> Iterator[object]:
    """Those of checked out connections, which the garbage collector calls."""
    registry: dict[object, Any] = getattr(weakref.finalize, "_registry", {})
    for info in list(registry.values()):
        if info.func is _finalize_fairy:
            _, record, *_ = info.args
            yield from (info, info.args, info.weakref, record.fairy_ref)


def _of_registries() -> Iterator[object]:
    sessions: Any = session._sessions
    yield from sessions.data.values()
    for target, proxy in list(ReversibleProxy._proxy_objects.items()):
        yield from (target, proxy)
