"""One build, one environment with all that commands need, for all tests here."""

from __future__ import annotations

import pytest

from tests.support.wheels import Built, Installed, build, installed


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist, and the wheel that is built from it."""
    wheel, sdist = build(tmp_path_factory.mktemp("dist"))
    return Built(wheel, sdist)


@pytest.fixture(scope="session")
def environment(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """dbpool from its wheel, with every package that an extra asks for."""
    return installed(built.wheel, tmp_path_factory.mktemp("full"))
