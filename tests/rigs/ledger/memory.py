"""What a process has of memory, and how much of that it uses: of the difference, its allocators keep holes."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_MORE_THAN_ROOM = 30_000


class Memory(NamedTuple):
    """Of this process, at a time of the monotonic clock; 0 where the system does not say."""

    at: float
    resident: int  # bytes
    in_use: int  # bytes that glibc's malloc has given out: all but small objects of Python's
    objects: int  # small ones, of Python's own allocator


class _Mallinfo(ctypes.Structure):
    """As mallinfo2(3) has it, since glibc 2.33."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def settle() -> None:
    """Have the interpreter grow its table of interned strings now, as it does once, when thousands have come and gone.

    A writer's did so after twenty minutes, by half a megabyte: a step that is no leak, and as steep as one for an hour.
    """
    for number in range(_MORE_THAN_ROOM):
        sys.intern(f"{__name__} {number}")


def looker() -> Callable[[], Memory]:
    """Something that looks at this process' memory."""
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo is not None:
        mallinfo.restype = _Mallinfo

    def look() -> Memory:
        told = mallinfo() if mallinfo is not None else _Mallinfo()
        return Memory(time.monotonic(), _resident_bytes(), told.uordblks + told.hblkhd, sys.getallocatedblocks())

    return look


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
