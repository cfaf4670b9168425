"""One client's connection through a proxy, and the one to the server made for it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from enum import Enum

from dbpool.testing.proxying.messages import Way


class Standing(Enum):
    """Where a session stands, by the last ReadyForQuery that went through."""

    STARTING = "has not been ready yet"
    IDLE = "in no transaction"
    IN_TRANSACTION = "in a transaction"
    FAILED = "in a transaction that has failed"


_STANDINGS = {b"I": Standing.IDLE, b"T": Standing.IN_TRANSACTION, b"E": Standing.FAILED}


class Session:
    """Both ends of it, and what has passed."""

    def __init__(self, number: int, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.number = number
        """From 1, in the order in which they began."""
        self.writers = {Way.TO_SERVER: server, Way.TO_CLIENT: client}
        for writer in self.writers.values():
            writer.transport.set_write_buffer_limits(0)  # drained is sent: a reset throws away what is not
        self.bytes_in: Counter[Way] = Counter()
        self.bytes_out: Counter[Way] = Counter()
        self.messages: list[tuple[Way, str]] = []
        self.standing = Standing.STARTING
        self.is_over = False
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.asked_to_encrypt: asyncio.Future[bool] | None = None  # until the server has answered whether it does

    def is_ready(self, status: bytes) -> None:
        """Note a ReadyForQuery with *status*."""
        self.standing = _STANDINGS.get(status, self.standing)

    def end(self, *, reset: bool) -> None:
        """Cut both ends off."""
        self.is_over = True
        for writer in self.writers.values():
            cut(writer, reset=reset)


def cut(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """End a connection: by a reset, which only TCP has, or in order."""
    sock = writer.get_extra_info("socket")
    if reset and sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
