"""The commands of ``python -m tests.rigs``."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, cast

import click

from tests.rigs import documenting
from tests.rigs.known import HERE, PEERS, ROOT, Known, commands, known, processors
from tests.rigs.place import Place
from tests.rigs.results import beginning, day_of, written
from tests.rigs.running import STOP_PATIENCE_S, Run
from tests.rigs.sharing import Turn, lanes_of_chaos, lanes_of_soak
from tests.rigs.showing import as_text, progress
from tests.rigs.span import Span

LOOK_S = 0.25

_seed = click.option(
    "--seed", type=click.IntRange(0), help="The same seed does the same.  [default: another each time]"
)
_json = click.option("--json", "file", type=Place(), help="Write what was found.")
_only = click.option("--rigs", "only", metavar="A,B", help="Only these.  [default: all]")
_processors = click.option("--processors", type=click.IntRange(1), default=processors, help="Rigs at work at a time.")


class Rigs(click.Group):
    """The fixed commands, one for each rig that is there, and those that packages of rigs bring."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        package = ctx.params.get("among", HERE)
        return [*super().list_commands(ctx), *sorted({*known(package), *commands(package)})]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        package = ctx.params.get("among", HERE)
        if module := commands(package).get(cmd_name):
            return cast("click.Command", import_module(module).command)
        if rig := known(package).get(cmd_name):
            return _one(rig)
        return super().get_command(ctx, cmd_name)


@click.group(cls=Rigs)
@click.option("--among", default=HERE, hidden=True, is_eager=True, help="The package that holds the rigs.")
def rigs(among: str) -> None:
    """Have every fault happen to real pools, again and again, and see that nothing acknowledged is lost.

    Exit codes: 0 nothing was violated, 1 something was (the command that makes it happen again is shown), 130 Ctrl-C.
    """


@rigs.command()
@click.option("--minutes", type=Span(), default=10.0, show_default=True)
@_seed
@_json
@_only
@_processors
@click.pass_context
def chaos(
    ctx: click.Context, *, minutes: float, seed: int | None, file: Path | None, only: str | None, processors: int
) -> NoReturn:
    """Run all rigs, which share the time out."""
    among = _chosen(ctx, only)
    _run(among, lanes_of_chaos(among, minutes * 60, processors), minutes * 60, seed, file)


@rigs.command()
@click.option("--hours", type=Span(), default=1.0, show_default=True)
@_seed
@_json
@_only
@_processors
@click.pass_context
def soak(
    ctx: click.Context, *, hours: float, seed: int | None, file: Path | None, only: str | None, processors: int
) -> NoReturn:
    """Run the ledger all the time; the other rigs beside it, in turn, with what it leaves of the processors."""
    among = _chosen(ctx, only)
    _run(among, lanes_of_soak(among, hours * 3600, processors), hours * 3600, seed, file)


@rigs.command()
@click.option("--minutes", type=Span(), default=3.0, show_default=True, help="For each.")
@_seed
@_json
def peers(*, minutes: float, seed: int | None, file: Path | None) -> NoReturn:
    """Run the ledger's writes through dbpool, asyncpg.Pool and psycopg_pool, one after the other.

    The exit code is 1 where any of them told a lie.
    """
    among = known(PEERS)
    turns = [Turn(name, minutes * 60, is_whole=True) for name in among]
    _run(among, [turns], minutes * 60 * len(turns), seed, file)


@rigs.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--docs", type=click.Path(path_type=Path, exists=True, file_okay=False), default=ROOT / "docs", hidden=True
)
def document(*, files: tuple[Path, ...], docs: Path) -> None:
    """Write what was found into docs/reliability.md and docs/faults.md.

    FILES are what --json wrote, the newest last: where several have a figure, the last one's counts.
    """
    try:
        runs = [documenting.whole(json.loads(file.read_text("utf-8")), day_of(file)) for file in files]
        for name, write in (("reliability.md", documenting.reliability), ("faults.md", documenting.faults)):
            page = docs / name
            page.write_text(write(page.read_text("utf-8"), runs), "utf-8")
            click.echo(f"written: {page}", err=True)
    except (ValueError, KeyError, TypeError) as error:
        raise click.ClickException(f"{type(error).__name__}: {error}; FILES must be what --json wrote") from error


def _one(rig: Known) -> click.Command:
    """The command that runs one rig."""

    @click.command(rig.name, help=rig.says, short_help=rig.says)
    @click.option("--seconds", type=Span(), default=60.0, show_default=True)
    @_seed
    @_json
    def one(*, seconds: float, seed: int | None, file: Path | None) -> NoReturn:
        _run({rig.name: rig}, [[Turn(rig.name, seconds, is_whole=True)]], seconds, seed, file)

    return one


def _chosen(ctx: click.Context, only: str | None) -> dict[str, Known]:
    assert ctx.parent is not None
    there = known(ctx.parent.params["among"])
    if not there:
        raise click.UsageError("there are no rigs")
    if only is None:
        return there
    names = [name.strip() for name in only.split(",")]
    if unknown := [name for name in names if name not in there]:
        raise click.UsageError(f"there is no rig {', '.join(unknown)}; there are {', '.join(there)}")
    return {name: there[name] for name in names}


def _run(
    among: dict[str, Known],
    lanes: list[list[Turn]],
    seconds: float,
    seed: int | None,
    file: Path | None,
) -> NoReturn:
    """Run them, say what was found, write it, and exit."""
    seed = random.SystemRandom().randrange(10**6) if seed is None else seed
    click.echo(f"seed {seed}: {', '.join(among)}", err=True)
    head = beginning(" ".join(["python -m tests.rigs", *sys.argv[1:]]), seed)
    run = Run(among, seed)

    def write() -> None:
        if file is not None:
            written(head, run.found.values(), time.monotonic() - run.started, file, is_whole=is_whole)

    is_whole = False
    run.noted = write
    asyncio.run(_followed(run, lanes, seconds))
    is_whole = not run.is_stopped
    write()
    for line in as_text(run.found.values(), time.monotonic() - run.started):
        click.echo(line)
    is_violated = any(found.violations for found in run.found.values())
    sys.exit(130 if run.is_stopped else 1 if is_violated else 0)


async def _followed(run: Run, lanes: list[list[Turn]], seconds: float) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        click.echo("stopping: looking at what there is; once more ends it at once", err=True)
        run.stop()
        loop.call_later(STOP_PATIENCE_S, run.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    at_work: set[asyncio.Task[Any]] = {asyncio.create_task(run.lane(lane)) for lane in lanes}
    screen, shown = progress(seconds)
    with screen:
        while at_work:
            done, at_work = await asyncio.wait(at_work, timeout=LOOK_S)
            for task in done:
                task.result()
            shown.show(time.monotonic() - run.started, run.says)
