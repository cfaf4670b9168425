"""The PostgreSQL server that a test session uses."""

from __future__ import annotations

import gc
import os
import secrets
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from dbpool.errors import UsageError
from dbpool.testing.addresses import dsn_of_database

if TYPE_CHECKING:
    from docker import DockerClient

Kind: TypeAlias = Literal["container", "embedded", "url"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)

IMAGE: Final = "postgres:18-alpine"
LABEL: Final = "dbpool.tests"  # on our containers, with the process that they belong to
DOCKER_TIMEOUT: Final = 5  # seconds for an engine on this machine to answer
DATA: Final = "/dbpool"  # in memory: a database is made in a fifth of the time that it takes on a disk
INSTALL: Final = "pip install 'dbpool[testing]'"

# Nothing in a test's database has to survive a crash of the machine, and its log, which may be in memory, may be short.
# 200 connections leave room for load tests, and prepared transactions are something that a connection can leave behind.
SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_prepared_transactions": "10",
    "max_wal_size": "128MB",
    "synchronous_commit": "off",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which server it will be; nothing is started yet."""

    kind: Kind
    why: str
    dsn: str = ""
    """Of kind url: a role's that may make databases."""
    image: str = IMAGE

    def __str__(self) -> str:
        return f"{self.kind} ({self.why})"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, on which the tests may make and drop databases."""

    kind: Kind
    admin: str
    """DSN of a role that may; of a superuser where the server is the session's own."""

    def dsn(self, database: str = "postgres") -> str:
        """The same for another database."""
        return dsn_of_database(self.admin, database)


def choose(
    asked: str = "", why: str = "", *, dsn: str = "", image: str = IMAGE, say: Callable[[str], None] = print
) -> Choice:
    """Choose the server; without a wish, take the first that is there: *dsn*, a container, an embedded one.

    Args:
        asked: "container", "embedded" or "url"; "" or "auto": no wish.
        why: who says so, for people.
        say: told what takes long.
    Raises:
        UsageError: there is no such choice, or "url" without *dsn*.
    """
    if asked not in ("", "auto", *KINDS):
        raise UsageError(f"{why}: the server for tests should be container, embedded, url or auto, not {asked!r}")
    if asked == "url" or (asked in ("", "auto") and dsn):
        if not dsn:
            raise UsageError(f"{why}: the server is to be that of a DSN, but none is given: use --dbpool-dsn")
        return Choice("url", why or "a DSN is given", dsn)
    if asked in ("container", "embedded"):
        return Choice("container" if asked == "container" else "embedded", why, image=image)
    problem = _problem_with_docker(image, say)
    return Choice("embedded", problem) if problem else Choice("container", f"Docker answers, {image}", image=image)


@contextmanager
def running(choice: Choice) -> Iterator[Server]:
    """Run the server chosen for the length of the block.

    Raises:
        UsageError: a package that it needs is not installed.
        EmbeddedError: the embedded server did not start.
    """
    with ExitStack() as stack:
        if choice.kind == "url":
            admin = choice.dsn
        elif choice.kind == "container":
            admin = stack.enter_context(_container(choice.image))
        else:
            from dbpool.embedded import EmbeddedPostgres

            # through TCP, like the other two: fault proxies and wrong passwords need it
            admin = stack.enter_context(EmbeddedPostgres(settings=SETTINGS, listen=True)).dsn()
        yield Server(choice.kind, admin)


def _problem_with_docker(image: str, say: Callable[[str], None]) -> str | None:
    if find_spec("docker") is None or find_spec("testcontainers") is None:
        return "testcontainers is not installed"
    import docker
    from docker.errors import DockerException, ImageNotFound

    client: DockerClient | None = None
    try:
        client = docker.from_env(timeout=DOCKER_TIMEOUT)
        client.ping()
    except (DockerException, OSError):
        client = None
    if client is None:
        with warnings.catch_warnings():  # it leaves its socket open, and some test would be blamed for that
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        return "no Docker engine answers"
    try:
        client.images.get(image)
    except ImageNotFound:
        say(f"pulling {image}")
        try:
            client.images.pull(image)
        except (DockerException, OSError):
            return f"Docker answers, but has no {image} and cannot pull it"
    finally:
        client.close()
    return None


@contextmanager
def _container(image: str) -> Iterator[str]:
    try:
        import docker
        from testcontainers.community.postgres import PostgresContainer
    except ImportError:
        raise UsageError(f"a container for tests needs testcontainers: {INSTALL}") from None

    client = docker.from_env()
    try:
        _remove_leftovers(client)
    finally:
        client.close()
    password = secrets.token_hex(16)  # its port may be open to the network
    container = PostgresContainer(image, username="postgres", password=password, dbname="postgres", driver=None)
    container.with_kwargs(labels={LABEL: f"{socket.gethostname()} {os.getpid()}"})
    container.with_tmpfs_mount(DATA).with_env("PGDATA", f"{DATA}/data")
    container.with_command(" ".join(["postgres", *(f"-c {name}={value}" for name, value in SETTINGS.items())]))
    with container:
        yield f"{container.get_connection_url()}?sslmode=disable"


def _remove_leftovers(client: DockerClient) -> None:
    """Remove the containers of test sessions on this machine that were killed."""
    from docker.errors import APIError

    for container in client.containers.list(all=True, filters={"label": LABEL}):
        host, _, pid = container.labels[LABEL].partition(" ")
        if host == socket.gethostname() and not _is_alive(int(pid)):
            with suppress(APIError):  # another session may be removing it too
                container.remove(force=True, v=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
