"""Shell completion: what is offered, and a shell that really completes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.tool import MAIN
from tests.support.databases import Database
from tests.support.pools import witness_of
from tests.support.terminals import at_a_terminal

SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
SETUP = {
    "bash": "PS1='ready> '; bind 'set bell-style none'; eval \"$(dbpool completion bash)\"\n",
    "zsh": "PS1='ready> '; autoload -Uz compinit; compinit -D -u; eval \"$(dbpool completion zsh)\"\n",
    "fish": "function fish_prompt; echo 'ready> '; end; dbpool completion fish | source\n",
}


async def offered(*words: str, dsn: str = "") -> list[str]:
    """What is offered for the last of *words*, by the protocol that the scripts speak."""
    env = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "_DBPOOL_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["dbpool", *words]),
        "COMP_CWORD": str(len(words)),
    } | ({"DATABASE_URL": dsn} if dsn else {})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert not err
    return [line.partition(",")[2] or line.partition(",")[0] for line in out.decode().split()]


async def test_commands_options_values_and_files_are_offered() -> None:
    assert {"doctor", "query", "completion"} <= set(await offered(""))
    assert await offered("query", "--exp") == ["--expanded", "--explain"]
    assert await offered("query", "--format", "") == ["table", "csv", "json", "ndjson"]
    assert await offered("load", "orders", "") == ["file"]


async def test_names_of_jobs_and_tables_are_offered(shop: Database) -> None:
    async with witness_of(shop) as witness:
        await witness.run(
            "insert into dbpool_job (name, sql, sql_hash, chunk_size, settings) values"
            " ('prices', '', '', 1, '{}'), ('names', '', '', 1, '{}')"
        )
    assert await offered("jobs", "show", "pr", dsn=shop.dsn) == ["prices"]
    assert await offered("export", "dbpool_job_", "", dsn=shop.dsn) == ["file"]
    assert await offered("export", "ord", dsn=shop.dsn) == ["orders"]


async def test_without_a_database_nothing_is_offered_and_nothing_said() -> None:
    assert await offered("jobs", "show", "") == []
    assert await offered("jobs", "show", "", dsn="postgresql://me@127.0.0.1:1/shop") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    program = tmp_path / "dbpool"
    program.write_text(f"#!{sys.executable}\nimport sys\nsys.argv[0] = 'dbpool'\n{MAIN}\n")
    program.chmod(0o755)
    env = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "HOME": str(tmp_path),
    }
    script = f"import os; os.execvp({shell!r}, {SHELLS[shell]!r})"
    with at_a_terminal(script, columns=200, lines=50, env=env) as terminal:
        terminal.type(SETUP[shell])
        terminal.until(lambda text: text.strip().endswith("ready>"))
        terminal.type("dbpool doct\t")
        terminal.until(lambda text: "dbpool doctor" in text)
        terminal.type("--stri\t")
        terminal.until(lambda text: "dbpool doctor --strict" in text)
        terminal.type("\x03exit\n")
