"""The group ``dbpool loadtest``, whose commands are loaded when one of them is asked for."""

from __future__ import annotations

import click


class _LoadedLater(click.Group):
    """Who runs another command, or asks for its help, does not wait for these."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        from dbpool.tool.loadtest.commands import COMMANDS

        return [str(name) for name in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as click calls it
        from dbpool.tool.loadtest.commands import COMMANDS

        return COMMANDS.get(cmd_name)


@click.group(cls=_LoadedLater)
def loadtest() -> None:
    """Find out what a server stands, and by how many connections.

    URL is like postgresql://user@host/database. Without it, and without DATABASE_URL, an embedded server is used.

    \b
    Exit codes: 0 it went well, 1 it failed, 2 the arguments mean nothing, 3 a threshold was not met,
      4 worse than a baseline, 5 not to be trusted (with --strict), 6 refused for safety, 130 stopped by a signal (what
      was measured is reported).
    """
