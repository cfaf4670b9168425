"""What a figure is made of, whoever draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Number: TypeAlias = float | None


class Color(StrEnum):
    """What a colour stands for; the style sheet says which it is, in light and in dark."""

    MAIN = "main"  # throughput, responses: what the report is about
    WORK = "work"  # service: the server at work
    BAD = "bad"  # waits, errors, what is too much
    WARM = "warm"
    ODD = "odd"
    QUIET = "quiet"  # for comparison


class Kind(StrEnum):
    """How the values of a series are drawn."""

    LINE = "line"
    DOTS = "dots"  # marks without a line
    AREA = "area"
    BAR = "bar"


class Marker(StrEnum):
    """What stands at each value of a line, so that lines differ without colour."""

    CIRCLE = "circle"
    SQUARE = "square"
    TRIANGLE = "triangle"
    DIAMOND = "diamond"


class Texture(StrEnum):
    """Of an area or a bar: so that nothing is told by colour alone."""

    PLAIN = "plain"
    RISING = "rising"
    FALLING = "falling"
    DOTTED = "dotted"
    CROSSED = "crossed"


class Scale(StrEnum):
    """What equal distances stand for: equal differences, or equal ratios."""

    LINEAR = "linear"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Axis:
    """From *low* to *high*, with a label at each of *ticks*; *unit* follows a value that is read out."""

    label: str
    scale: Scale
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line, area or row of bars.

    Args:
        values: one for each of *xs*, or of the figure's if None; None: not known, a gap.
        lows, highs: intervals around them.
        base: where an area or a bar begins, below the value that it adds; it ends at base + value.
        hollow: which marks are empty, as their values say less.
    """

    name: str
    values: Sequence[Number]
    color: Color
    kind: Kind = Kind.LINE
    xs: Sequence[float] | None = None
    lows: Sequence[Number] | None = None
    highs: Sequence[Number] | None = None
    base: Sequence[float] | None = None
    hollow: Sequence[bool] | None = None
    marker: Marker | None = None
    texture: Texture = Texture.PLAIN
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across the plot at *at*, with its name; upright if it is a place on the x axis."""

    at: float
    name: str
    is_upright: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the x axis with a name, as a stage of the run."""

    start: float
    end: float
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """*head* and *rows* of text; the first cell of a row says what the row is of. ``is_open`` None: if it is short."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    is_text: bool = False  # no column of numbers, to be read like prose
    is_open: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot. *says* tells in a sentence what is to be seen; *table* has all its numbers.

    Args:
        names: of the xs, where they are categories 0, 1, 2 …
        follows: figures with the same word here share their cursor and their zoom.
        reach: neighbours that are further apart have nothing between them; None: all belong together.
    """

    key: str
    title: str
    says: str
    x: Axis
    y: Axis
    xs: Sequence[float]
    series: Sequence[Series]
    table: Table
    rules: Sequence[Rule] = ()
    band: tuple[float, float] | None = None  # of y: a strip behind the data
    band_name: str = ""
    spans: Sequence[Span] = ()
    names: Sequence[str] | None = None
    follows: str | None = None
    reach: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Figures to be seen side by side where there is room."""

    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text to be copied as it is."""

    text: str
    name: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the run comes to: *number* of *what*, some short *marks*, and *says*, the reason."""

    number: str
    what: str
    marks: Sequence[str]
    says: str


@dataclass(frozen=True, slots=True)
class Notes:
    """Sentences that are to be seen before the figures are believed."""

    title: str
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Beside:
    """Two columns where there is room, one below the other where there is not."""

    left: Sequence[Table | Code]
    right: Sequence[Table | Code]


Part: TypeAlias = Figure | Row | Table | Words | Code | Verdict | Notes | Beside


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the report."""

    key: str
    title: str
    parts: Sequence[Part]


def stacked(names: Sequence[str], columns: Sequence[Sequence[Number]]) -> list[list[float]]:
    """Where each column begins when each stands on those before; what is not known adds nothing."""
    bases: list[list[float]] = []
    top = [0.0] * (len(columns[0]) if columns else 0)
    for _, column in zip(names, columns, strict=True):
        bases.append(top)
        top = [under + (value or 0.0) for under, value in zip(top, column, strict=True)]
    return bases
