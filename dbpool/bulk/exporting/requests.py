"""What was asked of an export, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from dbpool.bulk.exporting import parquet
from dbpool.bulk.exporting.encoders import Encoder, Framed, Gzipped, JsonArray
from dbpool.bulk.exporting.exported import ExportProgress
from dbpool.bulk.exporting.parquet import Column, ParquetEncoder
from dbpool.bulk.exporting.targets import Files, Stream, Target, checked_target, file_name
from dbpool.core.copyformats import BINARY_HEADER, BINARY_TRAILER, Csv, Format, named_format
from dbpool.core.exportable import Query, TableName, read_source
from dbpool.errors import StatementError, UsageError
from dbpool.settings import positive_seconds, whole_number

PAGE_BYTES: Final = 8192  # unless the server was built otherwise: then parts are larger or smaller than asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The keyword arguments of ``Lane.export``."""

    args: Sequence[object] = ()
    format: str | Csv | None = None
    gzip: bool | None = None
    at_once: int | None = None
    part_bytes: int | None = None
    is_durable: bool = False
    progress: Callable[[ExportProgress], object] | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export that may work."""

    source: TableName | Query
    target: Files | Stream
    what: Format
    csv: Csv
    is_gzip: bool
    options: ExportOptions

    @property
    def is_split(self) -> bool:
        """Whether each part becomes a file of its own."""
        return isinstance(self.target, Files) and self.target.is_split

    def encoder(self, columns: Sequence[Column]) -> Encoder:
        """What makes the bytes of one file."""
        encoder: Encoder = Framed()
        if self.what is Format.PARQUET:
            encoder = ParquetEncoder(columns)
        elif self.what is Format.BINARY:
            encoder = Framed(BINARY_HEADER, BINARY_TRAILER)
        elif self.what is Format.JSON:
            encoder = JsonArray()
        return Gzipped(encoder) if self.is_gzip else encoder


def checked_request(source: str, target: Target, options: ExportOptions) -> ExportRequest:
    """What was asked, in the words of this package.

    Raises:
        StatementError: *source* is neither a table nor one query; or its parameters are not those given.
        UsageError: there is no such format, or the target is nothing to write to.
        SettingsError: a number is out of range.
        ExportFailed: the target's directory does not exist.
    """
    read = read_source(source)
    parameters = read.parameters if isinstance(read, Query) else 0
    if len(options.args) != parameters:
        raise StatementError(f"{len(options.args)} args for {parameters} parameters ($1, $2, ...) of what is exported")
    for number, name in ((options.at_once, "at_once"), (options.part_bytes, "part_bytes")):
        if number is not None:
            whole_number(number, name, 1)
    if options.timeout is not None:
        positive_seconds(options.timeout, "timeout")
    name = file_name(target)
    what = named_format(options.format, name)
    is_gzip = name.lower().endswith(".gz") if options.gzip is None else options.gzip
    if what is Format.PARQUET:
        if is_gzip:
            raise UsageError("Parquet compresses its columns itself: leave out .gz and gzip=True")
        parquet.check_available()
    csv = options.format if isinstance(options.format, Csv) else Csv()
    place = checked_target(target, what, is_gzip=is_gzip, is_durable=options.is_durable)
    return ExportRequest(read, place, what, csv, is_gzip, options)
