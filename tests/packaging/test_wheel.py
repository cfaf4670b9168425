"""What users install: what is in it, and that it works where no clone is."""

from __future__ import annotations

import json
import sys
import tarfile
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.databases import Database
from tests.support.wheels import ROOT, Built, Installed, build, installed

UPLOT = "dbpool/pages/assets/uplot/LICENSE"
ASK = """
import asyncio, os, sys, dbpool

async def main():
    async with dbpool.DatabasePool(os.environ["DATABASE_URL"], 2) as db:
        print(await db.fetchval("select 6 * 7"), dbpool.__file__, "sqlalchemy" in sys.modules)

asyncio.run(main())
"""


def names_in(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_all_that_the_package_is_and_nothing_else(built: Built) -> None:
    names = names_in(built.wheel)
    assert names >= {
        "dbpool/py.typed",
        "dbpool/_migrations/env.py",
        "dbpool/_migrations/versions/0001_jobs.py",
        "dbpool/demo/shop/versions/0001_shop.py",
        "dbpool/migrate/scripts/env.py",
        "dbpool/migrate/scripts/script.py.mako",
        UPLOT,
        "dbpool/loadtest/schema/loadtest.schema.json",
    }
    tops = {name.split("/")[0].removesuffix("-0.1.0.dist-info") for name in names}
    assert tops == {"dbpool", "dbpool_command.py"}
    in_clone = {f"dbpool/{path.relative_to(ROOT / 'dbpool').as_posix()}" for path in (ROOT / "dbpool").rglob("*")}
    kept = {name for name in in_clone if "__pycache__" not in name and (ROOT / name).is_file()}
    own = {f"dbpool/_migrations/{name}" for name in ("env.py", "versions/0001_jobs.py")}
    assert {name for name in names if "dist-info" not in name} == kept | own | {"dbpool_command.py"}


def test_the_wheel_is_the_same_from_the_sdist_and_from_the_clone(built: Built, tmp_path: Path) -> None:
    (direct,) = build(tmp_path, "--wheel")
    with ZipFile(built.wheel) as one, ZipFile(direct) as other:
        assert {info.filename: info.CRC for info in one.infolist()} == {
            info.filename: info.CRC for info in other.infolist()
        }


def test_the_sdist_has_what_the_wheel_is_built_from_and_no_tests(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "migrations/versions/0001_jobs.py"}
    assert {name.split("/")[0] for name in names if "/" in name} == {"dbpool", "migrations"}


def test_its_metadata_says_what_it_needs_and_under_which_licence(built: Built) -> None:
    with ZipFile(built.wheel) as archive:
        (place,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(place).decode())
    assert metadata["License-Expression"] == "MIT"
    assert metadata.get_all("License-File") == ["LICENSE", UPLOT]
    assert metadata["Requires-Python"] == ">=3.11"
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert required == ["asyncpg<0.33,>=0.32"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    versions = {line.rpartition(" ")[2] for line in project["classifiers"] if " :: Python :: 3." in line}
    assert "%d.%d" % sys.version_info[:2] in versions  # noqa: UP031 - the shortest way to say it


def test_with_asyncpg_alone_it_can_be_imported_and_used(built: Built, database: Database, tmp_path: Path) -> None:
    bare = installed(built.wheel, tmp_path, "asyncpg")
    answer = bare.run("-c", ASK, dsn=database.dsn)
    assert answer.returncode == 0, answer.stderr
    value, file, has_sqlalchemy = answer.stdout.split()
    assert (value, has_sqlalchemy) == ("42", "False")
    assert Path(file).is_relative_to(tmp_path)
    assert bare.run("dbpool", "--help").stderr.startswith("dbpool: the command line needs click: pip install")


def test_the_command_works_outside_of_a_clone(environment: Installed) -> None:
    answer = environment.run("dbpool", "--help")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "migrate" in answer.stdout
    where = environment.run("-c", "import dbpool; print(dbpool.__file__)").stdout
    assert Path(where).is_relative_to(environment.folder.parent)


def test_its_own_tables_are_migrated_from_the_wheel(environment: Installed, database: Database) -> None:
    answer = environment.run("dbpool", "migrate", "up", "--json", dsn=database.dsn)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["after"] == ["0001"]
    answer = environment.run("dbpool", "migrate", "down", "base", dsn=database.dsn)
    assert answer.returncode == 0, answer.stderr


def test_a_first_folder_is_made_and_run_from_the_wheel(environment: Installed, database: Database) -> None:
    assert environment.run("dbpool", "migrate", "new", "first", "-f", "m", "--rev-id", "a1").returncode == 0
    answer = environment.run("dbpool", "migrate", "up", "-f", "m", dsn=database.dsn)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("a1  first  ")


@pytest.mark.timeout(120)
def test_the_demo_runs_from_the_wheel(environment: Installed, database: Database) -> None:
    words = ("--orders", "2000", "--callers", "100", "--seconds", "0.5", "--json")
    answer = environment.run("dbpool", "demo", *words, dsn=database.dsn)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["ok"] is True
