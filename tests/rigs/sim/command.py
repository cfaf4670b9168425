"""``python -m tests.rigs sim``: as any rig, or the schedules from a seed on, one by one."""

from __future__ import annotations

import logging
import random
import sys
from pathlib import Path
from typing import NoReturn

import click

from tests.rigs.place import Place
from tests.rigs.results import beginning, written
from tests.rigs.sim.replay import traced
from tests.rigs.sim.run import STOPPED, explore, run, violation_of
from tests.rigs.span import Span


@click.command("sim", short_help="Seeded schedules on a virtual clock, looked at after every step.")
@click.option("--seconds", type=Span(), default=60.0, show_default=True)
@click.option("--seed", type=click.IntRange(0), help="The first schedule's.  [default: another each time]")
@click.option("--schedules", type=click.IntRange(1), help="Play so many, however long it takes; 1: show its steps.")
@click.option("--json", "file", type=Place(), help="Write what was found.")
def command(*, seconds: float, seed: int | None, schedules: int | None, file: Path | None) -> NoReturn:
    """Play seeded schedules of callers, cancellations and faults, and look after every step.

    The same seed does the same, step by step: its digest says so.
    """
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    if schedules == 1:
        sys.exit(_shown(seed))
    click.echo(f"seed {seed}", err=True)
    head = beginning(" ".join(["python -m tests.rigs", *sys.argv[1:]]), seed)

    def say(text: str) -> None:
        click.echo(text, err=True)

    found = run(seconds, seed, say) if schedules is None else explore(seed, say, schedules=schedules)
    is_stopped = found.done[STOPPED] > 0
    for violation in found.violations:
        click.echo(f"{violation.goal}: {violation.text}\n  again: {violation.replay}")
    click.echo(", ".join(f"{count:,} {what}" for what, count in found.done.items()) + f" in {found.took_s:.1f} s")
    if file is not None:
        written(head, [found], found.took_s, file, is_whole=not is_stopped)
    sys.exit(130 if is_stopped else 1 if found.violations else 0)


def _shown(seed: int) -> int:
    """Play one schedule, show its steps and its digest; the exit code."""
    logging.getLogger("dbpool").disabled = True
    try:
        traced(seed, click.echo)
    except Exception as error:
        violation = violation_of(seed, error)
        click.echo(f"{violation.goal}: {violation.text}")
        return 1
    return 0
