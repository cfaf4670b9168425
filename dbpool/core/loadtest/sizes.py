"""Pool sizes as they are written: ``1..64``, ``2,4,8`` or ``16``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from dbpool.errors import SettingsError

LARGEST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Sizes:
    """*listed* sizes, ascending; without any, whatever is found up to *most*."""

    most: int
    listed: tuple[int, ...] = ()


def sizes_of(text: str) -> Sizes:
    """The sizes that *text* means: from 1 to the end of a range, or those of a list.

    Raises:
        SettingsError: it is neither, or a size is not in 1 to 10,000.
    """
    if found := re.fullmatch(r"\s*1\s*\.\.\s*(\d+)\s*", text):
        return Sizes(_size(found[1], text))
    listed = sorted({_size(part.strip(), text) for part in text.split(",")})
    return Sizes(listed[-1], tuple(listed))


def _size(word: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", word):
        raise SettingsError(f"pool sizes are like 1..64 (search up to 64), 2,4,8 or 16, not {text!r}")
    size = int(word)
    if not 1 <= size <= LARGEST:
        raise SettingsError(f"a pool has 1 to {LARGEST:,} connections, not {size:,}")
    return size
