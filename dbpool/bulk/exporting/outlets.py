"""Where an export's blocks go: a file, a file object of the caller's, a function of the caller's."""

from __future__ import annotations

import errno
import inspect
import os
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from dbpool.bulk.exporting.encoders import Encoder
from dbpool.bulk.exporting.sequence import Block
from dbpool.bulk.exporting.threads import in_thread
from dbpool.errors import ExportFailed, UsageError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Writable(Protocol):
    """A binary file, as far as an export is concerned; used in a thread."""

    def write(self, data: bytes, /) -> int | None: ...


class Outlet(Protocol):
    """Takes blocks in order, then one ``finish``; ``size`` is the bytes that were written."""

    size: int

    async def write(self, block: Block) -> None: ...

    async def finish(self) -> None: ...


class FileOutlet:
    """A file that gets its name when all is well; until then it stands beside it under another, or is gone.

    Args:
        is_durable: what is published outlasts a loss of power.
    """

    def __init__(self, path: Path, encoder: Encoder, *, is_durable: bool) -> None:
        self.path = path
        self.size = 0
        self._encoder = encoder
        self._is_durable = is_durable
        self._unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
        self._file: BinaryIO | None = None

    async def write(self, block: Block) -> None:
        await in_thread(lambda: self._write(self._encoder.encode(block)))

    async def finish(self) -> None:
        """All is in the file, which is closed."""
        await in_thread(self._finish)

    def publish(self) -> None:
        """Give it its name, in the place of a file that had it."""
        with self._told():
            self._unfinished.replace(self.path)
            if self._is_durable and hasattr(os, "O_DIRECTORY"):
                directory = os.open(self.path.parent, os.O_DIRECTORY)
                try:
                    os.fsync(directory)
                finally:
                    os.close(directory)

    def discard(self) -> None:
        """Remove what was written, unless it was published."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written at the end, as the disk is full, is not wanted
                self._file.close()
            self._unfinished.unlink(missing_ok=True)

    def _write(self, pieces: Block) -> BinaryIO:
        with self._told():
            if self._file is None:
                self._file = self._unfinished.open("xb")
            self._file.writelines(pieces)  # not joined: they are large
        self.size += sum(map(len, pieces))
        return self._file

    def _finish(self) -> None:
        file = self._write([self._encoder.finish()])
        with self._told():
            file.flush()
            if self._is_durable:
                os.fsync(file.fileno())
            file.close()

    def _told(self) -> _Told:
        return _Told(self.path, self)


def publish_all(files: Iterable[FileOutlet]) -> None:
    """Give all of them their names."""
    for file in files:
        file.publish()


class ObjectOutlet:
    """A binary file of the caller's, which stays open."""

    def __init__(self, file: Writable, encoder: Encoder) -> None:
        self.size = 0
        self._file = file
        self._encoder = encoder

    async def write(self, block: Block) -> None:
        await in_thread(lambda: self._write(b"".join(self._encoder.encode(block))))

    async def finish(self) -> None:
        await in_thread(self._finish)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        with _Told("the file object", self):
            while left:
                written = self._file.write(bytes(left) if len(left) < len(data) else data)
                left = left[len(left) if written is None else written :]  # an unbuffered file may take less
        self.size += len(data)

    def _finish(self) -> None:
        self._write(self._encoder.finish())
        flush = getattr(self._file, "flush", None)
        if flush is not None:
            with _Told("the file object", self):
                flush()


class CallOutlet:
    """An async function of the caller's, which is called with one block after the other."""

    def __init__(self, call: Callable[[bytes], Awaitable[object]], encoder: Encoder) -> None:
        self.size = 0
        self._call = call
        self._encoder = encoder

    async def write(self, block: Block) -> None:
        await self._pass_on(await in_thread(lambda: b"".join(self._encoder.encode(block))))

    async def finish(self) -> None:
        await self._pass_on(await in_thread(self._encoder.finish))

    async def _pass_on(self, data: bytes) -> None:
        if data:
            answer = self._call(data)
            if not inspect.isawaitable(answer):
                raise UsageError(f"the target {self._call!r} must be an async function: it returned {answer!r}")
            await answer
            self.size += len(data)


class _Told:
    """Raises an error of the operating system as ExportFailed."""

    def __init__(self, where: Path | str, outlet: Outlet) -> None:
        self._where, self._outlet = where, outlet

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in _FULL:
            raise ExportFailed(
                f"no room left for {self._where} after {self._outlet.size:,} bytes ({error.strerror}): nothing is left "
                f"of a file that was begun. Make room, or export to another disk, or compressed (.gz)."
            ) from error
        raise ExportFailed(f"{self._where} cannot be written: {error}") from error
