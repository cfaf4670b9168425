"""What a shell completes: the script for it, and names that are in a database."""

from __future__ import annotations

import asyncio
import os
from typing import Final

import click
from click.shell_completion import get_completion_class

PATIENCE_S: Final = 1.5  # whoever pressed TAB waits
MOST: Final = 50
_VARIABLE: Final = "_DBPOOL_COMPLETE"  # by which click is asked; it follows from the program's name
_JOBS: Final = f"SELECT name FROM dbpool_job WHERE starts_with(name, $1) ORDER BY updated_at DESC LIMIT {MOST}"
_TABLES: Final = f"""
    SELECT name FROM (
        SELECT oid::regclass::text AS name FROM pg_class
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    ) AS t WHERE name !~ '"' AND starts_with(name, $1) ORDER BY name LIMIT {MOST}
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print the script by which a shell completes commands, options, files, names of jobs and of tables.

    \b
    bash:  dbpool completion bash > ~/.local/share/bash-completion/completions/dbpool
    zsh:   dbpool completion zsh > a file called _dbpool in a folder of $fpath
    fish:  dbpool completion fish > ~/.config/fish/completions/dbpool.fish
    For this session alone:  eval "$(dbpool completion bash)"
    """
    kind = get_completion_class(shell)
    assert kind is not None, shell
    root = ctx.find_root()
    click.echo(kind(root.command, {}, "dbpool", _VARIABLE).source())


def job_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The jobs of the database that the command line, or DATABASE_URL, names."""
    return _names(ctx, _JOBS, incomplete)


def table_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Its tables and views."""
    return _names(ctx, _TABLES, incomplete)


def _names(ctx: click.Context, sql: str, incomplete: str) -> list[str]:
    """None where the database does not answer at once: to complete nothing is no error."""
    from dbpool.loadtest.server.connecting import CONNECT_ERRORS, close, connect, rows

    dsn = ctx.params.get("dsn") or os.environ.get("DATABASE_URL")
    if not dsn:
        return []

    async def ask() -> list[str]:
        async with asyncio.timeout(PATIENCE_S):
            session = await connect(dsn, "dbpool completion", timeout_s=PATIENCE_S)
            try:
                return [row["name"] for row in await rows(session, sql, incomplete) or []]
            finally:
                await close(session)

    try:
        return asyncio.run(ask())
    except (*CONNECT_ERRORS, ValueError):
        return []
