"""What a worker and whoever started it say to each other, in frames on pipes."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import dataclass
from typing import Final, TypeAlias

from dbpool.loadtest.generating.health import Health
from dbpool.loadtest.load import Share
from dbpool.loadtest.recording.tally import Tally
from dbpool.loadtest.recording.window import Window

_LENGTH_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Ready:
    """Connected, and waiting for the word to go."""

    pid: int


@dataclass(frozen=True, slots=True)
class Go:
    """Begin: the window is the same for all."""

    window: Window


@dataclass(frozen=True, slots=True)
class Stop:
    """Begin nothing more, give up what is under way, and report."""


@dataclass(frozen=True, slots=True)
class Tick:
    """What one second brought, 0 for that after the anchor, and the memory of the worker at its end."""

    second: int
    tally: Tally
    rss_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """All transactions have ended, and every connection is closed."""

    health: Health


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not go on. *label* is what results call it, *words* a sentence for a person."""

    words: str
    label: str


Message: TypeAlias = Share | Ready | Go | Stop | Tick | Finished | Failed


def send(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send *message*; the pipe takes it when it can."""
    payload = pickle.dumps(message)
    writer.write(len(payload).to_bytes(_LENGTH_BYTES, "big") + payload)


async def receive(reader: asyncio.StreamReader) -> Message | None:
    """The next message; None when the other side is gone."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        payload = await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    message: Message = pickle.loads(payload)  # noqa: S301 - from a process of our own, over a pipe of our own
    return message
