"""Reads the document of a run that was saved."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from dbpool.errors import UsageError
from dbpool.loadtest.document import SCHEMA
from dbpool.loadtest.schema.checking import flaw_of

Document: TypeAlias = Mapping[str, Any]
"""A run, as ``Run.as_json`` has it."""


class NotARun(UsageError):
    """A file is no document of a run; the message names the file, and says what it is instead."""


def read_run(path: Path) -> Document:
    """The document in the file *path*.

    Raises:
        NotARun: it cannot be read, is not JSON, was cut off, is no such document, or one of another version.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise NotARun(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NotARun(f"{path} is no text in UTF-8, so no run of dbpool loadtest") from None
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise NotARun(_why_not_json(path, text, error)) from None
    except RecursionError:
        raise NotARun(f"{path} is nested too deeply for a run of dbpool loadtest") from None
    return checked(_printable(document), str(path))


def _printable(value: Any) -> Any:  # noqa: ANN401 - as JSON has it
    """*value* without characters that move a terminal's cursor, or do worse: a file may come from anywhere."""
    match value:
        case str():
            return "".join(
                "?" if (each < " " and each not in "\n\t") or "\x7f" <= each <= "\x9f" else each for each in value
            )
        case dict():
            return {name: _printable(each) for name, each in value.items()}
        case list():
            return [_printable(each) for each in value]
    return value


def checked(document: object, name: str) -> Document:
    """*document*, if it is one.

    Raises:
        NotARun: it is not.
    """
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("dbpool.loadtest/"):
        raise NotARun(f'{name} is JSON, but no run of dbpool loadtest: its "schema" is not {SCHEMA!r}')
    if schema != SCHEMA:
        raise NotARun(f"{name} is of the form {schema}, and this version of dbpool reads {SCHEMA}")
    if flaw := flaw_of(document):
        raise NotARun(f"{name} is no whole run of dbpool loadtest: {flaw}")
    assert isinstance(document, dict)
    return document


def _why_not_json(path: Path, text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return f"{path} is empty"
    if _is_cut_off(text, error):
        return f"{path} was cut off: its JSON ends at line {error.lineno}, before the document does"
    if _has_several(text):
        return f"{path} has several JSON documents, as a time line has: give the run that --json printed"
    return f"{path} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"


def _is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Whether more text could have made it JSON: it ends in a string, or no later than the word that is wrong."""
    is_at_end = re.search(r'[\s{}\[\],:"]', text[error.pos :].rstrip()) is None
    return text.lstrip().startswith("{") and (is_at_end or error.msg.startswith("Unterminated string"))


def _has_several(text: str) -> bool:
    try:
        json.loads(text.lstrip().splitlines()[0])
    except ValueError:
        return False
    return True
