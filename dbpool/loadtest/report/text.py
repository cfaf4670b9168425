"""A run's report at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from dbpool.loadtest.report.benched import print_points
from dbpool.loadtest.report.comparisons import load_tables, sentences
from dbpool.loadtest.report.printing import print_heading, print_lines, print_parts, print_table
from dbpool.loadtest.report.sizes import print_sizes
from dbpool.loadtest.report.view.contents import sections_of
from dbpool.loadtest.report.view.figure import Notes, Part, Row, Table
from dbpool.loadtest.report.view.heading import heading_of

CHAPTERS: Final = ("overload", "storm", "soak", "fleet", "budget")
NOT_PRINTED: Final = ("bystander", "losses")


def print_report(document: Mapping[str, Any], console: Console) -> None:
    """At a glance, sizes or points, what lies beyond the limits, then what to know before the figures are used."""
    heading = heading_of(document)
    console.print(Text(heading.name, style="bold"))
    console.print(Text(" · ".join(heading.facts), style="dim"))
    sections = {section.key: section for section in sections_of(document)}
    glance = list(sections["glance"].parts) if "glance" in sections else []
    last = [part for part in glance if _is_last(part)]
    print_parts(console, [part for part in glance if not _is_last(part)])
    print_sizes(console, document)
    print_points(console, document)
    for key in CHAPTERS:
        if key in sections:
            print_heading(console, sections[key].title)
            print_parts(console, map(_shortened, sections[key].parts))
    if document["comparison"]:
        print_comparison(document["comparison"], console)
    print_parts(console, last)


def print_comparison(section: Mapping[str, Any], console: Console, title: str = "Compared with the baseline") -> None:
    """A run against an earlier one."""
    print_heading(console, title)
    print_lines(console, *sentences(section), style="dim")
    for table in load_tables(section):
        print_table(console, table)
    print_heading(console, section["text"])
    print_lines(console, *section["regressions"], style="red")


def _is_last(part: Part) -> bool:
    return isinstance(part, Notes) or (isinstance(part, Table) and part.caption == "Thresholds")


def _shortened(part: Part) -> Part:
    """Without figures that say in more detail what a table beside them has."""
    if not isinstance(part, Row):
        return part
    return Row([figure for figure in part.figures if figure.key not in NOT_PRINTED])
