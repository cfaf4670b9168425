"""Tests that ask a real pgbench what a script means."""

from __future__ import annotations

import pytest

from dbpool.loadtest.pgbench.program import OLDEST
from tests.support.pgbench import programs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "pgbench" in metafunc.fixturenames:
        found = programs()
        newest = max((program.version for program in found), default=0)
        params = [
            pytest.param(
                program,
                id=f"pgbench{program.version}",
                marks=[pytest.mark.slow] if program.version < newest else [],
            )
            for program in found
        ]
        none = pytest.param(None, marks=pytest.mark.skip(reason=f"no pgbench {OLDEST} or newer here"), id="none")
        metafunc.parametrize("pgbench", params or [none])
