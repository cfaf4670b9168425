"""What the environment's variables say, read from their texts."""

from __future__ import annotations

from dbpool.errors import SettingsError

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_ALIKE = 0.85  # of 1: a typing mistake or two, not another tool's variable


def refuse_misspelt(variable: str, known: list[str]) -> None:
    """Raises: SettingsError: *variable* is nearly one of those that are *known*."""
    from difflib import get_close_matches  # takes as long to import as half of this package

    for meant in get_close_matches(variable, known, 1, _ALIKE):
        raise SettingsError(f"{variable} is no setting: {meant} may be meant")


def number(text: str, variable: str, *, is_whole: bool) -> int | float:
    """A count, or a number of seconds. Raises: SettingsError."""
    try:
        return int(text) if is_whole else float(text)
    except ValueError:
        kind = "whole number" if is_whole else "number of seconds"
        raise SettingsError(f"{variable} must be a {kind}, not {text!r}") from None


def switch(text: str, variable: str) -> bool:
    """Whether it is on. Raises: SettingsError."""
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise SettingsError(f"{variable} must be true or false, not {text!r}") from None


def strings_by_name(text: str, variable: str) -> object:
    """What a JSON object holds. Raises: SettingsError."""
    import json

    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise SettingsError(f'{variable} must be a JSON object of strings, as {{"statement_timeout": "5s"}}')
    return value
