"""What the caller gave as the target of an export, checked before anything is asked of the server."""

from __future__ import annotations

import io
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from dbpool.bulk.exporting.encoders import Encoder
from dbpool.bulk.exporting.outlets import CallOutlet, FileOutlet, ObjectOutlet, Outlet, Writable
from dbpool.core.copyformats import Format
from dbpool.errors import ExportFailed, UsageError

Target: TypeAlias = str | os.PathLike[str] | Writable | Callable[[bytes], Awaitable[object]]

PART: Final = "{part}"


@dataclass(frozen=True, slots=True)
class Files:
    """One file, or where *pattern* holds ``{part}`` one for each part."""

    pattern: Path
    is_durable: bool

    @property
    def is_split(self) -> bool:
        return PART in self.pattern.name

    def outlet(self, encoder: Encoder, part: int = 0) -> FileOutlet:
        path = self.pattern.with_name(self.pattern.name.replace(PART, f"{part:05d}"))
        return FileOutlet(path, encoder, is_durable=self.is_durable)


@dataclass(frozen=True, slots=True)
class Stream:
    """A file object, or a function."""

    target: Writable | Callable[[bytes], Awaitable[object]]

    def outlet(self, encoder: Encoder) -> Outlet:
        if callable(self.target):
            return CallOutlet(self.target, encoder)
        return ObjectOutlet(self.target, encoder)


def file_name(target: Target) -> str:
    """The name that says the format; "" for what has none."""
    if isinstance(target, (str, os.PathLike)) and not _is_directory(target):
        return Path(target).name
    return ""


def checked_target(target: Target, what: Format, *, is_gzip: bool, is_durable: bool) -> Files | Stream:
    """*target*, or for a directory its files.

    Raises:
        ExportFailed: its directory is missing, or it is no file.
        UsageError: it is nothing that can be written to.
    """
    if isinstance(target, (str, os.PathLike)):
        path = Path(target)
        if _is_directory(target):
            path = path / f"part-{PART}{what.suffixes[0]}{'.gz' if is_gzip else ''}"
        return _checked_files(Files(path, is_durable))
    if isinstance(target, io.TextIOBase):
        raise UsageError(f"{target!r} takes text, an export is bytes: open it with mode 'wb'")
    if hasattr(target, "write") or callable(target):
        return Stream(target)
    raise UsageError(
        f"the target must be a path, a binary file object or an async function of bytes, not {type(target).__name__}"
    )


def _is_directory(target: str | os.PathLike[str]) -> bool:
    return os.fspath(target).endswith(os.sep) or Path(target).is_dir()


def _checked_files(files: Files) -> Files:
    folder = files.pattern.parent
    if not folder.is_dir():
        raise ExportFailed(f"the directory {folder} does not exist: make it first")
    if files.is_split:
        return files
    path = Path(os.path.realpath(files.pattern))  # through a link, else it would be the link that is replaced
    if path.exists() and not path.is_file():
        raise ExportFailed(f"{path} is not a regular file: open it, and pass the file object")
    return Files(path, files.is_durable)
