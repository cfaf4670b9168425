"""docs/guides/high-availability.md: its programs print what it shows, on a primary with two standbys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbpool.hosts import Target
from dbpool.testing import PostgresCluster
from tests.docs.guide import ROOT, Program, printed_by, programs_of

TEXT = (ROOT / "docs" / "guides" / "high-availability.md").read_text("utf-8")
GUIDE = programs_of(TEXT)


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with PostgresCluster(synchronous=True) as cluster:
        yield cluster.dsn()


@pytest.mark.parametrize("program", GUIDE, ids=str)
def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path, dsn: str) -> None:
    assert program.shown is not None
    assert printed_by(program, tmp_path, dsn) == program.shown


def test_every_target_is_in_the_guide() -> None:
    assert len(GUIDE) == 3
    assert [target.value for target in Target if f"`{target.value}`" not in TEXT] == []
