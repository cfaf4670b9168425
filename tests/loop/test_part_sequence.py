"""Blocks of parts that are read at once come out in the order of the parts, few of them waiting."""

from __future__ import annotations

import asyncio

import pytest

from dbpool.bulk.exporting.sequence import AHEAD_BYTES, Block, PartSequence
from tests.support.waits import turns


class Sink:
    """Takes blocks while it is open."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.is_open = asyncio.Event()

    async def write(self, block: Block) -> None:
        await self.is_open.wait()
        self.blocks += block


async def fill(sequence: PartSequence, part: int, sizes: list[int]) -> None:
    for number, size in enumerate(sizes):
        await sequence.put(part, [b"%d.%d" % (part, number)], size)
    await sequence.end(part)


async def test_parts_come_out_in_their_order_whoever_ends_first() -> None:
    sink, sequence = Sink(), PartSequence(100)
    sink.is_open.set()
    await fill(sequence, 2, [1])
    await fill(sequence, 1, [])
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(sequence.pass_on(3, sink.write))
        await turns()
        assert not writing.done()
        group.create_task(fill(sequence, 0, [1, 1, 1]))
    assert sink.blocks == [b"0.0", b"0.1", b"0.2", b"2.0"]


async def test_a_part_whose_turn_has_not_come_waits_for_room_and_the_one_whose_turn_it_is_does_not() -> None:
    sink, sequence = Sink(), PartSequence(10)
    sink.is_open.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(sequence.pass_on(3, sink.write))
        second = group.create_task(fill(sequence, 1, [6, 6, 6]))
        third = group.create_task(fill(sequence, 2, [6]))
        await turns()
        assert not second.done()
        assert not third.done()
        first = group.create_task(fill(sequence, 0, [6, 6, 6, 6]))
        await first
    assert sink.blocks == [b"0.0", b"0.1", b"0.2", b"0.3", b"1.0", b"1.1", b"1.2", b"2.0"]


async def test_a_target_that_takes_nothing_stops_the_part_whose_turn_it_is() -> None:
    sink, sequence = Sink(), PartSequence(10)
    async with asyncio.TaskGroup() as group:
        group.create_task(sequence.pass_on(1, sink.write))
        part = group.create_task(fill(sequence, 0, [AHEAD_BYTES] * 3))
        await turns()
        assert not part.done()
        sink.is_open.set()
    assert len(sink.blocks) == 3


async def test_what_waited_for_its_turn_counts_as_room_no_more_when_it_has_come() -> None:
    sink, sequence = Sink(), PartSequence(10)
    sink.is_open.set()
    await fill(sequence, 1, [10])
    late = asyncio.ensure_future(fill(sequence, 2, [10]))
    await turns()
    assert not late.done()
    await sequence.end(0)
    await sequence.pass_on(3, sink.write)
    assert late.done()
    assert sink.blocks == [b"1.0", b"2.0"]


async def test_an_error_of_the_target_comes_out_where_blocks_are_passed_on() -> None:
    async def fail(_: Block) -> None:
        raise LookupError

    sequence = PartSequence(10)
    await fill(sequence, 0, [1])
    with pytest.raises(LookupError):
        await sequence.pass_on(1, fail)
