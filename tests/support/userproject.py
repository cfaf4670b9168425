"""Projects of users, run by a pytest of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.guide import ROOT
from tests.support.server import Server

TIME_LIMIT_S = 50.0
INI = "[pytest]\nfilterwarnings = error\naddopts = -p no:cacheprovider"
AUTO = "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function"
PLUGINS = ("-p", "dbpool", "-p", "pytest_asyncio.plugin", "-p", "xdist.plugin")  # others take a second to load


@dataclass(frozen=True, slots=True)
class Ended:
    """A user's pytest that is over."""

    code: int
    text: str

    def counts(self) -> dict[str, int]:
        """How many tests passed, failed and so on, from the last line."""
        found = re.findall(r"(\d+) (passed|failed|errors?|skipped)", self.text.rstrip().rpartition("\n")[2])
        return {what.removesuffix("s") if what == "errors" else what: int(number) for number, what in found}


Project = Callable[..., Ended]


@pytest.fixture
def project(tmp_path: Path, server: Server) -> Project:
    """Run pytest in a project of these files, on the session's own server unless *arguments* name another."""

    def run(
        *arguments: str,
        ini: str = AUTO,
        is_ours: bool = True,
        plugins: tuple[str, ...] = PLUGINS,
        **files: str | Mapping[str, str],
    ) -> Ended:
        (tmp_path / "pytest.ini").write_text(f"{INI}\n{ini}\n")
        for name, text in files.items():
            if isinstance(text, str):
                (tmp_path / f"{name}.py").write_text(text)
            else:
                (tmp_path / name).mkdir()
                for each, content in text.items():
                    (tmp_path / name / each).write_text(content)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBPOOL_", "PYTEST_"))}
        inherited.pop("DATABASE_URL", None)
        where = ("--dbpool-dsn", server.admin) if is_ours else ()
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *plugins, *where, *arguments],
            cwd=tmp_path,
            env={**inherited, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
            | ({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if plugins else {}),
            capture_output=True,
            encoding="utf-8",
            timeout=TIME_LIMIT_S,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout + ended.stderr)

    return run
