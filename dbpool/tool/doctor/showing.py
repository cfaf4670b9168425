"""The findings at a terminal, or in a pipe."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbpool.core.doctor.findings import Finding, Level
from dbpool.core.doctor.sizing import Sizing
from dbpool.wording import counted

WIDEST: Final = 110  # columns: longer lines are hard to read
MARKS: Final = {
    Level.OK: ("✓", "+", "green"),
    Level.UNKNOWN: ("·", ".", "dim"),
    Level.ADVICE: ("i", "i", "cyan"),
    Level.WARNING: ("!", "!", "bold yellow"),
    Level.PROBLEM: ("✗", "x", "bold red"),
}


def show(where: str, findings: Sequence[Finding], sizing: Sizing | None) -> None:
    """Print all of it; the worst comes last, where it is read first."""
    console = Console()
    console.width = min(console.width, WIDEST)
    with console.capture() as capture:
        _print(console, where, findings, sizing)
    # cells are filled up with blanks, which nobody wants in a file
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def _print(console: Console, where: str, findings: Sequence[Finding], sizing: Sizing | None) -> None:
    console.print(Text.assemble(("dbpool doctor", "bold"), "  ", where))
    for level in Level:
        found = [finding for finding in findings if finding.level is level]
        if found:
            console.print()
            console.print(_table(found, is_unicode=console.encoding.lower().startswith("utf")))
    if sizing is not None and sizing.best >= 1:
        console.print()
        console.print(_sized(sizing))
    console.print()
    console.print(Text(_summary(findings), style="bold"))


def _table(findings: Sequence[Finding], *, is_unicode: bool) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")  # what mends it is to be copied: nothing of it is cut
    for finding in findings:
        mark, plain, style = MARKS[finding.level]
        text = Text(finding.what if finding.level is not Level.UNKNOWN else f"not available: {finding.what}")
        if finding.why:
            text.append(f"\n{finding.why}", style="dim")
        if finding.fix:
            text.append("\n→ " if is_unicode else "\n> ").append(finding.fix, style="italic")
        table.add_row(Text(mark if is_unicode else plain, style=style), text)
    return table


def _sized(sizing: Sizing) -> Table:
    slots, fleet = sizing.slots, sizing.fleet
    reserve = f", less {fleet.reserve} in reserve" if fleet.reserve else ""
    table = Table.grid(padding=(0, 2))
    room = (
        f"at most {sizing.best} in each of {fleet.most}: {slots.usable} usable, "
        f"{slots.others - slots.others_of_role} held by other roles{reserve}"
    )
    table.add_row(Text("pool size", style="dim"), Text(room))
    if slots.others_of_role:
        table.add_row(
            Text(),
            Text(
                f"beside the {counted(slots.others_of_role, 'session')} of this role now: at most {sizing.share}, "
                "if they are not instances that you replace"
            ),
        )
    for place, argument in sizing.arguments.items():
        table.add_row(Text(place, style="dim"), Text(argument, style="bold"))
    return table


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.level for finding in findings)
    told = [
        f"{counts[level]} pieces of advice"
        if level is Level.ADVICE and counts[level] > 1
        else f"{counts[level]} piece of advice"
        if level is Level.ADVICE
        else counted(counts[level], level.word)
        for level in (Level.PROBLEM, Level.WARNING, Level.ADVICE)
        if counts[level]
    ]
    return ", ".join(told) or "nothing to mend"
