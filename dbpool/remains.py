"""What is left of a connection that was cut off: a socket whose server end may still be alive."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Self

CHUNK = 64 * 1024  # bytes thrown away at a time


class Remains:
    """A second hold of a connection's socket, by which the end of the server's process is seen.

    PostgreSQL never closes its end of a connection: that happens when the process that served it has ended, and by
    then it counts against no limit. So the end of the stream proves that the process is gone. A driver that cuts a
    connection off closes its socket, and would never see it: so each connection is held a second time from the start,
    before anything, such as an answer that it cannot read, can have the driver close it.

    A middleman that passes the end of one direction on, as a TCP proxy does, passes the proof on. One that answers it
    by closing both, as those that end TLS or pool sessions may, proves only that it has been told.
    """

    # A bare file descriptor: a socket in a reference cycle may be collected before its owner, and warns.

    __slots__ = ("_fd", "is_gone")

    is_gone: bool  # the server has closed its end

    def __init__(self, fd: int) -> None:
        """Own *fd*, a connection's socket by another file descriptor."""
        self._fd = fd
        self.is_gone = False

    @classmethod
    def of(cls, transport: asyncio.BaseTransport) -> Remains | None:
        """Hold the socket of *transport*; None if that is closing, or no file descriptor is left.

        One that is closing may have closed its socket, whose number may be another's by now: uvloop does not tell.
        """
        sock = None if transport.is_closing() else transport.get_extra_info("socket")
        if sock is None:
            return None
        try:
            return cls(socket.fromfd(sock.fileno(), sock.family, sock.type, sock.proto).detach())
        except OSError:
            return None

    def hang_up(self) -> None:
        """End our side of the stream: a server that waits for a message ends the session, a busy one does later.

        No farewell is sent, for what the driver sent last may have been cut off in the middle of a message.
        """
        if self._fd >= 0:
            sock = socket.socket(fileno=self._fd)
            with suppress(OSError):  # the server was faster
                sock.shutdown(socket.SHUT_WR)
            sock.detach()

    def unless_ended(self) -> Self | None:
        """These, with our side of the stream ended, too; None, and let go, if the server has closed its end."""
        if self._fd < 0:  # collected with its owner, after the end of its loop, and before the owner's last turn
            return None
        sock = socket.socket(fileno=self._fd)
        sock.setblocking(False)
        try:
            has_ended = not sock.recv(1, socket.MSG_PEEK)
        except (ConnectionResetError, BrokenPipeError):
            has_ended = True
        except OSError:  # nothing has come, or the network failed
            has_ended = False
        finally:
            sock.detach()
        if has_ended:
            self.close()
            return None
        self.hang_up()
        return self

    async def wait_gone(self, timeout: float) -> bool:
        """Wait until the server has closed its end, at most *timeout* seconds, then let go. To be called once.

        Returns: whether it has; False also if the network failed, which proves nothing.
        """
        if self._fd < 0:  # as above
            return self.is_gone
        loop = asyncio.get_running_loop()
        with self._take() as sock:
            try:
                async with asyncio.timeout(timeout):
                    while await loop.sock_recv(sock, CHUNK):  # noqa: ASYNC110 - bytes are no event
                        await asyncio.sleep(0)  # with a server that goes on sending, the loop must go on, too
                self.is_gone = True
            except (ConnectionResetError, BrokenPipeError):  # it was gone before it had read all that we had sent
                self.is_gone = True
            except OSError:  # a TimeoutError is one, whether of the clock or of the network
                pass
        return self.is_gone

    def close(self) -> None:
        """Let go of the socket; no more is known of the server afterwards. Closing twice is fine."""
        if self._fd >= 0:
            self._take().close()

    def _take(self) -> socket.socket:
        assert self._fd >= 0, "was waited for or closed before"
        sock = socket.socket(fileno=self._fd)
        self._fd = -1
        sock.setblocking(False)
        return sock

    def __del__(self) -> None:
        self.close()  # nobody waits for it any more
