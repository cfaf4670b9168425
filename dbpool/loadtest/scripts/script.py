"""A script: from a file's text to commands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dbpool.loadtest.scripts.blocks import Program, Span
from dbpool.loadtest.scripts.commands import Branch, Command, Place, Sql
from dbpool.loadtest.scripts.cutting import Cutter, Statement
from dbpool.loadtest.scripts.metacommands import Capturing, Elif, Else, Endif, Meta, parse_meta
from dbpool.loadtest.scripts.problems import ScriptError, Source
from dbpool.loadtest.scripts.sqltemplate import MAX_PARAMETERS, cut


@dataclass(frozen=True, slots=True)
class Script:
    """What one transaction of a load does."""

    name: str
    commands: tuple[Command, ...]

    @property
    def statements(self) -> tuple[Sql, ...]:
        """Its SQL, in the order written."""
        return tuple(command for command in self.commands if isinstance(command, Sql))


def parse_script(text: str, *, name: str) -> Script:
    """Read a script as pgbench does.

    Args:
        text: The file's text.
        name: What messages call it: the file's name.
    Raises:
        ScriptError: it holds no command, or one that is wrong; the message has the line and the column.
    """
    source = Source(name, text)
    program, cutter = Program(source), Cutter(source)
    position = 0
    while position < len(text):
        piece = cutter.next(position)
        position = piece.end
        if piece.statement:
            program.commands.append(_sql(source, piece.statement))
        if piece.backslash >= 0:
            meta, position = parse_meta(source, piece.backslash)
            if meta is not None:
                _add(program, source, meta, (piece.backslash, position))
    commands = program.finish()
    if not commands:
        raise ScriptError(f'empty command list for script "{name}"', source=name)
    return Script(name, commands)


def _sql(source: Source, statement: Statement) -> Sql:
    template = cut(statement.text)
    if len(template.names) > MAX_PARAMETERS:
        raise source.error(
            f"statement has too many arguments (maximum is {MAX_PARAMETERS})",
            start=statement.start,
            end=statement.start + 1,
        )
    return Sql(Place(source.name, source.line_of(statement.start)), template, joined=statement.joined)


def _add(program: Program, source: Source, meta: Meta, span: Span) -> None:
    match meta:
        case Branch():
            program.open(meta, span)
        case Elif(branch):
            program.go_on(branch, branch.place, span)
        case Else(place):
            program.go_on(None, place, span)
        case Endif(place):
            program.close(place, span)
        case Capturing():
            _capture(program, source, meta, span)
        case _:
            program.commands.append(meta)


def _capture(program: Program, source: Source, capturing: Capturing, span: Span) -> None:
    name = capturing.capture.value
    before = program.last
    if not isinstance(before, Sql) or before.capture:
        raise source.error(f"\\{name} must follow an SQL command", start=span[0], end=span[1])
    if before.joined:
        raise source.error(
            f"\\{name} is not supported after statements joined by \\; because the driver gives no result of theirs",
            start=span[0],
            end=span[1],
        )
    program.commands[-1] = replace(before, capture=capturing.capture, prefix=capturing.prefix)
