"""The verdict of a run, printed."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from dbpool.loadtest.document import Run


def print_verdict(run: Run) -> None:
    """Print what follows from the run."""
    console = Console()
    knee, found = run.sections.get("knee"), run.sections.get("recommendation")
    if knee is not None:
        for each in knee["sizes"]:
            console.print(Text(f"{each['size']:6}  {each['tps']:12,.0f} tps  x{each['repeats']}"))
        console.print(Text(f"{knee['status']}: {knee['why']}"))
    if found is not None:
        console.print(Text(f"recommended: {found['pool_size']}, grade {found['grade']}", style="bold"))
        for reason in found["reasons"]:
            console.print(Text(f"  {reason}"))
    for _, text in run.warnings:
        console.print(Text(f"warning: {text}", style="bold"), soft_wrap=True)
