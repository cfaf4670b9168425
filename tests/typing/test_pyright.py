"""pyright, a second opinion of the public types: of a program that uses them, and of the installed package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.wheels import ROOT, build, installed

PATIENCE_S = 50.0


def package(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def node() -> str:
    """The system's node, else the one that playwright brings; without either the test is skipped."""
    if found := shutil.which("node"):
        return found
    playwright = package("playwright")
    if playwright is not None and (playwright / "driver" / "node").is_file():
        return str(playwright / "driver" / "node")
    pytest.skip("pyright needs node: there is none on the PATH, and none from playwright")


def pyright(*words: str, folder: Path, path: str = "") -> dict[str, Any]:
    place = package("pyright")
    if place is None or not (place / "dist" / "index.js").is_file():
        pytest.skip("this pyright brings no program of its own, and none is downloaded here")
    ended = subprocess.run(
        [node(), str(place / "dist" / "index.js"), "--outputjson", *words],
        cwd=folder,
        env={**os.environ, "PATH": os.pathsep.join(filter(None, (path, os.environ.get("PATH"))))},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_a_program_that_uses_the_public_names_has_the_types_that_it_expects(tmp_path: Path) -> None:
    shutil.copy(ROOT / "tests" / "typing" / "public_api.py", tmp_path)
    settings = {
        "include": ["public_api.py"],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,  # those are mypy's
        "reportUnnecessaryTypeIgnoreComment": True,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    answer = pyright("--pythonpath", sys.executable, folder=tmp_path)
    assert answer["summary"]["filesAnalyzed"] == 1
    assert [f"{each['range']['start']['line'] + 1}: {each['message']}" for each in answer["generalDiagnostics"]] == []


def test_what_a_handler_reads_off_an_error_has_a_declared_type_in_the_installed_package(tmp_path: Path) -> None:
    (wheel,) = build(tmp_path / "dist", "--wheel")
    environment = installed(wheel, tmp_path, "asyncpg")
    words = ("--verifytypes", "dbpool.errors", "--ignoreexternal")  # the whole package takes half a minute
    # of the Python on the PATH: --pythonpath has no say in this
    found = pyright(*words, folder=environment.folder, path=str(environment.python.parent))["typeCompleteness"]
    assert found["exportedSymbolCounts"]["withKnownType"] > 50
    assert found["completenessScore"] == 1.0, [
        f"{symbol['name']}: {each['message']}" for symbol in found["symbols"] for each in symbol["diagnostics"]
    ]
