"""Files as chunks: found, unpacked, cut at row ends. All of it blocks, and is for a thread."""

from __future__ import annotations

import glob
import gzip
import json
import os
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, cast

from dbpool.bulk.loading.csvchunk import CsvChunk, CsvText
from dbpool.bulk.loading.jsonchunk import LINES, JsonChunk
from dbpool.bulk.loading.options import Format, Load
from dbpool.core.csvtext import Dialect, first_end, is_mixed, values, with_feeds
from dbpool.core.cutting import Cut, Cutter, RowTooLong
from dbpool.errors import StoredPart, UsageError

PIECE = 256 << 10  # bytes read at once; found to be as fast as more
SLOW_PIECE = 64 << 10  # where the row ends are found by a slower way: nobody else runs meanwhile
LONGEST_ROW = 1 << 28  # bytes; PostgreSQL takes no value above 1 GiB
BOM = b"\xef\xbb\xbf"
UTF_16_BOMS = (b"\xff\xfe", b"\xfe\xff")
JSON_ENDINGS = (".ndjson", ".jsonl", ".json")


class SourceFailed(Exception):
    """A source could not be read on; *line* is the row's number, from 1, where it has no file."""

    def __init__(self, message: str, file: str | None, line: int | None = None) -> None:
        super().__init__(message)
        self.file, self.line = file, line


