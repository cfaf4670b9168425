"""What becomes of an export's blocks before they are written: framed, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final, Protocol

_GZIP: Final = 16 + zlib.MAX_WBITS  # with gzip's header and checksum
_LEVEL: Final = 6  # gzip's own


class Encoder(Protocol):
    """Turns the blocks of one file into its bytes; called in a thread, one call at a time."""

    def encode(self, block: Sequence[bytes]) -> Sequence[bytes]:
        """What can be written now that *block* has come, in pieces; they may be empty."""

    def finish(self) -> bytes:
        """The rest."""


class Framed:
    """Puts bytes before the first block, others behind the last."""

    def __init__(self, before: bytes = b"", behind: bytes = b"") -> None:
        self._before, self._behind = before, behind

    def encode(self, block: Sequence[bytes]) -> Sequence[bytes]:
        before, self._before = self._before, b""
        return [before, *block] if before else block

    def finish(self) -> bytes:
        return self._before + self._behind


class JsonArray:
    """Makes one array of rows that are a line each."""

    def __init__(self) -> None:
        self._before = b"[\n"

    def encode(self, block: Sequence[bytes]) -> Sequence[bytes]:
        lines = b"".join(block)
        if not lines:
            return []
        before, self._before = self._before, b",\n"
        return [before, lines[:-1].replace(b"\n", b",\n")]

    def finish(self) -> bytes:
        return b"[]\n" if self._before == b"[\n" else b"\n]\n"


class Gzipped:
    """Compresses what another encoder makes."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner
        self._squeeze = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)

    def encode(self, block: Sequence[bytes]) -> Sequence[bytes]:
        return list(map(self._squeeze.compress, self._inner.encode(block)))

    def finish(self) -> bytes:
        return self._squeeze.compress(self._inner.finish()) + self._squeeze.flush()
