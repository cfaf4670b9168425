r"""Blocks of \if, \elif, \else and \endif: from lines to jumps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from dbpool.loadtest.scripts.commands import Branch, Command, Jump, Place
from dbpool.loadtest.scripts.problems import ScriptError, Source

Span: TypeAlias = tuple[int, int]
"""Where in the source's text a command stands: start and end."""


@dataclass(slots=True)
class _Block:
    span: Span
    branch: int  # the command whose ``otherwise`` is not known yet, -1 after \else
    jumps: list[int] = field(default_factory=list)  # from the ends of branches to that of the block


class Program:
    """The commands of a script that is being read."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._open: list[_Block] = []
        self._closed_at = -1
        self.commands: list[Command] = []

    @property
    def last(self) -> Command | None:
        r"""The command before; None at the start and after \endif."""
        return self.commands[-1] if self._closed_at != len(self.commands) > 0 else None

    def open(self, branch: Branch, span: Span) -> None:
        r"""\if."""
        self._open.append(_Block(span, len(self.commands)))
        self.commands.append(branch)

    def go_on(self, branch: Branch | None, place: Place, span: Span) -> None:
        r"""\elif with a *branch*, or \else.

        Raises: ScriptError.
        """
        block = self._innermost(place, span)
        if block.branch < 0:
            raise self._error(f"\\{place.command} after \\else", span)
        block.jumps.append(len(self.commands))
        self.commands.append(Jump(place))
        self._end_branch(block)
        if branch is None:
            block.branch = -1
        else:
            block.branch = len(self.commands)
            self.commands.append(branch)

    def close(self, place: Place, span: Span) -> None:
        r"""\endif.

        Raises: ScriptError.
        """
        block = self._innermost(place, span)
        self._end_branch(block)
        for number in block.jumps:
            self.commands[number] = Jump(self.commands[number].place, len(self.commands))
        self._open.pop()
        self._closed_at = len(self.commands)

    def finish(self) -> tuple[Command, ...]:
        r"""All commands.

        Raises: ScriptError: an \if has no \endif.
        """
        if self._open:
            raise self._error("\\if without matching \\endif", self._open[-1].span)
        return tuple(self.commands)

    def _innermost(self, place: Place, span: Span) -> _Block:
        if not self._open:
            raise self._error(f"\\{place.command} without matching \\if", span)
        return self._open[-1]

    def _end_branch(self, block: _Block) -> None:
        if block.branch >= 0:
            branch = self.commands[block.branch]
            assert isinstance(branch, Branch), branch
            self.commands[block.branch] = replace(branch, otherwise=len(self.commands))

    def _error(self, message: str, span: Span) -> ScriptError:
        return self._source.error(message, start=span[0], end=span[1])