def find(source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The files that a path, a pattern (as a str) or several of them name, those of a pattern sorted.

    Raises:
        UsageError: nothing is there, or something that is no file.
    """
    given = [source] if isinstance(source, (str, os.PathLike)) else list(source)
    found: list[Path] = []
    for each in given:
        paths = [Path(each)]
        if isinstance(each, str) and glob.has_magic(each) and not paths[0].exists():
            paths = [Path(name) for name in sorted(glob.glob(each, recursive=True))]  # noqa: PTH207 - absolute or not
        if not paths or not all(path.exists() for path in paths):
            raise UsageError(f"there is no file {os.fspath(each)!r} to load")
        if odd := next((path for path in paths if not path.is_file()), None):
            raise UsageError(f"{os.fspath(odd)!r} is no regular file: to load from elsewhere, pass an iterable")
        if parquet := next((path for path in paths if path.suffix == ".parquet"), None):
            raise UsageError(f"{os.fspath(parquet)!r} is no text: load pyarrow.parquet.read_table() of it, as a frame")
        found += paths
    return found


def parts_of(paths: Sequence[Path], stored: Sequence[StoredPart]) -> tuple[StoredPart, ...]:
    """Parts that an earlier load has stored, with their files as *paths* spell them now.

    Raises:
        UsageError: one is of no such file, so that its rows would be stored twice, or a file is there twice.
    """
    spelled = {path.resolve(): str(path) for path in paths}
    if len(spelled) < len(paths) and stored:
        raise UsageError("resume= cannot tell the parts of a file from each other that the source has twice")
    found = []
    for part in stored:
        file = None if part.file is None else spelled.get(Path(part.file).resolve())
        if file is None:
            raise UsageError(
                f"resume= has a part of {part.file or 'records'}, which is not among the files to load: give the same "
                f"source, or leave that part out if its file is not to be loaded any more"
            )
        found.append(replace(part, file=file))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads files; stops within one piece once *is_stopped* says so."""

    load: Load
    is_stopped: Callable[[], bool]

    def chunks(self, paths: Iterable[Path]) -> Generator[CsvChunk | JsonChunk, None, None]:
        """The chunks of all files, in order.

        Raises:
            SourceFailed: a file cannot be read, is not what its name says, or its header does not fit.
        """
        first_keys: tuple[str, ...] | None = None
        for path in paths:
            with ExitStack() as stack:
                try:
                    text = stack.enter_context(_Text.open(path))
                    if _format(path, self.load.format) == "csv":
                        yield from self._csv(path, text)
                    else:
                        for chunk in self._json(path, text, first_keys):
                            first_keys = chunk.columns
                            yield chunk
                except (OSError, EOFError, zlib.error) as error:  # EOFError: packed, and cut off
                    raise SourceFailed(f"{path} cannot be read: {error}", str(path)) from error

    def _csv(self, path: Path, text: _Text) -> Generator[CsvChunk, None, None]:
        load = self.load
        dialect = load.dialect(load.delimiter or ("\t" if ".tsv" in path.suffixes else ","))
        cut_size = load.cut_size(path.stat().st_size)
        size = min(PIECE if dialect.quote == dialect.escape else SLOW_PIECE, cut_size)
        skipped = self._skip_mark(path, text, size)
        start, end = self._first_row(path, text, dialect, size)
        head, line, columns = bytes(text.kept), 1, load.columns
        if load.header:
            row, head = head[:start].rstrip(b"\r\n"), head[start:]
            columns = self._header(path, row, dialect)
            line += row.count(end[-1:]) + 1
            skipped += start
        cutter = Cutter(dialect, end, cut_size=cut_size, longest_row=LONGEST_ROW, line=line, offset=skipped)
        for cut, read in self._cuts(path, text, cutter, head, size):
            pieces, cut_end = cut.pieces, end
            if is_mixed(pieces, end):  # COPY would refuse that
                pieces, cut_end = (with_feeds(b"".join(pieces), dialect, end),), b"\n"
            described = CsvText(dialect, cut_end, load.null, load.encoding)
            yield CsvChunk(str(path), cut.offset, cut.size, cut.line, read, pieces, described, columns)

    def _json(self, path: Path, text: _Text, columns: tuple[str, ...] | None) -> Generator[JsonChunk, None, None]:
        load = self.load
        cut_size = load.cut_size(path.stat().st_size)
        size = min(PIECE, cut_size)
        skipped = self._skip_mark(path, text, size)
        if load.columns is None and columns is None:
            columns = self._keys(path, text, size)
        cutter = Cutter(LINES, b"\n", cut_size=cut_size, longest_row=LONGEST_ROW, line=1, offset=skipped)
        for cut, read in self._cuts(path, text, cutter, bytes(text.kept), size):
            names, is_strict = load.columns or columns or (), load.columns is None
            pieces = (with_feeds(b"".join(cut.pieces), LINES, b"\n"),) if is_mixed(cut.pieces, b"\n") else cut.pieces
            yield JsonChunk(str(path), cut.offset, cut.size, cut.line, read, pieces, names, is_strict)

    def _skip_mark(self, path: Path, text: _Text, size: int) -> int:
        """Read the begin of a text; the bytes of its byte order mark, which are no part of it."""
        head = text.read(max(size, len(BOM)))
        is_utf_8 = self.load.encoding in ("utf-8", "utf-8-sig")
        if is_utf_8 and head.startswith(UTF_16_BOMS):
            raise SourceFailed(f"{path} is UTF-16, which COPY does not know: convert it to UTF-8", str(path), 1)
        skipped = len(BOM) if is_utf_8 and head.startswith(BOM) else 0
        text.kept = bytearray(head[skipped:])
        return skipped

    def _keys(self, path: Path, text: _Text, size: int) -> tuple[str, ...] | None:
        """The keys of the first object; None where there is none. What is none is passed over if it may be rejected."""
        at, line = 0, 1
        while True:
            end, _ = self._first_row(path, text, LINES, size, at)
            if end == at:
                return None
            row = bytes(text.kept[at:end])
            if row.strip():
                try:
                    return _keys(path, row, line)
                except SourceFailed:
                    if self.load.on_reject == "raise":
                        raise
            at, line = end, line + 1

    def _first_row(self, path: Path, text: _Text, dialect: Dialect, size: int, at: int = 0) -> tuple[int, bytes]:
        """Where the row from *at* on ends, and with what; reads on until that is known, or the text is over."""
        while (found := first_end(bytes(text.kept[at:]), dialect, is_all=text.is_all)) is None and not text.is_all:
            if len(text.kept) > LONGEST_ROW:
                raise SourceFailed(f"{path}: its first row does not end: is a quote left open?", str(path), 1)
            self._check_stopped()
            text.kept += text.read(max(size, len(text.kept)))  # twice as much each time, for all is looked at again
        return (len(text.kept), b"\n") if found is None else (at + found[0], found[1])

    def _header(self, path: Path, row: bytes, dialect: Dialect) -> tuple[str, ...] | None:
        load = self.load
        if load.header == "skip" or not row:
            return load.columns
        found = values(row, dialect)
        try:
            names = tuple((name or b"").decode(load.encoding) for name in found)
        except UnicodeDecodeError as error:
            raise SourceFailed(f"the header of {path} is not {load.encoding}: {error}", str(path), 1) from error
        if not all(names) or len(set(names)) < len(names):
            raise SourceFailed(
                f"the header of {path} has columns without a name, or twice the same: {', '.join(names)}. "
                f"header='skip' with columns= names them instead",
                *(str(path), 1),
            )
        if load.columns is not None and names != load.columns:
            raise SourceFailed(
                f"the header of {path} names {', '.join(names)}, but columns= {', '.join(load.columns)}: leave "
                f"columns= out, or say header='skip' if the header is wrong, header=False if there is none",
                *(str(path), 1),
            )
        return names

    def _cuts(self, path: Path, text: _Text, cutter: Cutter, head: bytes, size: int) -> Iterator[tuple[Cut, int]]:
        """The cuts of a text, each with the bytes that were read for it."""
        told = 0
        try:
            piece = head or text.read(size)
            while piece:
                if (cut := cutter.feed(piece)) is not None:
                    yield cut, text.position - told
                    told = text.position
                self._check_stopped()
                piece = text.read(size)
        except RowTooLong as error:
            raise SourceFailed(f"{path}: {error}: is a quote left open?", str(path), error.line) from error
        for cut in cutter.finish():
            yield cut, text.position - told
            told = text.position

    def _check_stopped(self) -> None:
        if self.is_stopped():
            raise SourceFailed("the load is over", None)


class _Text:
    """A file's text, unpacked where it is packed."""

    def __init__(self, raw: BinaryIO, text: BinaryIO) -> None:
        self._raw, self._text = raw, text
        self.kept = bytearray()  # the begin, until it is known what it is
        self.is_all = False  # nothing is left to read

    @classmethod
    def open(cls, path: Path) -> _Text:
        raw = path.open("rb", buffering=0)
        try:
            magic = raw.read(2)
            raw.seek(0)
        except BaseException:
            raw.close()
            raise
        is_packed = path.suffix == ".gz" or magic == b"\x1f\x8b"
        return cls(raw, cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if is_packed else raw)

    def read(self, size: int) -> bytes:
        piece = self._text.read(size)
        self.is_all = not piece
        return piece

    @property
    def position(self) -> int:
        """Bytes of the file that were read, packed ones where it is packed."""
        return self._raw.tell()

    def __enter__(self) -> _Text:
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()
        self._raw.close()


def _format(path: Path, given: Format | None) -> Format:
    if given is not None:
        return given
    name = path.name.lower().removesuffix(".gz")
    return "ndjson" if name.endswith(JSON_ENDINGS) else "csv"


def _keys(path: Path, row: bytes, line: int) -> tuple[str, ...]:
    try:
        first = json.loads(row)
    except ValueError as error:
        raise SourceFailed(f"line {line} of {path} is no JSON: {error}", str(path), line) from error
    if not isinstance(first, dict) or not first:
        raise SourceFailed(
            f"line {line} of {path} is no JSON object with keys: name the columns with columns=", str(path), line
        )
    return tuple(first)
