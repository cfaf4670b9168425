"""The same names as ``poolfixtures`` where pytest-asyncio is not there: a sentence instead of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from dbpool.testing.server import INSTALL

NAMES: Final = ("dbpool", "dbpool_fake", "dbpool_proxy", "dbpool_sandbox", "virtual_time")


def _missing(name: str) -> Callable[[], Any]:
    @pytest.fixture(name=name)
    def missing() -> None:
        pytest.fail(f"the fixture {name} needs pytest-asyncio: {INSTALL}", pytrace=False)

    return missing


dbpool, dbpool_fake, dbpool_proxy, dbpool_sandbox, virtual_time = map(_missing, NAMES)
