"""What one transaction does: a script's steps, or an async function."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from dbpool.errors import SettingsError
from dbpool.loadtest.drivers.protocol import Body, Connection, Driver
from dbpool.loadtest.load import Part, Workload
from dbpool.loadtest.scripts.client import Client
from dbpool.loadtest.scripts.mix import Mix, Weighted
from dbpool.loadtest.scripts.script import Script, parse_script
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.steps import Query, Rows, Step, steps

Ask: TypeAlias = Callable[[Connection, Query], Awaitable[Rows | None]]


class Item(Protocol):
    """A kind of transaction."""

    def begin(self, client: Client) -> Body:
        """One of them: what can be done without a connection is done now, before it is timed."""


class ScriptItem:
    """The steps of a pgbench script."""

    def __init__(self, script: Script, mode: QueryMode, ask: Ask) -> None:
        self._script, self._mode, self._ask = script, mode, ask

    def begin(self, client: Client) -> Body:
        transaction = steps(self._script, client, self._mode)
        return partial(_perform, transaction, next(transaction, None), self._ask)


class FunctionItem:
    """``async def transaction(connection, client)``: *connection* is the driver's."""

    def __init__(self, function: Callable[[Any, Client], Awaitable[object]]) -> None:
        self._function = function

    def begin(self, client: Client) -> Body:
        return partial(self._call, client)

    async def _call(self, client: Client, connection: Connection) -> None:
        await self._function(connection, client)


async def _perform(
    transaction: Generator[Step, Rows | None, None], step: Step | None, ask: Ask, connection: Connection
) -> None:
    while step is not None:
        answer: Rows | None = None
        if isinstance(step, Query):
            answer = await ask(connection, step)
        else:
            await asyncio.sleep(step.seconds)
        try:
            step = transaction.send(answer)
        except StopIteration:
            return


def make_items(workload: Workload, driver: Driver) -> list[Item]:
    """The item of each part.

    Raises:
        ScriptError: a script cannot be read.
        SettingsError: there is no such function, or it is not async.
    """
    return [
        FunctionItem(function_of(part.target))
        if part.target is not None
        else ScriptItem(script_of(part), workload.mode, driver.ask)
        for part in workload.parts
    ]


def make_mix(workload: Workload) -> Mix:
    """Which part is next, by weight.

    Raises:
        ScriptError: there are too many parts, or all have weight 0.
    """
    return Mix([Weighted(Script(part.name, ()), part.weight) for part in workload.parts])


def script_of(part: Part) -> Script:
    """The script of a part that has one.

    Raises: ScriptError.
    """
    assert part.script is not None, part
    return parse_script(part.script, name=part.name)


def function_of(target: str) -> Callable[[Any, Client], Awaitable[object]]:
    """The async function that ``module:name`` names; the module may lie in the current directory.

    Raises:
        SettingsError: there is none.
    """
    module, _, name = target.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # last, so that no file here shadows an installed module
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"there is no {name!r} to import from {module!r}: {error}") from error
    if not inspect.iscoroutinefunction(function):
        raise SettingsError(f"{target} is not an async function: write 'async def {name}(connection, client)'")
    return function  # type: ignore[no-any-return]
