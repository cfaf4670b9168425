"""What goes through a proxy, and what becomes of it on its way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from dbpool.testing.proxying.damage import Damage, spoilt
from dbpool.testing.proxying.faults import Faults
from dbpool.testing.proxying.incoming import Incoming
from dbpool.testing.proxying.messages import (
    BEGINNINGS,
    ENCRYPTED,
    GSS,
    SSL,
    SSL_ANSWER,
    STARTUP,
    Do,
    Message,
    Rule,
    Way,
    let_all_pass,
)
from dbpool.testing.proxying.session import Session

_ENDS: Final = {Do.RESET: True, Do.FINISH: False}  # and whether by a reset
_BEHIND: Final = {Do.RESET_BEHIND: True, Do.FINISH_BEHIND: False}
_PIECE_S: Final = 0.02  # of a throttled stream at a time


class Passage:
    """Passes messages on in both directions of any number of sessions, as it is told."""

    def __init__(self) -> None:
        self.rule: Rule = let_all_pass
        self.faults = Faults()
        self.free = {way: asyncio.Event() for way in Way}
        for event in self.free.values():
            event.set()

    async def pump(self, session: Session, way: Way, incoming: Incoming) -> None:
        with suppress(OSError, EOFError):
            await (self._to_server if way is Way.TO_SERVER else self._to_client)(session, incoming)
        if not session.is_over:
            await self._way_is_free(session, way)  # the end of a connection is not seen through a stalled network
            with suppress(OSError, RuntimeError):
                session.writers[way].write_eof()

    async def _to_server(self, session: Session, incoming: Incoming) -> None:
        is_encrypted = False
        kind = SSL
        while kind in (SSL, GSS) and not session.is_over and not is_encrypted:
            head, body = await incoming.message(has_kind=False)
            kind = BEGINNINGS.get(int.from_bytes(body[:4]), STARTUP)
            if kind in (SSL, GSS):
                session.asked_to_encrypt = asyncio.get_running_loop().create_future()
            await self._pass_on(Message(session, Way.TO_SERVER, kind, body), head, incoming.came_at)
            if session.asked_to_encrypt is not None:
                is_encrypted = await session.asked_to_encrypt
        await self._pass_all_on(session, Way.TO_SERVER, incoming, is_encrypted=is_encrypted)

    async def _to_client(self, session: Session, incoming: Incoming) -> None:
        is_encrypted = False
        while not session.is_over and not is_encrypted:
            await incoming.wait_some()
            asked, session.asked_to_encrypt = session.asked_to_encrypt, None
            if asked is None:
                break
            answer = await incoming.chunk(1)
            is_encrypted = answer in (b"S", b"G")
            await self._pass_on(Message(session, Way.TO_CLIENT, SSL_ANSWER, answer), b"", incoming.came_at)
            asked.set_result(is_encrypted)
        await self._pass_all_on(session, Way.TO_CLIENT, incoming, is_encrypted=is_encrypted)

    async def _pass_all_on(self, session: Session, way: Way, incoming: Incoming, *, is_encrypted: bool) -> None:
        while not session.is_over:
            if is_encrypted:
                head, body, kind = b"", await incoming.chunk(), ENCRYPTED
            else:
                head, body = await incoming.message(has_kind=True)
                kind = chr(head[0])
            await self._pass_on(Message(session, way, kind, body), head, incoming.came_at)

    async def _pass_on(self, message: Message, head: bytes, came_at: float) -> None:
        session, way = message.session, message.way
        session.bytes_in[way] += len(head) + len(message.body)
        session.messages.append((way, message.kind))
        todo = self.rule(message)
        if todo is Do.PASS:
            todo = self.faults.verdict(message)
        if not await self._may_go_on(session, way, todo):
            return
        late_s = came_at + self.faults.delay_s(message) - asyncio.get_running_loop().time()
        if late_s > 0:  # else no turn of the loop: a busy one would make of many small messages a slow network
            await asyncio.sleep(late_s)
        if message.name == "ReadyForQuery":
            session.is_ready(message.body)
        data = spoilt(head, message.body, todo) if isinstance(todo, Damage) else head + message.body
        while data and not session.is_over:
            data = await self._write_to_fault(session, way, data)
        if todo is Do.LAST:
            session.go_on.clear()
        elif todo in _BEHIND:
            session.end(reset=_BEHIND[todo])

    async def _write_to_fault(self, session: Session, way: Way, data: bytes) -> bytes:
        """Write *data* as far as the next fault, make that happen, and return what is left to write."""
        met = self.faults.falling_into(session, way, len(data))
        if met is None:
            await self._write(session, way, data)
            return b""
        fault, left = met
        await self._write(session, way, data[:left])
        data = data[left:]
        if fault.losing:
            lost = min(fault.losing, len(data))
            self.faults.lose(fault, session, lost)
            return data[lost:]
        if fault.does is Do.STALL:
            session.go_on.clear()
            await self._way_is_free(session, way)
        else:
            session.end(reset=fault.does is Do.RESET)
        return data

    async def _write(self, session: Session, way: Way, data: bytes) -> None:
        writer, pace = session.writers[way], self.faults.paces[way]
        piece = pace.piece or max(1, len(data))
        if pace.bytes_per_s is not None:
            piece = min(piece, max(1, int(pace.bytes_per_s * _PIECE_S)))
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            if writer.is_closing():  # asyncio would lose it without a word, uvloop raises a RuntimeError
                raise ConnectionResetError
            writer.write(part)
            session.bytes_out[way] += len(part)
            await writer.drain()
            if pace.bytes_per_s is not None:
                await asyncio.sleep(len(part) / pace.bytes_per_s)
            elif pace.piece is not None:
                await asyncio.sleep(0)  # a reader in this loop reads it before the next one comes

    async def _may_go_on(self, session: Session, way: Way, todo: Do | Damage) -> bool:
        if todo is Do.STALL:
            session.go_on.clear()
        await self._way_is_free(session, way)
        if todo in _ENDS and not session.is_over:
            session.end(reset=_ENDS[todo])
        return not session.is_over and todo is not Do.DROP

    async def _way_is_free(self, session: Session, way: Way) -> None:
        await self.free[way].wait()
        await session.go_on.wait()
