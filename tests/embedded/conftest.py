"""Every test has a temporary directory of its own, and leaves nothing in it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def cache() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dbpool-test-cache-") as place:
        Path(place).chmod(0o755)  # the server's user reads it; only we write
        yield Path(place)


@pytest.fixture(autouse=True)
def place(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory of the test's own, so that whatever is left in it is the test's."""
    with tempfile.TemporaryDirectory(prefix="dbp-", dir="/tmp") as name:
        place = Path(name)
        place.chmod(0o1777)
        monkeypatch.setattr(tempfile, "tempdir", name)
        monkeypatch.setenv("TMPDIR", name)
        monkeypatch.setenv("DBPOOL_CACHE_DIR", str(cache))
        for variable in ("DATABASE_URL", "DBPOOL_PG_BIN"):
            monkeypatch.delenv(variable, raising=False)
        yield place
        assert list(place.glob("dbpool-*")) == []
