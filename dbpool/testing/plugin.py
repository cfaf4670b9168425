"""The pytest plugin: a pool on a database of its own for each test. See docs/testing.md.

Loaded by pytest wherever dbpool is installed, so it imports nothing that a fixture has not asked for.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dbpool.testing.plan import Plan
    from dbpool.testing.server import Choice

PLAN: pytest.StashKey[Plan] = pytest.StashKey()
CHOICE: pytest.StashKey[Choice] = pytest.StashKey()
USED: pytest.StashKey[set[str]] = pytest.StashKey()  # the servers that tests ran on, in words


def pytest_addoption(parser: pytest.Parser) -> None:
    from dbpool.testing.plan import add_options

    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    from dbpool.testing import serverfixtures
    from dbpool.testing.plan import read_plan

    config.addinivalue_line("markers", "dbpool(**options): settings of the pool that this test's fixtures give")
    config.stash[PLAN] = read_plan(config)
    manager = config.pluginmanager
    manager.register(serverfixtures, "dbpool.testing.serverfixtures")
    if any(getattr(plugin, "__name__", "") == "pytest_asyncio.plugin" for plugin in manager.get_plugins()):
        from dbpool.testing import poolfixtures

        manager.register(poolfixtures, "dbpool.testing.poolfixtures")
    else:
        from dbpool.testing import missingfixtures

        manager.register(missingfixtures, "dbpool.testing.missingfixtures")


def pytest_report_header(config: pytest.Config) -> list[str]:
    plan = config.stash[PLAN]
    said = [f"server {plan.server} ({plan.why})"] if plan.server else []
    said += [f"migrations {plan.migrations}"] if plan.migrations else []
    return [f"dbpool: {', '.join(said)}"] if said else []


@pytest.hookimpl(tryfirst=True)  # the terminal's own asks for the report below
def pytest_collection_finish(session: pytest.Session) -> None:
    """Choose the server that the tests collected will use; tests that use none must not pay for the choice."""
    if any("dbpool_server" in getattr(item, "fixturenames", ()) for item in session.items):
        config = session.config
        config.stash[CHOICE] = chosen(config.stash[PLAN], config)


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    return [f"dbpool server: {config.stash[CHOICE]}"] if CHOICE in config.stash else []


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["dbpool_servers"] = sorted(used(session.config))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - xdist's end of a worker
    used(node.config).update(getattr(node, "workeroutput", {}).get("dbpool_servers", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for server in sorted(used(config)):
        terminalreporter.write_line(f"dbpool server: {server}")


def chosen(plan: Plan, config: pytest.Config) -> Choice:
    """The server that *plan* asks for, or the first that is there."""
    from dbpool.testing.server import choose

    return choose(plan.server, plan.why, dsn=plan.dsn, image=plan.image, say=lambda text: _say(config, text))


def used(config: pytest.Config) -> set[str]:
    """The servers that tests ran on so far, in words."""
    return config.stash.setdefault(USED, set())


def _say(config: pytest.Config, text: str) -> None:
    """Show *text* at once, also from a worker, which has no terminal of its own."""
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        sys.stderr.write(f"{text}\n")
