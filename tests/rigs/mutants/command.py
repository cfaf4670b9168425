"""``python -m tests.rigs mutants``: plant one bug after the other, and see what finds it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from tests.rigs.mutants.finding import hunt_all
from tests.rigs.mutants.hunt import SEED
from tests.rigs.mutants.known import MUTANTS
from tests.rigs.place import Place
from tests.rigs.results import beginning, written


@click.command("mutants", short_help="Plant known bugs, one at a time: each must be found.")
@click.option("--only", multiple=True, metavar="NAME", help="Only this one; may be given several times.")
@click.option("--list", "is_list", is_flag=True, help="Say which there are.")
@click.option("--json", "file", type=Place(), help="Write what was found.")
def command(*, only: tuple[str, ...], is_list: bool, file: Path | None) -> NoReturn:
    """Plant bugs that other pools had, one at a time: the rigs must find each of them.

    Exit codes: 0 all were found, 1 one was not.
    """
    if unknown := [name for name in only if name not in MUTANTS]:
        raise click.UsageError(f"there is no mutant {unknown[0]!r}; --list says which there are")
    if is_list:
        for mutant in MUTANTS.values():
            click.echo(f"{mutant.name} ({mutant.goal}, {mutant.file}): {mutant.origin}")
        sys.exit(0)
    head = beginning(" ".join(["python -m tests.rigs", *sys.argv[1:]]), SEED)
    found = hunt_all([MUTANTS[name] for name in only or MUTANTS], click.echo)
    click.echo(f"{found.done['found']} of {found.done['mutants']} found in {found.took_s:.0f} s")
    if file is not None:
        written(head, [found], found.took_s, file, is_whole=True)
    sys.exit(1 if found.violations else 0)
