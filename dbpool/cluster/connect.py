"""How a worker makes its pool: with the settings of the pool that the job was asked of, or as the caller says."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from dbpool.bulk.access import Access
from dbpool.errors import UsageError
from dbpool.leases import Leases
from dbpool.pool import DatabasePool

Connect: TypeAlias = Callable[[int, str], DatabasePool]
"""A pool, not open yet, of so many connections at the most, which all have this application_name."""

IDLE_S = 10.0  # then a worker whose client is gone closes its connections
_OWN = ("dsn", "max_connections", "min_connections", "max_idle", "name", "server_settings")


@dataclass(frozen=True, slots=True)
class SameSettings:
    """Makes pools like one that is there; sent to workers, and shows nothing of its password on the way."""

    dsn: str = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    is_secret: bool
    """A password is in it, or may be."""

    @classmethod
    def of(cls, access: Access, *, is_private: bool) -> SameSettings:
        """As the pool of *access* was made.

        Args:
            is_private: nobody else can read what is sent to the workers.
        Raises:
            UsageError: they cannot be sent, or not by this way.
        """
        settings = access.settings
        dsn = settings.dsn.reveal()
        if type(access.leases) is not Leases:
            raise UsageError("the hooks of a pool by create_pool() cannot be sent to workers: give run_on(connect=...)")
        if isinstance(settings.ssl, ssl.SSLContext):
            raise UsageError("an ssl.SSLContext cannot be sent to the workers of a cluster: give run_on(connect=...)")
        is_secret = settings.credentials is not None or _has_password(dsn)
        if is_secret and not is_private:
            raise UsageError(
                "the password of this pool would be sent to the cluster's workers for everybody on the network to "
                "read: use a cluster with TLS (tls://...), or leave the password out and give the workers a .pgpass "
                "file, or give run_on(connect=...) a function that finds it there"
            )
        options = {each.name: getattr(settings, each.name) for each in fields(settings) if each.name not in _OWN}
        return cls(dsn, {**options, "server_settings": dict(settings.server_settings)}, is_secret=is_secret)

    def __call__(self, connections: int, application_name: str) -> DatabasePool:
        server_settings = {**self.options["server_settings"], "application_name": application_name}
        options: dict[str, Any] = {**self.options, "server_settings": server_settings}
        return DatabasePool(self.dsn, connections, max_idle=IDLE_S, name=application_name, **options)


def _has_password(dsn: str) -> bool:
    parts = urlsplit(dsn)
    return bool(parts.password) or any("password" in name.lower() for name in parse_qs(parts.query))
