"""Releases of Python whose transports buffer without limit are told to wait."""

from __future__ import annotations

import asyncio
import socket

import pytest

from dbpool.flowcontrol import floods, keep_flow_control


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 11, 9), False),
        ((3, 12, 0), True),
        ((3, 12, 8), True),
        ((3, 12, 9), False),
        ((3, 13, 0), True),
        ((3, 13, 1), True),
        ((3, 13, 2), False),
        ((3, 14, 0), False),
    ],
)
def test_the_releases_with_the_fault_are_known(version: tuple[int, ...], expected: bool) -> None:
    assert floods(version) is expected


class Sender(asyncio.Protocol):
    """Notes that it was told to wait."""

    is_paused = False

    def pause_writing(self) -> None:
        self.is_paused = True


async def test_pieces_that_nobody_reads_make_the_sender_wait() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        loop = asyncio.get_running_loop()
        transport, sender = await loop.create_connection(Sender, sock=ours)
        keep_flow_control(transport, (3, 12, 3))
        while not sender.is_paused:
            transport.writelines([b"x" * 32_768] * 4)
            assert transport.get_write_buffer_size() < 2**20
        transport.abort()
