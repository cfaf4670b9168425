"""The command line: what it takes, what it refuses, what it says where something is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

import dbpool
from dbpool.cli import main


def call(*arguments: str, code: str = "from dbpool.cli import main; main()") -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as the console script does."""
    words = [sys.executable, "-c", code, *arguments]
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"DATABASE_URL": ""})


def test_help_names_the_commands() -> None:
    answer = invoke("--help")
    assert answer.exit_code == 0
    assert "demo" in answer.stdout
    assert "migrate" in answer.stdout


def test_help_names_every_option_with_its_default() -> None:
    answer = invoke("demo", "--help")
    assert answer.exit_code == 0
    for option in ("--dsn", "--connections", "--callers", "--orders", "--seconds", "--seed", "--json"):
        assert option in answer.stdout
    assert "default: 200000" in answer.stdout


@pytest.mark.parametrize(
    ("words", "address"),
    [
        ((), "postgresql://me:secret@localhost/shop"),
        (("loadtest",), "postgresql+asyncpg://me:secret@localhost/shop"),
        (("loadtest", "bench", "-c"), "POSTGRES://me:secret@localhost/shop"),
        (("demo", "--seed"), "postgresql://me:it's-secret@localhost/shop"),
    ],
)
def test_an_address_in_the_wrong_place_is_not_repeated(words: tuple[str, ...], address: str) -> None:
    answer = call(*words, address)
    assert answer.returncode == 2
    assert "URL" in answer.stderr
    assert "secret" not in answer.stdout + answer.stderr


def test_the_version_is_the_packages() -> None:
    assert dbpool.__version__ in invoke("--version").stdout


def test_help_does_not_wait_for_what_only_the_demo_needs() -> None:
    loaded = "import sys, dbpool.cli; print({'rich', 'alembic', 'sqlalchemy'} & set(sys.modules))"
    assert call(code=loaded).stdout == "set()\n"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--connections", "0"),
        ("--connections", "many"),
        ("--callers", "0"),
        ("--orders", "0"),
        ("--orders", "1.5"),
        ("--seconds", "0"),
        ("--seconds", "nan"),
        ("--seconds", "inf"),
        ("--seed", "x"),
        ("--dsn", "mysql://user:geheim@host/shop"),
        ("--dsn", "postgresql://user:gehe@im@host/shop"),
    ],
)
def test_a_bad_value_is_a_usage_error_that_names_the_option(option: str, value: str) -> None:
    answer = invoke("demo", option, value)
    assert answer.exit_code == 2
    assert option in answer.stderr
    assert "geheim" not in answer.stderr
    assert "gehe" not in answer.stderr


@pytest.mark.parametrize("module", ["click", "rich", "alembic", "sqlalchemy"])
def test_a_missing_package_is_named_with_what_installs_it(module: str) -> None:
    answer = call(
        "demo",
        code=f"import sys; sys.modules[{module!r}] = None; from dbpool.cli import main; main(prog_name='dbpool')",
    )
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert module in answer.stderr
    assert "pip install 'dbpool[cli,embedded,migrations]'" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
