"""A transaction, step by step: what is to be sent, how long to wait, what came back."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from dbpool.loadtest.scripts.client import Client
from dbpool.loadtest.scripts.commands import Branch, Capture, Command, Jump, Set, Sleep, Sql
from dbpool.loadtest.scripts.problems import EvaluationError, ScriptError
from dbpool.loadtest.scripts.script import Script
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.values import Held, is_name, server_text, text_of

_LEADING_INTEGER = re.compile(r"[ \t\n\v\f\r]*[-+]?[0-9]{1,18}")


class Row(Protocol):
    """A row that came back: a dict, an ``asyncpg.Record``."""

    def items(self) -> Iterable[tuple[str, object]]: ...


Rows: TypeAlias = Sequence[Row]


class Query(NamedTuple):
    """Send ``sql`` with the values of $1, $2 ...; none with the simple protocol.

    The answer is the rows if ``command.capture`` is set, else it is not looked at.
    """

    command: Sql
    sql: str
    parameters: tuple[Held, ...]


class Pause(NamedTuple):
    """Wait for ``seconds``."""

    seconds: float


Step: TypeAlias = Query | Pause


def steps(script: Script, client: Client, mode: QueryMode = QueryMode.EXTENDED) -> Generator[Step, Rows | None, None]:
    r"""What *client* does in one transaction of *script*; the answer to each step is sent in.

    Raises:
        ScriptError: a command failed: an expression without a value, \gset without a row.
    """
    commands, variables, number = script.commands, client.variables, 0
    simple = mode is QueryMode.SIMPLE
    while number < len(commands):
        command = commands[number]
        number += 1
        try:
            match command:
                case Set():
                    variables[command.name] = command.evaluate(client)
                case Sql():
                    template = command.template
                    if simple:
                        query = Query(command, template.with_values(variables), ())
                    else:
                        query = Query(command, template.sql, template.parameters(variables))
                    rows = yield query
                    if command.capture:
                        _capture(command, command.capture, rows or (), client)
                case Branch():
                    if not command.evaluate(client):
                        number = command.otherwise
                case Jump():
                    number = command.to
                case Sleep():
                    yield Pause(_seconds(command, client))
        except EvaluationError as error:
            raise _failed(command, str(error)) from None


def _seconds(command: Sleep, client: Client) -> float:
    amount = command.amount
    if name := command.variable:
        if name not in client.variables:
            raise EvaluationError(f'undefined variable "{name}"')
        text = text_of(client.variables[name])
        found = _LEADING_INTEGER.match(text)
        if found is None:
            raise EvaluationError(f'invalid sleep time "{text}" for variable "{name}"')
        amount = int(found.group())
    return max(0, amount) * command.unit_s


def _capture(command: Sql, capture: Capture, rows: Rows, client: Client) -> None:
    if capture is Capture.GSET and len(rows) != 1:
        raise EvaluationError(f"expected one row, got {len(rows)}")
    for column, value in rows[-1].items() if rows else ():
        name = command.prefix + column
        if name not in client.variables and not is_name(name):
            raise EvaluationError(f'invalid variable name "{name}"')
        client.variables[name] = server_text(value)


def _failed(command: Command, message: str) -> ScriptError:
    place = command.place
    name = command.capture.value if isinstance(command, Sql) and command.capture else place.command or "SQL"
    return ScriptError(f'{place}: {message} in command "{name}"', source=place.source, line=place.line)
