"""docs/frameworks.md: what it shows is in the examples or runs, and its settings are those that there are."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import MISSING, fields
from itertools import pairwise
from pathlib import Path

import pytest

from dbpool.settings import PoolSettings
from tests.docs.guide import ROOT, Program, printed_by, programs_of

PAGE = ROOT / "docs" / "frameworks.md"
TEXT = PAGE.read_text("utf-8")
EXAMPLES = ROOT / "examples" / "services"
PROGRAMS = programs_of(TEXT)


def settings_table() -> str:
    """The settings as the page has them: from their definition."""
    tree = ast.parse((ROOT / "dbpool" / "settings.py").read_text("utf-8"))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "PoolSettings"]
    said: dict[str, str] = {}
    for before, node in pairwise(body):
        if isinstance(before, ast.AnnAssign) and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            assert isinstance(before.target, ast.Name)
            said[before.target.id] = str(node.value.value).replace("``", "`")
    lines = ["| variable | default | |", "| --- | --- | --- |"]
    for field in fields(PoolSettings):
        if field.name in ("dsn", "credentials"):
            continue
        default = "" if field.default is MISSING else getattr(field.default, "value", field.default)
        shown = "" if default in ("", None, frozenset()) else f"{default:g}" if type(default) is float else str(default)
        lines.append(f"| `DBPOOL_{field.name.upper()}` | {shown} | {said[field.name]} |")
    return "\n".join(lines)


@pytest.mark.parametrize("program", [one for one in PROGRAMS if one.shown is not None], ids=str)
def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path) -> None:
    assert printed_by(program, tmp_path) == program.shown


@pytest.mark.parametrize("program", [one for one in PROGRAMS if one.shown is None], ids=str)
def test_what_is_shown_is_in_an_example(program: Program) -> None:
    sources = [path.read_text("utf-8") for path in EXAMPLES.glob("*.py")]
    shown = [textwrap.indent(program.source, "    " * depth) for depth in range(4)]
    assert any(each in source for each in shown for source in sources)


def test_what_sql_is_shown_is_in_an_example() -> None:
    sources = "".join(path.read_text("utf-8") for path in EXAMPLES.glob("*.sql"))
    blocks = re.findall(r"^```sql\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        assert block in sources


def test_every_example_is_named_and_every_file_that_is_named_is_there() -> None:
    named = set(re.findall(r"examples/services/([\w.]+)", TEXT.replace("examples.services.", "examples/services/")))
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()}
    modules = {name.removesuffix(".py") for name in files}
    assert named <= files | modules
    assert {name.removesuffix(".py") for name in named} >= modules


def test_the_settings_are_those_that_there_are() -> None:
    assert settings_table() in TEXT, settings_table()
