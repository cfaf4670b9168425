"""The programs of a guide in Markdown: each a block of Python, followed by the text that it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIME_LIMIT = 30  # seconds: the slowest program takes less than one on an idle machine

_HEADING_OR_BLOCK = re.compile(
    r"^## (?P<heading>[^\n]*)$|^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Program:
    """A program, and what the guide says that it prints; None: the guide does not say."""

    section: str
    number: int  # in its section
    source: str
    shown: str | None

    @property
    def needs_server(self) -> bool:
        return "DATABASE_URL" in self.source

    @property
    def uses_dbpool(self) -> bool:
        return "from dbpool import" in self.source

    def __str__(self) -> str:
        return f"{self.section}, program {self.number}"


def programs_of(text: str) -> list[Program]:
    """All programs of a guide, in its order."""
    programs: list[Program] = []
    section, number = "", 0
    blocks = list(_HEADING_OR_BLOCK.finditer(text))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block["heading"]:
            section, number = block["heading"], 0
        elif block["kind"] == "python":
            number += 1
            shown = following["body"] if following is not None and following["kind"] == "text" else None
            programs.append(Program(section, number, block["body"], shown))
    return programs


def printed_by(program: Program, directory: Path, dsn: str = "") -> str:
    """Run it as ``app/main.py`` in *directory*; return what it prints. It must succeed, and complain of nothing."""
    app = directory / "app"
    app.mkdir()
    main = app / "main.py"
    main.write_text(program.source, "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DBPOOL_", "PYTHON"))}
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(main)],
        cwd=app,
        env={**environment, "DATABASE_URL": dsn, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=TIME_LIMIT,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert not ended.stderr, ended.stderr
    return ended.stdout
