"""The second hold of a socket: what it sees, and that it always lets go. On real sockets, without a server."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import select
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import uvloop

from dbpool.remains import Remains
from tests.support.sockets import open_sockets

Run = Callable[[Coroutine[Any, Any, None]], None]
every_loop = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


@contextmanager
def letting_go() -> Iterator[None]:
    """No socket is open at the end that was not open before."""
    gc.collect()
    before = open_sockets()
    yield
    gc.collect()
    assert open_sockets() == before


@contextmanager
def pair(*, tcp: bool = False) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end of a connection, and the server's."""
    if tcp:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs = listener.accept()[0]
    else:
        ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


class Lost(asyncio.Protocol):
    """A protocol by which the end of its transport is seen."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()


async def connected(sock: socket.socket) -> tuple[asyncio.Transport, Lost]:
    loop = asyncio.get_running_loop()
    open_on = loop.create_unix_connection if sock.family == socket.AF_UNIX else loop.create_connection
    return await open_on(Lost, sock=sock)


async def cut_off(sock: socket.socket) -> Remains:
    """What is left of a connection on *sock* whose transport has been aborted and has closed."""
    transport, protocol = await connected(sock)
    remains = Remains.of(transport)
    transport.abort()
    await protocol.lost.wait()
    assert remains is not None
    return remains


def is_over(sock: socket.socket) -> bool:
    """Whether the other side has ended its stream."""
    return select.select([sock], [], [], 0)[0] == [sock] and sock.recv(1) == b""


@every_loop
@pytest.mark.parametrize("tcp", [False, True])
def test_the_stream_goes_on_after_the_transport_was_aborted_until_we_hang_up(run: Run, tcp: bool) -> None:
    async def main() -> None:
        remains = await cut_off(ours)
        assert not is_over(theirs)
        remains.hang_up()
        assert theirs.recv(1) == b""
        theirs.sendall(b"what we do not read")
        theirs.shutdown(socket.SHUT_WR)
        assert await remains.wait_gone(5)
        assert remains.is_gone

    with letting_go(), pair(tcp=tcp) as (ours, theirs):
        run(main())


@every_loop
def test_a_reset_proves_as_much_as_an_orderly_end(run: Run) -> None:
    async def main() -> None:
        remains = await cut_off(ours)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        theirs.close()
        assert await remains.wait_gone(5)
        remains.hang_up()  # nobody is there, which harms nobody

    with letting_go(), pair(tcp=True) as (ours, theirs):
        run(main())


@every_loop
def test_silence_proves_nothing_and_costs_no_more_than_its_time(run: Run) -> None:
    async def main() -> None:
        remains = await cut_off(ours)
        assert not await remains.wait_gone(0.01)
        assert not remains.is_gone
        assert is_over(theirs)

    with letting_go(), pair() as (ours, theirs):
        run(main())


@every_loop
def test_a_server_that_sends_without_end_holds_up_neither_the_loop_nor_the_time_limit(run: Run) -> None:
    def send() -> None:
        with suppress(OSError):
            while True:
                theirs.sendall(b"x" * 1_000_000)

    async def main() -> None:
        remains = await cut_off(ours)
        sender = threading.Thread(target=send)
        sender.start()
        assert not await remains.wait_gone(0.05)
        sender.join(5)  # it gets a broken pipe
        assert not sender.is_alive()

    with letting_go(), pair() as (ours, theirs):
        run(main())


@every_loop
def test_a_cancelled_wait_lets_go(run: Run) -> None:
    async def main() -> None:
        waiting = asyncio.create_task((await cut_off(ours)).wait_gone(5))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert is_over(theirs)

    with letting_go(), pair() as (ours, theirs):
        run(main())


class Stop(SystemExit):
    """What a loop does not handle."""


@every_loop
def test_a_loop_torn_down_in_the_middle_of_a_wait_lets_go(run: Run) -> None:
    def stop() -> None:
        raise Stop

    async def main() -> None:
        waiting = asyncio.create_task((await cut_off(ours)).wait_gone(5))
        asyncio.get_running_loop().call_soon(stop)
        await waiting

    with letting_go(), pair() as (ours, theirs):
        with pytest.raises(Stop):
            run(main())
        assert is_over(theirs)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_closed_without_ending_the_wait_lets_go(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    with letting_go(), pair() as (ours, theirs):
        loop = new_loop()
        remains = loop.run_until_complete(cut_off(ours))
        wait = remains.wait_gone(5)
        task = loop.create_task(wait)
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        wait.close()  # as the end of the program does
        assert is_over(theirs)
        loop.set_exception_handler(lambda *_: None)  # it complains of a task destroyed while it was pending
        del task, remains


@every_loop
def test_remains_that_nobody_waits_for_let_go_without_a_warning(run: Run) -> None:
    async def main() -> None:
        await cut_off(ours)
        assert is_over(theirs)
        remains = await cut_off(ours_too)
        remains.close()
        remains.close()
        assert is_over(theirs_too)

    with letting_go(), pair() as (ours, theirs), pair() as (ours_too, theirs_too):
        run(main())


@every_loop
def test_remains_that_were_collected_before_who_owned_them_are_no_error_in_its_last_turn(run: Run) -> None:
    async def main() -> None:
        with pair() as (ours, _):
            remains = await cut_off(ours)
            remains.close()  # as its finalizer does
            assert remains.unless_ended() is None
            assert not await remains.wait_gone(5)

    with letting_go():
        run(main())


@every_loop
def test_nothing_is_held_of_a_transport_that_closes_or_has_closed(run: Run) -> None:
    async def main() -> None:
        transport, protocol = await connected(ours)
        transport.close()
        assert Remains.of(transport) is None
        await protocol.lost.wait()
        with socket.socket():  # may have got the number of the one that was closed
            assert Remains.of(transport) is None

    with letting_go(), pair() as (ours, _):
        run(main())


@every_loop
def test_without_a_file_descriptor_to_spare_nothing_is_held_and_nothing_fails(run: Run) -> None:
    async def main() -> None:
        transport, _ = await connected(ours)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = os.dup(0)  # all below it are taken
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
        try:
            assert Remains.of(transport) is None
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        transport.abort()

    with letting_go(), pair() as (ours, _):
        run(main())
