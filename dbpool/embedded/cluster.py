"""Data directories: where a new one comes from, and whether an existing one can be used."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dbpool.embedded.account import Account
from dbpool.embedded.binaries import Binaries
from dbpool.embedded.cache import build_once, cached
from dbpool.errors import EmbeddedError

SUPERUSER = "postgres"


def fresh_template(binaries: Binaries, account: Account, *, deadline: float) -> Path:
    """Return a data directory as initdb makes it; made once for each version and user, later starts copy it."""
    options = _initdb_options(binaries)
    digest = hashlib.sha256(" ".join(options).encode()).hexdigest()[:8]

    def build(staging: Path) -> None:
        account.run([binaries.path("initdb"), *options, "--no-sync", "-D", staging], deadline=deadline)
        _sync(staging, binaries, account, deadline)

    return cached(f"template-{binaries.version}-{account.uid}-{digest}", build, owner=account)


def check_template(template: Path, binaries: Binaries, account: Account, *, deadline: float) -> None:
    """Raise unless *template* can be copied: a stopped data directory of our version."""
    account.require_entry(template, deadline=deadline)
    _check_version(template, binaries)
    if (template / "postmaster.pid").exists():
        raise EmbeddedError(f"The template {template} is in use, or its server was killed: start it and stop it first.")


def ensure_kept(data_dir: Path, source: Path, binaries: Binaries, account: Account, *, deadline: float) -> None:
    """Make *data_dir* a copy of *source* if it is missing or empty; else raise unless it is of our version."""

    def build(staging: Path) -> None:
        account.run(["cp", "-Rp", f"{source}/.", staging], deadline=deadline)
        _sync(staging, binaries, account, deadline)

    account.require_entry(data_dir, deadline=deadline)
    if not data_dir.is_dir() or not any(data_dir.iterdir()):
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        build_once(data_dir, build, owner=account)
    _check_version(data_dir, binaries)


def _check_version(data_dir: Path, binaries: Binaries) -> None:
    try:
        major = (data_dir / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise EmbeddedError(f"{data_dir} is not a data directory of PostgreSQL: {error}") from error
    if major != binaries.major:
        raise EmbeddedError(
            f"{data_dir} is of PostgreSQL {major}, and the programs in {binaries.directory} are of PostgreSQL "
            f"{binaries.major}: dump and restore it, or set DBPOOL_PG_BIN to programs of version {major}."
        )


def _sync(data_dir: Path, binaries: Binaries, account: Account, deadline: float) -> None:
    # one pass at the end: initdb's own would come before a copy is made, and a power cut must not leave half a template
    account.run([binaries.path("initdb"), "--sync-only", "-D", data_dir], deadline=deadline)


def _initdb_options(binaries: Binaries) -> list[str]:
    # the same order and the same upper() on every machine, whatever locales it has
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if int(binaries.major) >= 17 else []
    # the server is told of another pg_hba.conf; this one counts only if somebody runs the directory by other means
    access = ["--auth-local=peer", "--auth-host=reject"]
    return ["--no-instructions", "-U", SUPERUSER, *access, "--encoding=UTF8", "--locale=C", *builtin]
