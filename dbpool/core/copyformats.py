"""How the server is to write an export in each format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypedDict

from dbpool.errors import UsageError

BINARY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # signature, no flags, no extension
BINARY_TRAILER: Final = b"\xff\xff"

# No character below a blank stands in JSON text but for the line ends that are replaced: so nothing is ever quoted.
_UNUSED_DELIMITER, _UNUSED_QUOTE = "\x01", "\x02"


class Format(Enum):
    """What an export can be written as, with the suffixes of its files."""

    CSV = ("csv", ".csv")
    BINARY = ("binary", ".bin", ".pgcopy")
    PARQUET = ("parquet", ".parquet")
    NDJSON = ("ndjson", ".ndjson", ".jsonl")
    JSON = ("json", ".json")  # one array

    def __init__(self, word: str, *suffixes: str) -> None:
        self.word = word
        self.suffixes = suffixes

    @property
    def is_json(self) -> bool:
        """Whether the server writes each row as a line of JSON."""
        return self in (Format.NDJSON, Format.JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Csv:
    """How CSV is to be written, as COPY's options of the same names.

    Raises:
        UsageError: the server would refuse it.
    """

    header: bool = True
    """A first line with the columns' names: once a file."""
    delimiter: str = ","
    null: str = ""
    quote: str = '"'
    escape: str | None = None
    """Before a quote in a value; None: the quote itself."""
    force_quote: bool | tuple[str, ...] = False
    """All values, or those of these columns, are quoted, but for NULL."""

    def __post_init__(self) -> None:
        for name in ("delimiter", "quote", "escape"):
            given = getattr(self, name)
            if given is not None and (len(given) != 1 or not given.isascii() or given in "\n\r\0"):
                raise UsageError(f"Csv({name}=...) must be one ASCII character, not {given!r}")
        if self.delimiter == self.quote:
            raise UsageError(f"Csv(...) has {self.quote!r} as delimiter and as quote: one of them must be another")
        if any(character in self.null for character in ("\n", "\r", self.delimiter, self.quote)):
            raise UsageError(f"Csv(null={self.null!r}) must hold no delimiter, quote or line end")


class CopyOptions(TypedDict, total=False):
    """The options of one COPY."""

    format: Literal["text", "csv", "binary"]
    delimiter: str
    null: str
    header: bool
    quote: str
    escape: str
    force_quote: bool | Sequence[str]


def named_format(given: str | Csv | None, file_name: str) -> Format:
    """The format that was asked for, or else what *file_name* says by its suffix; "" is no file, and says CSV.

    Raises:
        UsageError: there is no such format.
    """
    words = ", ".join(repr(each.word) for each in Format)
    if isinstance(given, Csv):
        return Format.CSV
    if given is not None:
        for each in Format:
            if each.word == given:
                return each
        raise UsageError(f"format must be one of {words} or a Csv(...), not {given!r}")
    if not file_name:
        return Format.CSV
    plain = file_name.lower().removesuffix(".gz")
    for each in Format:
        if plain.endswith(each.suffixes):
            return each
    raise UsageError(f"the name {file_name!r} does not say the format: pass format=, one of {words}")


def copy_options(what: Format, csv: Csv, *, is_first: bool) -> CopyOptions:
    """The options of the COPY of a part; only the first of those that are joined has a header."""
    if what is Format.BINARY:
        return {"format": "binary"}
    if what.is_json:
        return {"format": "csv", "delimiter": _UNUSED_DELIMITER, "quote": _UNUSED_QUOTE}
    if what is Format.PARQUET:
        return {"format": "csv"}
    options: CopyOptions = {"format": "csv", "delimiter": csv.delimiter, "null": csv.null, "quote": csv.quote}
    options["escape"] = csv.escape or csv.quote
    options["force_quote"] = csv.force_quote
    options["header"] = csv.header and is_first
    return options


def as_json(select: str, *, is_write: bool = False) -> str:
    """*select* with each row as a line of JSON: a line end can stand only between its words, where a blank may.

    Args:
        is_write: it is an INSERT ... RETURNING or the like, which can stand in WITH only.
    """
    line = r"SELECT replace(replace(row_to_json(r.*)::text, E'\n', ' '), E'\r', ' ') FROM"
    return f"WITH r AS ({select}) {line} r" if is_write else f"{line} ({select}) AS r"


class BinaryPart:
    """Takes header and trailer off a binary COPY, whose pieces may be cut anywhere."""

    def __init__(self) -> None:
        self._header_left = len(BINARY_HEADER)
        self._held = b""  # its end may be the trailer

    def rows_of(self, piece: bytes) -> bytes:
        """What is known to be rows now that *piece* has come, of it and of what came before."""
        if self._header_left:
            cut = min(self._header_left, len(piece))
            self._header_left -= cut
            piece = piece[cut:]
        if len(piece) < len(BINARY_TRAILER):
            self._held += piece
            return b""
        rows, self._held = self._held, piece
        return rows

    def end(self) -> bytes:
        """The rest of the rows, when all has come."""
        assert self._header_left == 0, self._header_left
        assert self._held.endswith(BINARY_TRAILER), self._held[-2:]
        return self._held[: -len(BINARY_TRAILER)]
