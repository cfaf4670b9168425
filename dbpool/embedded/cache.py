"""A private directory for what is made once and used by every later start."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from dbpool.embedded.account import Account
from dbpool.errors import EmbeddedError

ABANDONED_AFTER_S = 3600.0  # a build takes seconds; one this old belongs to a process that was killed


def cached(name: str, build: Callable[[Path], None], *, owner: Account | None = None) -> Path:
    """Return the directory *name* in the cache; the first caller on this machine has it made by ``build_once``."""
    cache = _cache_dir()
    target = cache / name
    if not target.is_dir():
        for abandoned in cache.glob(".*.building-*"):
            with suppress(FileNotFoundError):  # its builder, or another sweeper, was quicker
                if time.time() - abandoned.lstat().st_mtime > ABANDONED_AFTER_S:
                    shutil.rmtree(abandoned, ignore_errors=True)
        build_once(target, build, owner=owner)
    return target


def build_once(target: Path, build: Callable[[Path], None], *, owner: Account | None = None) -> None:
    """Make the directory *target* all at once: nobody ever sees half of it, and of two builders the first one wins.

    Args:
        build: fills the empty directory it is given.
        owner: whom that directory belongs to; None is ourselves.
    """
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.building-", dir=target.parent))
    try:
        if owner is not None and owner.is_other:
            os.chown(staging, owner.uid, owner.gid, follow_symlinks=False)
        build(staging)
        try:
            staging.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _cache_dir() -> Path:
    """Return a directory that only we can write to: ``DBPOOL_CACHE_DIR``, or the first usable of the usual places."""
    refusals: list[str] = []
    for path in _places():
        try:
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            found = path.lstat()
        except OSError as error:
            refusals.append(str(error))
            continue
        # in a world-writable place anybody may have made it first, with binaries of their own inside
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022:
            return path
        refusals.append(f"{path} is not a directory that only uid {os.geteuid()} can write to")
    raise EmbeddedError(f"No cache directory: {'; '.join(refusals)}. Set DBPOOL_CACHE_DIR to a directory of your own.")


def _places() -> Iterator[Path]:
    if explicit := os.environ.get("DBPOOL_CACHE_DIR"):
        yield Path(explicit).absolute()
        return
    if os.geteuid() == 0:
        yield Path("/var/cache/dbpool")  # root's home is closed to the user that the server runs as
    else:
        caches = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 - never raises
        if caches.is_absolute():
            yield caches / "dbpool"
    yield Path(tempfile.gettempdir()) / f"dbpool-cache-{os.geteuid()}"
