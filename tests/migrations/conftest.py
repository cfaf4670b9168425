"""A folder of migrations of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.migrationfolders import Steps


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    """An empty folder; ``steps.add`` and ``steps.sql`` write steps into it."""
    folder = Steps(tmp_path / "migrations of 100% mine")  # spaces and % mean something to alembic's configuration
    folder.path.mkdir()
    return folder
