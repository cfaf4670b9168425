"""Reads a page of HTML as a browser would: its elements, its text, its tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input", "hr"}


@dataclass
class Table:
    caption: str = ""
    rows: list[list[str]] = field(default_factory=list)  # the head first


@dataclass
class Seen:
    """All of it: *elements* with their attributes, *raw* texts of scripts and styles."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: str = ""
    headings: list[tuple[str, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    raw: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    def table(self, caption: str) -> list[list[str]]:
        (found,) = [table for table in self.tables if table.caption == caption]
        return found.rows


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()
        self._raw: str | None = None
        self._into: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.seen.elements.append((tag, attributes))
        if tag in {"script", "style"}:
            self._raw = tag
            self.seen.raw.append((tag, attributes, ""))
        elif tag == "table":
            self.seen.tables.append(Table())
        elif tag == "caption":
            self._into = "caption"
        elif tag == "tr":
            self.seen.tables[-1].rows.append([])
        elif tag in {"th", "td"}:
            self.seen.tables[-1].rows[-1].append("")
            self._into = "cell"
        elif tag in {"h1", "h2", "h3", "h4"}:
            self.seen.headings.append((tag, ""))
            self._into = "heading"

    def handle_endtag(self, tag: str) -> None:
        self._raw = None
        if tag in {"caption", "table", "h1", "h2", "h3", "h4"}:
            self._into = None

    def handle_data(self, data: str) -> None:
        seen = self.seen
        if self._raw:
            tag, attributes, text = seen.raw[-1]
            seen.raw[-1] = (tag, attributes, text + data)
            return
        seen.text += data
        if self._into == "caption":
            seen.tables[-1].caption += data
        elif self._into == "cell":
            seen.tables[-1].rows[-1][-1] += data
        elif self._into == "heading":
            seen.headings[-1] = (seen.headings[-1][0], seen.headings[-1][1] + data)


def read(page: str) -> Seen:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.seen
