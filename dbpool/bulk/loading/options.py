"""What a load may be told, checked once."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from dbpool.bulk.loading.results import Progress
from dbpool.core.csvtext import Dialect
from dbpool.errors import StoredPart, UsageError
from dbpool.settings import positive_seconds, whole_number

Format = Literal["csv", "ndjson"]
Header = bool | Literal["skip"]
OnReject = Literal["raise", "skip", "file"]

# Python's names of encodings that COPY can read and whose bytes for ASCII mean ASCII wherever they stand, as the search
# for row ends needs it.
ENCODINGS = {
    "ascii": "UTF8",
    "utf-8": "UTF8",
    "utf-8-sig": "UTF8",
    "iso8859-1": "LATIN1",
    "iso8859-2": "LATIN2",
    "iso8859-9": "LATIN5",
    "iso8859-15": "LATIN9",
    "cp1250": "WIN1250",
    "cp1251": "WIN1251",
    "cp1252": "WIN1252",
    "cp1254": "WIN1254",
    "koi8-r": "KOI8R",
    "euc_jp": "EUC_JP",
    "euc_kr": "EUC_KR",
}
# Connections, unless others are asked for: beyond that the server has hardly more to give.
USUAL_AT_ONCE = 4
AT_ONCE_FOR_RECORDS = 2  # which one thread encodes; the second one is served while the first one commits
FIRST_ROWS, MOST_ROWS = 25_000, 50_000  # of a chunk of records; each takes a millisecond besides its rows
LEAST_BYTES, MOST_BYTES = 1 << 20, 8 << 20  # of a chunk; below, its transaction costs more than can be overlooked


class LoadOptions(TypedDict, total=False):
    """What ``db.load`` takes besides the table and the source; see there."""

    columns: Sequence[str] | None
    format: Format | None
    header: Header
    delimiter: str | None
    quote: str
    escape: str | None
    null: str
    encoding: str
    at_once: int | None
    atomic: bool
    on_reject: OnReject
    reject_file: str | os.PathLike[str] | None
    most_rejects: int | None
    resume: Iterable[StoredPart]
    progress: Callable[[Progress], object] | None
    timeout: float | None
    chunk_bytes: int | None
    chunk_rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The same, checked."""

    columns: tuple[str, ...] | None
    format: Format | None
    header: Header
    delimiter: str | None  # None: by the file's name
    quote: str
    escape: str
    null: str
    encoding: str  # Python's name
    at_once: int
    atomic: bool
    on_reject: OnReject
    reject_file: Path | None
    most_rejects: int | None
    resume: tuple[StoredPart, ...]
    progress: Callable[[Progress], object] | None
    timeout: float | None
    chunk_bytes: int | None
    chunk_rows: int | None

    def cut_size(self, total: int | None) -> int:
        """Bytes of a chunk of a source that has so many: several chunks for each connection, but none that is tiny.

        It depends on nothing else, and is a power of two: what is resumed must be cut in the same places again.
        """
        if self.chunk_bytes is not None:
            return self.chunk_bytes
        if total is None:
            return MOST_BYTES
        return min(max(1 << (total // 8).bit_length() >> 1, LEAST_BYTES), MOST_BYTES)

    def cut_rows(self, offset: int) -> int:
        """Records of the chunk that begins with this one: fewer of the first ones, for which the server waits."""
        return self.chunk_rows or min(FIRST_ROWS + offset, MOST_ROWS)

    def dialect(self, delimiter: str) -> Dialect:
        return Dialect(delimiter.encode(), self.quote.encode(), self.escape.encode())


def checked(options: LoadOptions, *, most: int, usual_at_once: int) -> Load:
    """The options with their defaults, *most* being the connections that there can be.

    Raises:
        UsageError: one is out of range, or two contradict each other.
    """
    quote, columns, file = options.get("quote", '"'), options.get("columns"), options.get("reject_file")
    at_once = options.get("at_once")
    chunk_bytes, chunk_rows = options.get("chunk_bytes"), options.get("chunk_rows")
    load = Load(
        columns=None if columns is None else tuple(columns),
        format=options.get("format"),
        header=options.get("header", True),
        delimiter=options.get("delimiter"),
        quote=quote,
        escape=options.get("escape") or quote,
        null=options.get("null", ""),
        encoding=_encoding(options.get("encoding", "utf-8")),
        at_once=min(usual_at_once if at_once is None else whole_number(at_once, "at_once", 1), most),
        atomic=options.get("atomic", False),
        on_reject=options.get("on_reject", "raise"),
        reject_file=None if file is None else Path(file),
        most_rejects=options.get("most_rejects"),
        resume=tuple(options.get("resume", ())),
        progress=options.get("progress"),
        timeout=options.get("timeout"),
        chunk_bytes=None if chunk_bytes is None else whole_number(chunk_bytes, "chunk_bytes", 1),
        chunk_rows=None if chunk_rows is None else whole_number(chunk_rows, "chunk_rows", 1),
    )
    _check_words(load)
    _check_rejects(load)
    if unknown := set(options) - set(Load.__slots__):
        raise UsageError(f"load() has no option {', '.join(sorted(unknown))}")
    return load


def _check_words(load: Load) -> None:
    for name, value in (("quote", load.quote), ("escape", load.escape), ("delimiter", load.delimiter)):
        if value is not None and not (len(value) == 1 and value.isascii() and value not in "\r\n\0"):
            raise UsageError(f"{name} must be one ASCII character, no line end, not {value!r}")
    if (load.delimiter or ",") == load.quote:
        raise UsageError(f"delimiter and quote are both {load.quote!r}: COPY could not tell them apart")
    if not load.null.isascii() or "\r" in load.null or "\n" in load.null:
        raise UsageError(f"null must be ASCII without line ends, not {load.null!r}")
    if load.format not in (None, "csv", "ndjson"):
        raise UsageError(f"format must be 'csv' or 'ndjson', not {load.format!r}")
    if load.header not in (True, False, "skip"):
        raise UsageError(f"header must be True, False or 'skip', not {load.header!r}")
    if load.columns is not None and (not load.columns or len(set(load.columns)) < len(load.columns)):
        raise UsageError(f"columns must name at least one column, each once, not {load.columns!r}")
    if load.timeout is not None:
        positive_seconds(load.timeout, "timeout")


def _check_rejects(load: Load) -> None:
    if load.on_reject not in ("raise", "skip", "file"):
        raise UsageError(f"on_reject must be 'raise', 'skip' or 'file', not {load.on_reject!r}")
    if (load.on_reject == "file") != (load.reject_file is not None):
        raise UsageError("on_reject='file' and reject_file= go together: give both or neither")
    if load.most_rejects is not None:
        whole_number(load.most_rejects, "most_rejects", 0)
        if load.on_reject == "raise":
            raise UsageError("most_rejects needs on_reject='skip' or 'file': with 'raise' the first one ends the load")
    if load.atomic and load.resume:
        raise UsageError("an atomic load stores all or nothing, so that there is nothing to resume")


def _encoding(name: str) -> str:
    try:
        known = codecs.lookup(name).name
    except LookupError:
        known = ""
    if known not in ENCODINGS:
        raise UsageError(
            f"files in {name!r} cannot go straight to the server; convert them to UTF-8 first, or use one of "
            f"{', '.join(ENCODINGS)}"
        )
    return known
