from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbpool.testing import PostgresCluster
from tests.support.eachloop import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories  # noqa: PLC0414 - a hook


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[PostgresCluster]:
    """A primary and two standbys, of which one has all that is acknowledged; made once."""
    with PostgresCluster(synchronous=True) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared_cluster: PostgresCluster) -> PostgresCluster:
    """The same, for a test to do with as it likes: before the next one, all is as it was."""
    shared_cluster.heal()
    shared_cluster.primary.ask("drop table if exists t; create table t (id bigint primary key)")
    return shared_cluster
