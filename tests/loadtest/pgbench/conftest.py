"""Tests that ask a real pgbench what a script means."""

from __future__ import annotations

import pytest

from dbpool.loadtest.pgbench.program import OLDEST
from tests.support.pgbench import programs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pgbench" in metafunc.fixturenames:
        none = pytest.param(None, marks=pytest.mark.skip(reason=f"no pgbench {OLDEST} or newer here"), id="none")
        found = [pytest.param(program, id=f"pgbench{program.version}") for program in programs()]
        metafunc.parametrize("pgbench", found or [none])
