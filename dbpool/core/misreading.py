"""Whether an error of the driver is about a message that it could not read, by the frames it went through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Frame: TypeAlias = tuple[str, str]  # the file's path, the function's name, which has its class before it

# Where asyncpg's compiled protocol takes a message apart, makes a result of what it took, or finds that it is in the
# middle of something else.
_READING = ("_read_server_messages", "_dispatch_result", "_on_result", "_init_codecs", "_init_types", "_set_state")


def is_met_in_reading(frames: Sequence[Frame]) -> bool:
    """Whether an error was raised by the driver's own reading of messages; a value that a codec refused is none.

    Args:
        frames: from the outermost to the one that raised.
    """
    if not frames:
        return False
    raised_in = frames[-1][0].replace("\\", "/")
    is_protocols = "asyncpg/protocol/" in raised_in or "asyncpg/pgproto/" in raised_in
    if not is_protocols or "/codecs/" in raised_in:
        return False
    return any(name.rpartition(".")[2].startswith(_READING) for _, name in frames)
