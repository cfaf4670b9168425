"""``asyncio.wait_for`` can lose a cancellation before Python 3.12, so this package has none."""

from __future__ import annotations

import ast
from pathlib import Path

import dbpool


def test_no_file_of_the_package_waits_by_wait_for() -> None:
    files = sorted(Path(dbpool.__file__).parent.rglob("*.py"))
    assert len(files) > 100
    found = [
        f"{file}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "wait_for" and _is_asyncio(node.value))
        or (isinstance(node, ast.ImportFrom) and node.module == "asyncio" and _imports_it(node))
    ]
    assert not found


def _is_asyncio(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id == "asyncio"


def _imports_it(node: ast.ImportFrom) -> bool:
    return any(name.name == "wait_for" for name in node.names)
