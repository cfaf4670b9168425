"""A worker process: gets its share of the load on stdin, reports on stdout, ends when stdin does."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import suppress
from random import Random

from dbpool.errors import DbPoolError
from dbpool.faults import one_line
from dbpool.loadtest.drivers.choosing import make_driver
from dbpool.loadtest.drivers.failures import label_of_error
from dbpool.loadtest.drivers.protocol import Driver, now_ns
from dbpool.loadtest.generating.generator import Generator
from dbpool.loadtest.generating.health import Health, memory_mb, watch
from dbpool.loadtest.generating.items import make_items, make_mix
from dbpool.loadtest.generating.transactor import Transactor
from dbpool.loadtest.load import Share
from dbpool.loadtest.recording.recorder import Recorder
from dbpool.loadtest.recording.tally import Outcome
from dbpool.loadtest.recording.window import SECOND_NS, Window
from dbpool.loadtest.scripts.client import Cast, make_cast
from dbpool.loadtest.workers.messages import Failed, Finished, Go, Ready, Tick, receive, send


class Worker:
    """Does one share, then ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, share: Share) -> None:
        self._reader, self._writer, self._share = reader, writer, share

    async def run(self) -> None:
        """Connect, wait for the word to go, load, report; whatever ends it, its connections are closed."""
        share = self._share
        try:
            driver = make_driver(share.target, share.workload.mode)
            items, mix = make_items(share.workload, driver), make_mix(share.workload)
            try:
                await driver.open()
                send(self._writer, Ready(os.getpid()))
                word = await receive(self._reader)
                if not isinstance(word, Go):
                    return
                recorder = Recorder(
                    word.window,
                    driver.splits._replace(schedule=share.load.is_open),
                    limit_ns=share.load.limit_ns,
                )
                cast = self._cast()
                transactor = Transactor(driver, items, mix, cast.choosers[-1], recorder=recorder, load=share.load)
                own = cast.clients[share.first_client : share.first_client + share.load.most_clients]
                generator = Generator(
                    transactor,
                    share.load,
                    word.window,
                    own,
                    random=Random(f"{share.workload.seed} arrivals {share.number}"),
                    number=share.number,
                    workers=share.workers,
                )
                health = await self._load(generator, transactor, recorder, word.window)
                health.refusals.update(driver.refusals())
            finally:
                await _close(driver)
            send(self._writer, Finished(health))
        except (DbPoolError, OSError, ImportError) as error:
            send(self._writer, Failed(str(error) or one_line(error), label_of_error(error)))
        except Exception as error:  # of the driver, or of a function under test: there is nobody else to tell
            send(self._writer, Failed(one_line(error), label_of_error(error)))

    def _cast(self) -> Cast:
        share = self._share
        workload = share.workload
        count = share.first_client + share.load.most_clients
        return make_cast(
            count, seed=workload.seed, threads=share.number + 1, scale=workload.scale, defined=workload.defined
        )

    async def _load(self, generator: Generator, transactor: Transactor, recorder: Recorder, window: Window) -> Health:
        """The load itself, with a report each second."""
        loading = asyncio.create_task(generator.run())
        health = asyncio.create_task(watch(window, lambda: transactor.in_flight, loading.done))
        heeding = asyncio.create_task(self._heed(generator))
        try:
            second = done = 0
            while not loading.done():
                ends_at_ns = window.anchor_ns + (second + 1) * SECOND_NS
                await asyncio.wait([loading], timeout=max(0.0, (ends_at_ns - now_ns()) / SECOND_NS))
                tally = recorder.take()
                send(self._writer, Tick(second, tally, memory_mb()))
                done += tally.counts[Outcome.OK]
                second += 1
            loading.result()
            if transactor.fatal is not None:
                raise transactor.fatal
            found = await health
            found.done = done
            return found
        finally:
            for task in (loading, health, heeding):
                task.cancel()
            await asyncio.wait([loading, health, heeding])

    async def _heed(self, generator: Generator) -> None:
        """Stop when told to, or when whoever started this is gone."""
        while isinstance(await receive(self._reader), Go):
            pass
        generator.stop()


async def _close(driver: Driver) -> None:
    # it may never have been open; the server drops what is left when this process ends
    with suppress(Exception):
        await driver.close()


async def _main() -> None:
    loop = asyncio.get_running_loop()
    # what a function under test prints goes to stderr: stdout is for messages
    messages = os.dup(1)
    os.dup2(2, 1)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(messages, "wb"))
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    share = await receive(reader)
    if isinstance(share, Share):
        await Worker(reader, writer, share).run()
    transport.set_write_buffer_limits(high=0)
    with suppress(ConnectionError):
        await writer.drain()  # until all is sent
    writer.close()


def main() -> None:
    """Run the process."""
    logging.getLogger("dbpool").addHandler(logging.NullHandler())  # what matters is counted
    # so are transactions that were cut off, of which the pools complain to the event loop, and lost connections
    for library in ("asyncio", "asyncpg", "psycopg"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    asyncio.run(_main())


if __name__ == "__main__":
    main()
