"""The PostgreSQL server that a test session uses."""

from __future__ import annotations

import gc
import os
import re
import secrets
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

if TYPE_CHECKING:
    from docker import DockerClient

Kind = Literal["container", "embedded", "url"]

IMAGE = os.environ.get("DBPOOL_TEST_IMAGE") or "postgres:18-alpine"
LABEL = "dbpool.tests"  # on our containers, with the process that they belong to
DOCKER_TIMEOUT = 5  # seconds for an engine on this machine to answer
DATA = "/dbpool"  # in memory: a database is made in a fifth of the time that it takes on a disk

# Nothing in a test's database has to survive a crash of the machine, and its log, which may be in memory, may be short.
# 200 connections leave room for load tests, and prepared transactions are something that a connection can leave behind.
SETTINGS = {
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

    def __str__(self) -> str:
        return f"{self.kind} ({self.why})"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, on which the tests may make and drop databases."""

    kind: Kind
    admin: str  # DSN of a superuser

    def dsn(self, database: str = "postgres") -> str:
        return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", lambda found: f"{found[1]}/{quote(database, safe='')}", self.admin)


def choose(say: Callable[[str], None] = print) -> Choice:
    """Choose by DBPOOL_TEST_SERVER (container, embedded or url), else take the first that is there."""
    match os.environ.get("DBPOOL_TEST_SERVER", "auto"):
        case "auto" | "":
            pass
        case "url" if "DATABASE_URL" not in os.environ:
            raise ValueError("DBPOOL_TEST_SERVER=url needs a DATABASE_URL")
        case ("container" | "embedded" | "url") as kind:
            return Choice(kind, "DBPOOL_TEST_SERVER says so")
        case other:
            raise ValueError(f"DBPOOL_TEST_SERVER={other}: should be container, embedded, url or auto")
    if os.environ.get("DATABASE_URL"):
        return Choice("url", "DATABASE_URL is set")
    problem = _problem_with_docker(say)
    return Choice("embedded", problem) if problem else Choice("container", f"Docker answers, {IMAGE}")


@contextmanager
def running(choice: Choice) -> Iterator[Server]:
    """Run the server chosen for the length of the block."""
    with ExitStack() as stack:
        if choice.kind == "url":
            admin = os.environ["DATABASE_URL"]
        elif choice.kind == "container":
            admin = stack.enter_context(_container())
        else:
            from dbpool.embedded import EmbeddedPostgres

            # through TCP, like the other two: fault proxies and wrong passwords need it
            admin = stack.enter_context(EmbeddedPostgres(settings=SETTINGS, listen=True)).dsn()
        yield Server(choice.kind, admin)


def _problem_with_docker(say: Callable[[str], None]) -> str | None:
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
        client.images.get(IMAGE)
    except ImageNotFound:
        say(f"pulling {IMAGE}")
        try:
            client.images.pull(IMAGE)
        except (DockerException, OSError):
            return f"Docker answers, but has no {IMAGE} and cannot pull it"
    finally:
        client.close()
    return None


@contextmanager
def _container() -> Iterator[str]:
    import docker
    from testcontainers.community.postgres import PostgresContainer

    client = docker.from_env()
    try:
        _remove_leftovers(client)
    finally:
        client.close()
    password = secrets.token_hex(16)  # its port may be open to the network
    container = PostgresContainer(IMAGE, username="postgres", password=password, dbname="postgres", driver=None)
    container.with_kwargs(labels={LABEL: f"{socket.gethostname()} {os.getpid()}"})
    container.with_tmpfs_mount(DATA).with_env("PGDATA", f"{DATA}/data")
    container.with_command(" ".join(["postgres", *(f"-c {name}={value}" for name, value in SETTINGS.items())]))
    with container:
        yield container.get_connection_url()


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
