"""A port at which nothing comes about."""

from __future__ import annotations

import socket
from typing import Final

from dbpool.errors import UsageError

_MOST: Final = (
    16  # connections that a queue for none may hold all the same: Linux has room for one more than it is told
)


class Deafness:
    """A listener whose queue is full: who connects gets no answer, as behind a firewall that drops what comes."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []

    async def begin(self, port: int) -> None:
        """Hold *port*, which must be free, until ``end``.

        Raises:
            UsageError: this system answers all the same.
        """
        listener = self._new_socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(0)
        for _ in range(_MOST):
            one = self._new_socket()
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
            if not _is_connected(one):
                return
        self.end()
        raise UsageError("this system has connections come about at a port whose queue is full, so none can be deaf")

    def end(self) -> None:
        """Let the port go."""
        for each in self._sockets:
            each.close()
        self._sockets.clear()

    def _new_socket(self) -> socket.socket:
        self._sockets.append(socket.socket())
        return self._sockets[-1]


def _is_connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True
